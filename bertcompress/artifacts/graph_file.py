"""The file of a graph: where it lies in a folder, and the weights that it keeps in other files.

Exporters call it ``onnx/model.onnx`` (Optimum, transformers.js) or ``model.onnx``. Protobuf holds
2 GiB, so the weights of larger graphs lie in *external data*: each tensor says a file's name, an
offset and a length. The file has to lie beside the graph; in the hub's cache both are links into
the model's own ``blobs``. A name that leads anywhere else could make a stranger's graph read any
file of this machine as weights, so it is refused, as ONNX Runtime does.

Source: https://onnx.ai/onnx/repo-docs/ExternalData.html
"""

from __future__ import annotations

import graphlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bertcompress.errors import BertCompressError, LoadError
from bertcompress.reading import inner_path, reason

if TYPE_CHECKING:
    import numpy as np
    import onnx
    from numpy.typing import NDArray

ONNX_NAME = "onnx/model.onnx"
"""Where we write it, and what other tools look for."""

DATA_NAME = "model.onnx.data"
"""Where the weights of a graph go that is too large for one file."""

LARGEST_FILE = (1 << 31) - (1 << 20)
"""Bytes of the largest graph written as one file: protobuf's limit, and room for the names."""

_SMALL_TENSOR = 1024
"""Bytes of the largest tensor that stays in the graph's own file: runtimes read shapes there."""

_DIGITS = 19
"""A file has fewer than 10^18 bytes."""

_PLACES = (ONNX_NAME, "model.onnx")


def graph_path(folder: Path) -> Path | None:
    """Returns the graph's file in a folder, None if it has none.

    That is ``onnx/model.onnx``, else ``model.onnx``, else the only one there is.

    Raises:
        LoadError: If there are several, and none has the usual name.
    """
    for name in _PLACES:
        if (folder / name).is_file():
            return folder / name
    found = sorted((*folder.glob("onnx/*.onnx"), *folder.glob("*.onnx")))
    if len(found) < 2:
        return found[0] if found else None
    names = ", ".join(path.relative_to(folder).as_posix() for path in found)
    first = found[0]
    raise LoadError(
        f"{folder} holds {len(found)} graphs, {names}, and none is called model.onnx; say which "
        f"one is meant by a link, such as: ln -s {first.name} {first.parent}/model.onnx"
    )


def graph_files(path: Path) -> tuple[Path, ...]:
    """Returns a graph's file and those that hold its weights, as far as they are there.

    Raises:
        LoadError: If it names a file outside its folder.
    """
    try:
        graph = parse_graph(path)
    except LoadError:  # whoever reads it says so
        return (path,)
    outside = (one for one in _tensors(graph) if _is_external(one))
    names = {_facts(one).get("location", "") for one in outside}
    return (path, *(part for name in sorted(names) if (part := _part(path, name)).is_file()))


def read_graph(path: Path) -> onnx.ModelProto:
    """Reads a graph with all its weights.

    Raises:
        LoadError: If it is no graph, is cut off, names data that is missing or lies outside its
            folder, or holds a weight that is not a finite number.
    """
    graph = _whole(path)
    for tensor in _tensors(graph):
        if _is_external(tensor):
            _fill(tensor, path)
        check_finite(tensor, path)
    return graph


def check_graph(path: Path) -> onnx.ModelProto:
    """Looks through a graph that this library did not write, and returns it without its data.

    Raises:
        LoadError: As `read_graph`.
    """
    import onnx

    graph = _whole(path)
    for tensor in _tensors(graph):
        if not _is_external(tensor):
            check_finite(tensor, path)
            continue
        copy = onnx.TensorProto()
        copy.CopyFrom(tensor)
        _fill(copy, path)
        check_finite(copy, path)
    return graph


def write_graph(graph: onnx.ModelProto, path: Path) -> None:
    """Writes a graph; the weights of one above `LARGEST_FILE` bytes go to `DATA_NAME` beside it.

    Args:
        graph: Not changed.
        path: The file; its folder is made.
    """
    import onnx

    path.parent.mkdir(parents=True, exist_ok=True)
    if graph.ByteSize() <= LARGEST_FILE:
        onnx.save_model(graph, str(path))
        return
    apart = onnx.ModelProto()
    apart.CopyFrom(graph)  # the library empties the tensors that it writes
    onnx.save_model(
        apart,
        str(path),
        save_as_external_data=True,
        location=DATA_NAME,
        size_threshold=_SMALL_TENSOR,
    )


def check_finite(tensor: onnx.TensorProto, path: Path) -> None:
    """Fails with a LoadError if a graph's weight holds NaN or infinity.

    A single number may be infinite, and so may a mask: exporters write what is added to the
    scores of tokens that may not be seen as a constant. A weight has two kinds of values at most
    only by accident, so a tensor of nothing but minus infinity and one other value is no weight.
    """
    from onnx import numpy_helper

    from bertcompress.numerics.finite import all_finite

    try:
        values = numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError) as error:
        raise LoadError(
            f"{path} holds no values that fit the weight {tensor.name}: {error}; copy or make it "
            "again"
        ) from error
    if tensor.data_type not in _float_types() or all_finite(values) or _is_mask(values):
        return
    raise LoadError(
        f"{path} holds NaN or infinity in the weight {tensor.name}, so its answers mean nothing; "
        "copy or download it again, or export the model again in float32"
    )


def _is_mask(values: NDArray[np.generic]) -> bool:
    import numpy as np

    if values.size == 1:
        return not np.isnan(values.astype(np.float32)).any()
    kinds = np.unique(values.astype(np.float32))
    is_mask = len(kinds) <= 2 and float(kinds[0]) == -np.inf
    return is_mask and bool(np.isfinite(kinds[1:]).all())


def _float_types() -> tuple[int, ...]:
    from onnx import TensorProto

    return (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)


def _whole(path: Path) -> onnx.ModelProto:
    graph = parse_graph(path)
    if not graph.graph.node:
        raise LoadError(f"{path} is an empty graph; make the artifact again")
    return graph


def parse_graph(path: Path) -> onnx.ModelProto:
    """Reads a graph without the data that lies in other files.

    Raises:
        LoadError: If it is no graph, is cut off, or a node waits for its own output: whoever
            follows names through such a graph never ends.
    """
    graph = _parsed(path)
    _check_order(graph, path)
    return graph


@contextmanager
def sound_graph(path: Path) -> Iterator[None]:
    """Tells what work on a stranger's graph raises in the block.

    Its shapes, attributes and names may be anything, and ONNX has errors of its own for them.

    Raises:
        LoadError: Anything was raised.
    """
    try:
        yield
    except BertCompressError:
        raise
    except Exception as error:
        raise LoadError(
            f"{path} is not a sound graph ({type(error).__name__}: {error}); export the model again"
        ) from error


def _check_order(graph: onnx.ModelProto, path: Path) -> None:
    makers = {name: at for at, node in enumerate(graph.graph.node) for name in node.output if name}
    needs = {
        at: {makers[name] for name in node.input if name in makers}
        for at, node in enumerate(graph.graph.node)
    }
    try:
        graphlib.TopologicalSorter(needs).prepare()
    except graphlib.CycleError as error:
        name = graph.graph.node[error.args[1][0]].name
        raise LoadError(
            f"{path} is not a sound graph: its node {name!r} waits for its own output; copy or "
            "make it again"
        ) from error


def _parsed(path: Path) -> onnx.ModelProto:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # no stubs

    try:
        return onnx.load_model(str(path), load_external_data=False)
    except (DecodeError, OSError) as error:
        raise LoadError(
            f"{path} is not an ONNX model, or is cut off: {' '.join(str(error).split())}; copy or "
            "make it again"
        ) from error


def _tensors(graph: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Yields all constants: initializers, and those in nodes and their subgraphs."""
    waiting = [graph.graph]
    while waiting:
        part = waiting.pop()
        yield from part.initializer
        for node in part.node:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    yield attribute.t
                if attribute.HasField("g"):
                    waiting.append(attribute.g)
                waiting.extend(attribute.graphs)


def _is_external(tensor: onnx.TensorProto) -> bool:
    return bool(tensor.data_location == tensor.EXTERNAL)


def _facts(tensor: onnx.TensorProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}


def _part(path: Path, name: str) -> Path:
    """Returns the file of external data, which has to be the graph's own."""
    model = path.parent.parent if path.parent.name == "onnx" else path.parent
    try:
        return inner_path(path.parent, name, within=model)
    except ValueError as error:
        raise LoadError(
            f"{path} wants its weights from {name or 'a file without a name'}, which is not in its "
            "folder, and is not read; put the file beside the graph, or ask for another export"
        ) from error


def _number(facts: Mapping[str, str], key: str, usual: int, path: Path) -> int:
    """Returns an offset or a length of external data."""
    said = facts.get(key)
    if said is None:
        return usual
    if not (said.isascii() and said.isdecimal() and len(said) < _DIGITS):
        raise LoadError(
            f"{path} has the {key} {said[:_DIGITS]!r} for the data of a weight; copy or make it "
            "again"
        )
    return int(said)


def _fill(tensor: onnx.TensorProto, path: Path) -> None:
    """Reads a tensor's data into it."""
    facts = _facts(tensor)
    part = _part(path, facts.get("location", ""))
    wanted, offset = _number(facts, "length", -1, path), _number(facts, "offset", 0, path)
    try:
        size = part.stat().st_size
        with part.open("rb") as file:
            file.seek(offset)
            data = file.read(wanted if wanted <= size else -1)
    except FileNotFoundError as error:
        raise LoadError(
            f"{path} keeps its weights in {part.name}, which is missing; copy it from the original "
            f"to {part.parent}"
        ) from error
    except OSError as error:
        raise LoadError(f"{part} can't be read: {reason(error)}; copy it again") from error
    if wanted > len(data):
        raise LoadError(
            f"{part} is cut off: {tensor.name} has {wanted} bytes in it and {len(data)} are left; "
            "copy or download it again"
        )
    tensor.raw_data = data
    del tensor.external_data[:]
    tensor.data_location = tensor.DEFAULT
