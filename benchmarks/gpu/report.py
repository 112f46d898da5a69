"""The report: everything as JSON, and the same figures as Markdown for people."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

FORMAT_VERSION = 1


def write_report(folder: Path, results: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Writes ``report.json`` and ``report.md`` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = {"format_version": FORMAT_VERSION, "settings": settings, "steps": results}
    (folder / "report.json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    (folder / "report.md").write_text("\n".join(_lines(results, settings)) + "\n", encoding="utf-8")


def _lines(results: Mapping[str, Any], settings: Mapping[str, Any]) -> Iterator[str]:
    yield "# NVIDIA GPU benchmark"
    yield ""
    yield f"Made by `benchmarks/gpu/run.sh`, mode {settings['mode']}. Times are host times of whole"
    yield "calls, copies included; p50 over interleaved runs. Weights are random unless a model's"
    yield "folder was given: speed does not depend on them, and accuracy is not measured here."
    yield from _machine(results.get("machine", {}))
    for name, result in results.items():
        kind, _, model = name.partition(":")
        writer = _WRITERS.get(kind)
        if writer is not None and "rows" in result:
            yield from ("", f"## {model}: {_TITLES[kind]}", "")
            yield from writer(result["rows"])
        if kind == "engines" and "engines" in result:
            yield from ("", f"## {model}: layers of the engines by precision", "")
            yield from _layers(result["engines"])
    yield from _left_out(results)


def _machine(facts: Mapping[str, Any]) -> Iterator[str]:
    rows: list[Sequence[object]] = [("GPU", one["name"]) for one in facts.get("gpus", ())]
    rows += facts.get("nvidia_smi", {}).items()
    rows += facts.get("libraries", {}).items()
    rows += [("CUDA of torch", facts.get("torch_cuda")), ("CPU", facts.get("cpu"))]
    yield from ("", "## Machine", "", *_table(("", ""), rows))
    runtimes = facts.get("runtimes", {})
    yield from ("", "## Runtimes", "", *_table(("runtime", "usable here"), runtimes.items()))


def _parity(rows: Mapping[str, Any]) -> Iterator[str]:
    made = [
        (
            name,
            _number(one.get("max_difference")),
            _number(one.get("mean_difference")),
            _number(one.get("agreement")),
            "yes" if one["within"] else f"NO {one.get('why', '')}",
        )
        for name, one in rows.items()
    ]
    yield from _table(("runtime", "largest difference", "mean", "agreement", "within bound"), made)


def _grid(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    names = list(dict.fromkeys(name for row in rows for name in row.get("runtimes", ())))
    for title, key in (("p50, ms", "p50_ms"), ("texts a second", "texts_per_s")):
        yield from (f"{title}:", "")
        made = [
            (
                f"{row['batch']} x {row['length']}",
                *(_number(row["runtimes"].get(name, {}).get(key)) for name in names),
            )
            for row in rows
            if "runtimes" in row
        ]
        yield from (*_table(("batch x tokens", *names), made), "")


def _real(rows: Mapping[str, Any]) -> Iterator[str]:
    names = list(dict.fromkeys(name for row in rows.values() for name in row["tokens_per_s"]))
    made = [
        (way, f"{row['padding']:.0%}", *(_number(row["tokens_per_s"].get(one)) for one in names))
        for way, row in rows.items()
    ]
    yield from ("Real tokens a second, padding not counted:", "")
    yield from _table(("lengths, batches", "padding", *names), made)


def _on_and_off(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    made = [
        (
            "x".join(str(one) for one in row["shape"]),
            "yes" if row["same_twice"] else "NO",
            _number(row["difference"]),
            *(_number(row["p50_ms"].get(one)) for one in ("graph", "eager")),
        )
        for row in rows
    ]
    heads = ("shape", "same answer twice", "difference to eager", "graph ms", "eager ms")
    yield from _table(heads, made)


def _layers(engines: Mapping[str, Any]) -> Iterator[str]:
    counts = {
        name: Counter(layer["precision"] for layer in one["layers"])
        for name, one in engines.items()
        if "layers" in one
    }
    names = sorted({precision for one in counts.values() for precision in one})
    rows = [(name, *(one[precision] for precision in names)) for name, one in counts.items()]
    yield from _table(("engine", *names), rows)


def _left_out(results: Mapping[str, Any]) -> Iterator[str]:
    rows = [
        (name, result.get("skipped") or result.get("failed"))
        for name, result in results.items()
        if "skipped" in result or "failed" in result
    ]
    for name, result in results.items():
        if name.startswith("parity:"):
            model = name.partition(":")[2]
            rows += [(f"{model}: {one}", why) for one, why in result.get("missing", {}).items()]
    yield from ("", "## Left out", "")
    yield from _table(("what", "why"), rows) if rows else ("Nothing.",)


def _table(heads: Sequence[object], rows: Any) -> Iterator[str]:
    yield "| " + " | ".join(str(one) for one in heads) + " |"
    yield "|" + "---|" * len(heads)
    for row in rows:
        yield "| " + " | ".join(str(one).replace("|", "/") for one in row) + " |"


def _number(value: object) -> str:
    if not isinstance(value, int | float):
        return "-"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


_WRITERS = {"parity": _parity, "grid": _grid, "lengths": _real, "cuda-graphs": _on_and_off}
_TITLES = {
    "parity": "answers against FP32 torch",
    "grid": "fixed shapes",
    "lengths": "real lengths",
    "cuda-graphs": "CUDA graphs on and off",
}
