"""ONNX Runtime: the only home of ``onnxruntime``, besides the recipes of the peers.

The provider asked for is the provider that runs; nothing falls back (`checks`). Threads are
set, never left to the library: its own choice counts the machine's cores, not those the process
may use.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from bertcompress.errors import MissingDependencyError, MissingHardwareError, RunError
from bertcompress.machine.gpus import require_gpu
from bertcompress.runtimes.base import Arrays, CheckedRuntime, TensorSpec
from bertcompress.runtimes.buckets import LENGTHS, shape_of
from bertcompress.runtimes.fitting import IN_MEMORY, ModelFacts
from bertcompress.runtimes.ort.binding import BoundRuns
from bertcompress.runtimes.ort.checks import (
    RECORD_PLACEMENT,
    check_packages,
    check_session,
    precisions_of,
    prepared,
)
from bertcompress.runtimes.ort.providers import PROVIDERS, ProviderSettings

if TYPE_CHECKING:
    import onnx

_CPU = ProviderSettings()
_TYPES = {
    **{f"{sign}int{bits}": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
    **{"float16": "float16", "float": "float32", "double": "float64", "bool": "bool"},
}
"""ONNX Runtime's element types by NumPy's names."""
_QUIET = 3  # errors only: the rest is said by the audit and the report


def import_onnxruntime(purpose: str) -> ModuleType:
    """Imports the library, or fails with the sentence that says how to install it."""
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError("onnxruntime", "cpu", purpose) from error
    return cast("ModuleType", onnxruntime)


def check_provider(name: str) -> None:
    """Fails if a provider for GPUs can't be here at all; a session tells the rest.

    Args:
        name: The runtime's name, ``ort-cuda`` or ``ort-tensorrt``.

    Raises:
        MissingDependencyError: If onnxruntime-gpu is not installed, or not alone.
        MissingHardwareError: If there is no GPU, or the library has no such provider.
    """
    require_gpu(name)
    check_packages()
    ort = import_onnxruntime("running an ONNX graph on a GPU")
    wanted = next(full for short, full in PROVIDERS.items() if name.endswith(short))
    if wanted not in ort.get_available_providers():
        raise MissingHardwareError(
            f"this ONNX Runtime was built without {wanted}; it has "
            f"{', '.join(ort.get_available_providers())}; leave --runtime out"
        )


@dataclass(frozen=True)
class Audit:
    """What is asked of a session by those who look into it.

    Attributes:
        optimized_path: Where to write the graph as the runtime optimized it.
        trace_prefix: Where to write how long each operator took, once `end_trace` is called; the
            runtime adds to the name. Runs are a little slower then.
        as_written: Whether each operator runs as it stands in the graph, none fused or folded.
        anywhere: Whether only such fusions are made as hold on any CPU.
    """

    optimized_path: Path | None = None
    trace_prefix: Path | None = None
    as_written: bool = False
    anywhere: bool = False


_NO_AUDIT = Audit()


class OrtRuntime(CheckedRuntime):
    """Runs one graph.

    Args:
        model: The graph's file, or its serialized bytes.
        threads: Threads of one run.
        settings: The provider, and how it runs; the CPU's if left out.
        audit: What is wanted beside the answers.
        facts: What is known of the model whose graph it is, see `bertcompress.runtimes.fitting`;
            None for a graph that is fed as it declares.
    """

    library = "ONNX Runtime"

    def __init__(
        self,
        model: Path | bytes,
        *,
        threads: int,
        settings: ProviderSettings = _CPU,
        audit: Audit = _NO_AUDIT,
        facts: ModelFacts | None = None,
    ) -> None:
        super().__init__(facts)
        self.longest, self.max_batch = settings.longest, None
        if settings.provider == "tensorrt":
            self.max_batch, self.longest = settings.shapes.most
        self.name = f"ort-{settings.provider}"
        self._model = model
        self._settings = settings
        self._bound: BoundRuns | None = None
        self._audit = audit
        self._threads = threads
        self._session: Any = None

    def __enter__(self) -> Self:
        ort = import_onnxruntime("running an ONNX graph")
        source = self._model if isinstance(self._model, bytes) else str(self._model)
        if isinstance(source, str) and not Path(source).is_file():
            raise RunError(f"there is no graph {source}")
        on_gpu = self._settings.provider != "cpu"
        graph = None
        if on_gpu:
            check_provider(self.name)
            graph = prepared(ort, self._settings, source)
        providers = self._settings.options(())
        if graph is not None:
            names = [one.name for one in graph.graph.input]
            providers = self._settings.options(names, precisions_of(graph))
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # where it tells of providers left out
                self._session = ort.InferenceSession(
                    source, self._options(ort), providers=providers
                )
        except _ort_errors() as error:
            what = source if isinstance(source, str) else "the graph"
            raise RunError(f"ONNX Runtime can't load {what}: {_first_line(error)}") from error
        if graph is not None:
            check_session(self._session, self._settings, graph)
            self._bound = BoundRuns(
                ort,
                self._session,
                device="cuda",
                longest=self._settings.longest or LENGTHS[-1],
                graphs=self._settings.graphs,
            )
        self._open_for(
            (_spec(value) for value in self._session.get_inputs()),
            (value.name for value in self._session.get_outputs()),
        )
        return self

    def _options(self, ort: ModuleType) -> Any:
        options = ort.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _QUIET
        if self._settings.provider != "cpu":
            options.add_session_config_entry(RECORD_PLACEMENT, "1")
        audit = self._audit
        if audit.as_written:
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        if audit.anywhere:
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        if audit.optimized_path is not None:
            options.optimized_model_filepath = str(audit.optimized_path)
        if audit.trace_prefix is not None:
            options.enable_profiling = True
            options.profile_file_prefix = str(audit.trace_prefix)
        return options

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()
        self._session, self._bound = None, None

    def _run(self, feed: Arrays) -> dict[str, NDArray[np.generic]]:
        try:
            if self._bound is not None:
                self._settings.check_shape(shape_of(feed))
                return self._bound.run(feed)
            values = self._session.run(None, dict(feed))
        except _ort_errors() as error:
            raise RunError(f"ONNX Runtime refused the inputs: {_first_line(error)}") from error
        return dict(zip(self._output_names, values, strict=True))

    def end_trace(self) -> Path:
        """Ends the trace that was asked for by `Audit.trace_prefix` and returns its file.

        Raises:
            RunError: If the runtime was not entered.
        """
        self._check_open()
        return Path(self._session.end_profiling())


def optimized_graph(graph: onnx.ModelProto, *, threads: int = 1) -> onnx.ModelProto:
    """Returns the graph as ONNX Runtime runs it on this machine, after all its fusions."""
    import tempfile

    import onnx

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optimized.onnx"
        with OrtRuntime(
            graph.SerializeToString(), threads=threads, audit=Audit(optimized_path=path)
        ):
            pass
        return onnx.load_model(str(path))


def ort_format(graph: onnx.ModelProto) -> bytes:
    """Returns the graph in ORT format, after the fusions that hold on any CPU."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.ort"  # its end says which format is written
        content = graph.SerializeToString()
        with OrtRuntime(content, threads=1, audit=Audit(optimized_path=path, anywhere=True)):
            pass
        return path.read_bytes()


def run_graph(
    graph: onnx.ModelProto | bytes,
    feeds: list[Mapping[str, NDArray[np.generic]]],
    *,
    threads: int = 1,
    as_written: bool = False,
) -> list[dict[str, NDArray[np.generic]]]:
    """Runs a graph that is in memory over several feeds; inputs it lacks are left out."""
    content = graph if isinstance(graph, bytes) else graph.SerializeToString()
    audit = Audit(as_written=as_written)
    with OrtRuntime(content, threads=threads, audit=audit, facts=IN_MEMORY) as runtime:
        return [runtime.run({name: feed[name] for name in runtime.input_names}) for feed in feeds]


def _spec(value: Any) -> TensorSpec:
    """Returns an input as ONNX Runtime describes it: ``tensor(int64)``, ``['batch', 8, None]``."""
    kind = value.type.removeprefix("tensor(").removesuffix(")")
    return TensorSpec(value.name, _TYPES.get(kind), tuple(value.shape or ()))


def _ort_errors() -> tuple[type[Exception], ...]:
    """ONNX Runtime's errors share no base but Exception; its binding module lists them."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    named = (
        "Fail",
        "InvalidArgument",
        "InvalidGraph",
        "InvalidProtobuf",
        "NoSuchFile",
        "NotImplemented",
        "RuntimeException",
        "EPFail",
    )
    found = [getattr(state, name) for name in named if hasattr(state, name)]
    return (*found, ValueError)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
