"""``bertcompress explain``: what ran for each matrix product, in which precision, and how long."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bertcompress.errors import UsageError
from bertcompress_cli.options import (
    DataOptions,
    JsonOption,
    MaxLengthOption,
    ModelArgument,
    ThreadsOption,
    takes_data,
)

if TYPE_CHECKING:
    from bertcompress.bench.workload import Workload
    from bertcompress.profiling.precision_map import PrecisionMap
    from bertcompress_cli.place import Place


@takes_data
def explain(
    model: ModelArgument = None,
    *,
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="The float graph to compare with; looked for beside MODEL, if left out.",
        ),
    ] = None,
    runtime: Annotated[
        str, typer.Option(help="auto, ort-cpu, openvino or openvino-bf16.")
    ] = "auto",
    at_length: Annotated[
        int | None,
        typer.Option(help="Tokens of each sentence; 128 without --data, else as they are."),
    ] = None,
    max_length: MaxLengthOption = None,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    options: DataOptions,
) -> None:
    """Print which kernel ran for each matrix product, its precision, its time, and why."""
    import tempfile

    from bertcompress.bench.precision_runs import measure_map
    from bertcompress.bert.loading.locate import locate
    from bertcompress.machine.environment import available_threads
    from bertcompress.runtimes import runtime_for
    from bertcompress_cli.place import place_of

    place = place_of("explain", model, options)
    folder = locate(place.model)
    runtime_for(folder, runtime)
    workload, inputs = _inputs(place, folder, at_length, max_length, typed=options.data is not None)
    before = _before(folder, against)
    with tempfile.TemporaryDirectory(prefix="bertcompress-explain-") as scratch:
        mapped = measure_map(
            folder,
            workload,
            inputs=inputs,
            threads=threads or available_threads(),
            scratch=Path(scratch),
            runtime=runtime,
            against=before,
        )
    _print(place.model, mapped, as_json=as_json)


def _inputs(
    place: Place, folder: Path, length: int | None, max_length: int | None, *, typed: bool
) -> tuple[Workload, str]:
    """Returns what is run, and the same in words; a workspace's own data is not read."""
    from bertcompress.bench.precision_runs import data_workload, drawn_workload
    from bertcompress.inference.predictor import Predictor
    from bertcompress.recipes.measure import measured_data
    from bertcompress_cli.output import note

    if not typed:
        made = drawn_workload(folder, length, seed=place.seed)
        return made, f"{len(made.feeds)} drawn sentences of {made.sequence_length} tokens"
    source = place.required_data("explain")
    opened = Predictor.open(place.model, task=place.task, max_length=max_length, note=note)
    data = measured_data(source, opened, seed=place.seed, whole=True, note=note)
    made = data_workload(
        opened.encode(data.examples), length, pad_token_id=opened.pad_token_id, seed=place.seed
    )
    of_length = "" if length is None else f" at {length} tokens"
    return made, f"{len(made.feeds)} sentences of {data.source}{of_length}"


def _before(folder: Path, against: Path | None) -> tuple[str, Path] | None:
    """Returns the float graph that was named, or the one beside the artifact that it came from."""
    from bertcompress.artifacts.artifact import read_manifest
    from bertcompress.bench.precision_runs import float_graph_of
    from bertcompress.profiling.reasons import quantize_step
    from bertcompress_cli.output import note

    if against is not None:
        if not against.is_dir():
            raise UsageError(f"there is no folder {against}; --against takes a float graph's")
        return against.name, against
    manifest = read_manifest(folder)
    if manifest is None:
        return None
    beside = [one for one in sorted(folder.resolve().parent.iterdir()) if one.is_dir()]
    found = float_graph_of(
        manifest.history, (((one.name, one), read_manifest(one)) for one in beside)
    )
    if found is not None:
        note(f"compared with the float graph {found[1]}, which lies beside it")
    elif quantize_step(manifest.history) is not None:
        note("its float graph does not lie beside it; --against FOLDER compares with one")
    return found


def _print(model: str, mapped: PrecisionMap, *, as_json: bool) -> None:
    from bertcompress.codec import to_plain
    from bertcompress.report.tables.precision import HOW_TO_READ, products_table, sentences
    from bertcompress_cli.output import print_table, result

    plain = to_plain(mapped)
    assert isinstance(plain, dict)
    facts = {
        "model": model,
        **plain,
        "whole_s": mapped.whole_s,
        "before_whole_s": mapped.before_whole_s,
    }
    if as_json:
        result("", facts, as_json=True)
        return
    print_table(products_table(model, mapped))
    for sentence in (*sentences(mapped), HOW_TO_READ):
        result(f"  {sentence}", facts, as_json=False)
