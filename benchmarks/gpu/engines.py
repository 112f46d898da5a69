"""TensorRT engines of a model's graphs, where TensorRT is; else the sentence that says why not."""

from __future__ import annotations

from pathlib import Path

from bertcompress.artifacts.artifact import OnnxModel, save
from bertcompress.artifacts.engine_record import PACKED
from bertcompress.bert.families import longest_text
from bertcompress.bert.loading.load import load
from bertcompress.errors import BertCompressError, MissingError
from bertcompress.passes.tensorrt.build_engine import BuildEngine
from gpu.steps import Facts, SkippedError
from gpu.subjects import GOALS, ModelFolders


def build_engines(
    model: ModelFolders, graphs: tuple[str, ...], *, timing_cache: Path, budget_s: float
) -> Facts:
    """Builds an engine for each goal from each graph that was made; those that are there stay.

    Raises:
        SkippedError: If TensorRT is not there, or no time was left.
    """
    import time

    ends, facts = time.monotonic() + budget_s, {}
    for graph in graphs:
        source = load(model.graphs / graph)
        assert isinstance(source, OnnxModel)  # gpu.models wrote it
        for goal, (lengths, batches) in GOALS.items():
            name, longest = f"{graph}-{goal}", longest_text(source.config)
            if time.monotonic() > ends:
                facts[name] = {"skipped": "no time was left"}
                continue
            fitting = tuple(one for one in lengths if one <= longest) or (longest,)
            build = BuildEngine(
                goal=goal, lengths=fitting, batches=batches, timing_cache=str(timing_cache)
            )
            try:
                engine = build(source)
            except MissingError as error:
                if goal != PACKED:  # which needs a newer TensorRT than the others
                    raise SkippedError(str(error)) from error
                facts[name] = {"skipped": str(error)}
                continue
            except BertCompressError as error:
                facts[name] = {"failed": str(error)}
                continue
            save(engine, model.engines / name, overwrite=True)
            facts[name] = {
                "bytes": engine.size_bytes,
                "seconds": engine.record.seconds,
                "layers": [dict(one) for one in engine.record.layers],
            }
    if all("skipped" in one for one in facts.values()):
        raise SkippedError("no time was left for any engine")
    return {"engines": facts}


def check_engine_settings(longest: int) -> Facts:
    """Makes the builder's settings of each goal without building; for a dry run."""
    for goal, (lengths, batches) in GOALS.items():
        fitting = tuple(one for one in lengths if one <= longest) or (longest,)
        BuildEngine(goal=goal, lengths=fitting, batches=batches)
    return {"checked": list(GOALS)}
