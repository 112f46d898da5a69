"""What `reload.py` found, as a table that people read and as JSON."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from bertcompress.report.markdown import pipe_table

BOUNDS = {"torch": 1e-5, "graph": 1e-4}
"""Of a logit's difference: in torch, and of the FP32 graph in ONNX Runtime and OpenVINO."""
ROUTES = {
    "5-bertcompress": "Transformers 5, `import bertcompress`",
    "5-alone": "Transformers 5 alone",
    "4-alone": "Transformers 4 alone",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
}


@dataclass(frozen=True)
class Found:
    """One cell of the table: a difference, or why there is none."""

    model: str
    form: str
    route: str
    largest_difference: float | None
    bound: float
    error: str = ""
    left_out: str = ""

    @property
    def passed(self) -> bool:
        """Whether it is within its bound, or not there to be tried."""
        within = self.largest_difference is not None and self.largest_difference <= self.bound
        return within or bool(self.left_out)


def left_out(model: str, form: str, route: str, why: str) -> Found:
    """Returns the cell of what can't be tried here."""
    return Found(model, form, route, None, 0.0, left_out=why)


def versions_of(pythons: dict[str, str | None]) -> dict[str, dict[str, str]]:
    """Returns what is installed for each interpreter."""
    code = (
        "import json; from importlib import metadata as m; print(json.dumps({n: m.version(n) "
        "for n in ('transformers', 'torch', 'tokenizers', 'onnxruntime', 'openvino', "
        "'optimum-onnx', 'sentence-transformers') "
        "if any(True for _ in m.distributions(name=n))}))"
    )
    return {
        version: json.loads(subprocess.check_output([python, "-I", "-c", code], text=True))
        for version, python in pythons.items()
        if python is not None
    }


def cell(found: Found | None) -> str:
    """Returns what the table says of one attempt."""
    if found is None:
        return "–"
    if found.left_out:
        return f"left out: {found.left_out}"
    if found.largest_difference is None:
        return f"**failed**: {found.error}"
    text = f"{found.largest_difference:.1e}" if found.largest_difference else "0"
    return text if found.passed else f"**{text}**"


def write(
    out: Path, found: list[Found], versions: dict[str, dict[str, str]], *, sentences: int
) -> None:
    """Writes all that was found, and a table for each model."""
    text = [
        f"Largest difference of any logit from the pruned model in memory, {sentences} sentences "
        "of the test split, half of all heads and neurons pruned, each cell a fresh process. Bound "
        f"{BOUNDS['torch']:g} in Transformers (both FP32 on one machine), {BOUNDS['graph']:g} for "
        "the FP32 graph in ONNX Runtime and OpenVINO, whose kernels add in another order.",
    ]
    for version, installed in versions.items():
        listed = ", ".join(f"{name} {number}" for name, number in installed.items())
        text.append(f"Interpreter {version}: {listed}.")
    for model in dict.fromkeys(one.model for one in found):
        own = {(one.form, one.route): one for one in found if one.model == model}
        rows = [
            [form, *(cell(own.get((form, route))) for route in ROUTES)]
            for form in dict.fromkeys(form for form, _ in own)
        ]
        text += ["", f"**{model}**", "", *pipe_table(["form", *ROUTES.values()], rows)]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".md").write_text("\n".join(text) + "\n", encoding="utf-8")
    plain = {
        "sentences": sentences,
        "versions": versions,
        "found": [{**asdict(one), "passed": one.passed} for one in found],
    }
    out.with_suffix(".json").write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
