"""What `interoperability.py` found, as a table that people read and as JSON."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict
from pathlib import Path

from bertcompress.report.markdown import pipe_table
from reload_report import Found, cell

BOUND = 1e-4
"""Of any output, against our own runtime; relative to the largest one, at least 1."""
LEAST_COSINE = 0.98
"""Where other integer kernels compute the same graph, answers need only point the same way."""
ROUTES = {
    "optimum": "Optimum `ORTModelFor…`",
    "pipeline": "Transformers pipeline",
    "sentence-transformers": "sentence-transformers, ONNX",
    "script": "`docs/onnxruntime_alone.py`",
    "openvino": "OpenVINO",
    "node": "onnxruntime-node",
}
NAMES = {"main": "`.venv`", "optimum": "`.venv-optimum`"}


def write(
    out: Path, found: list[Found], versions: dict[str, dict[str, str]], *, texts: int
) -> None:
    """Writes all that was found, and a table for each task."""
    text = [
        "Largest difference of any output from the same folder in our own runtime (ONNX Runtime), "
        f"{texts} texts one by one, each cell a fresh process that can't import bertcompress. "
        f"Bound {BOUND:g}, relative to the largest output (at least 1). OpenVINO has integer "
        "kernels of its own, which round otherwise: there the figure of a quantized graph is what "
        f"the cosine with our answers lacks to 1, at most {1 - LEAST_COSINE:.2g}.",
    ]
    for name, installed in versions.items():
        listed = ", ".join(f"{library} {number}" for library, number in installed.items())
        text.append(f"{NAMES.get(name, name)}: {listed}.")
    for task in dict.fromkeys(one.model for one in found):
        own = {(one.form, one.route): one for one in found if one.model == task}
        routes = [route for route in ROUTES if any(route == one for _, one in own)]
        rows = [
            [form, *(cell(own.get((form, route))) for route in routes)]
            for form in dict.fromkeys(form for form, _ in own)
        ]
        columns = ["folder", *(ROUTES[route] for route in routes)]
        text += ["", f"**{task}**", "", *pipe_table(columns, rows)]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".md").write_text("\n".join(text) + "\n", encoding="utf-8")
    plain = {
        "texts": texts,
        "versions": versions,
        "found": [{**asdict(one), "passed": one.passed} for one in found],
    }
    out.with_suffix(".json").write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")


def kept(out: Path, tasks: list[str] | None) -> list[Found]:
    """Returns what an earlier run found of the tasks that are not asked for."""
    path = out.with_suffix(".json")
    if tasks is None or not path.is_file():
        return []
    rows = json.loads(path.read_text(encoding="utf-8"))["found"]
    facts = [{name: value for name, value in row.items() if name != "passed"} for row in rows]
    return [Found(**row) for row in facts if row["model"] not in tasks]


def node_versions(folder: Path) -> dict[str, str]:
    """Returns the versions of Node and of its ONNX Runtime."""
    package = folder / "node_modules" / "onnxruntime-node" / "package.json"
    number = subprocess.check_output(["node", "--version"], text=True).strip().lstrip("v")
    version = json.loads(package.read_text(encoding="utf-8"))["version"]
    return {"node": number, "onnxruntime-node": str(version)}
