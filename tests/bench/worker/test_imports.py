"""The harness is light: what it measures is loaded in other processes."""

from __future__ import annotations

import os
import subprocess
import sys

HEAVY = ("torch", "transformers", "onnxruntime", "scipy", "sklearn", "openvino")


def modules_after(code: str) -> set[str]:
    """Returns the top-level modules loaded after running code in a fresh interpreter."""
    text = f"{code}\nimport sys\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys\nsys.path[:0] = {sys.path!r}\n{text}"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "BERTCOMPRESS_LAZY": "1"},  # as the command and the workers set it
    )
    return set(done.stdout.split())


def test_the_harness_and_its_reports_need_no_runtime() -> None:
    code = "from bertcompress.bench import peers, run\nfrom bertcompress.report import report_files"

    assert modules_after(code).isdisjoint(HEAVY)


def test_the_measuring_process_starts_with_numpy_alone() -> None:
    assert modules_after("import bertcompress.bench.worker.main").isdisjoint(HEAVY)
