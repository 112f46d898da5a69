"""A TensorRT engine from a graph: shapes and memory are settings, precision is not.

The precision is the graph's: put `QuantizeTensorrt` before this pass. An engine belongs to the
machine that it is built on; the artifact keeps the graph beside it, which runs anywhere.

Before TensorRT is asked, the graph is held to the rules of `bertcompress.graph.tensorrt.lint` for
what is installed. Afterwards the engine's answers are compared with those of the very same graph in
ONNX Runtime, each operator's result rounded as the graph says (`bertcompress.graph.half.emulated`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from bertcompress.artifacts.artifact import Engine, Kind, OnnxModel
from bertcompress.artifacts.engine_record import HARDWARE, EngineRecord, Hardware, Platform, Profile
from bertcompress.bert.families import longest_text
from bertcompress.errors import BuildError, UsageError
from bertcompress.files import write_whole
from bertcompress.graph.fingerprint import graph_sha256
from bertcompress.inference.texts import Texts
from bertcompress.passes.base import Pass
from bertcompress.passes.context import Context
from bertcompress.passes.settings import PATH, Need, check_choice, part_of
from bertcompress.passes.tensorrt.builder import Built, build_plan
from bertcompress.passes.tensorrt.engine_parity import EngineFigures, check_engine
from bertcompress.passes.tensorrt.knobs import (
    Knobs,
    check_goal,
    check_graph,
    is_strongly_typed,
    precisions_of,
)
from bertcompress.passes.tensorrt.layers import precision_counts
from bertcompress.passes.tensorrt.profiles import GOALS, Goal, engine_profiles
from bertcompress.passes.tensorrt.progress import BuildProgress
from bertcompress.runtimes.tensorrt.library import built_graph, import_tensorrt, platform_here

Shape = tuple[int, int]


@dataclass(frozen=True)
class EngineDetails:
    """What a build tells.

    Attributes:
        built_for: The GPU and the version of TensorRT.
        typing: What decides the precisions.
        profiles: The smallest, the timed and the largest ``[batch, length]`` of each.
        layers_by_precision: The number of layers that compute in each.
        parity: How far the answers are from the graph's.
    """

    built_for: str
    typing: str
    profiles: tuple[tuple[Shape, ...], ...]
    layers_by_precision: Mapping[str, int]
    parity: EngineFigures


@dataclass(frozen=True)
class BuildEngine(Pass[OnnxModel, Engine]):
    """Builds a TensorRT engine for this machine.

    Attributes:
        goal: ``latency``: one text at a time; ``throughput``: batches; ``packed``: batches without
            padding, from TensorRT 11.1 on.
        lengths: The longest text of each profile, ascending; 16 to 512 as far as the texts reach
            if empty (all in one if packed).
        batches: The largest batch of each profile, ascending; 1, or 8, 32 and 128 if empty.
        max_length: Where longer texts are cut, tokens; the model's own limit up to 512 if None.
        workspace_bytes: See `bertcompress.passes.tensorrt.knobs.Knobs`, for this and the next.
        optimization_level: 0 to 5.
        max_aux_streams: 0 or more.
        max_num_tactics: 1 or more.
        tf32: Off by default, so that a float32 graph is computed in float32.
        strip: Leaves the weights out of the plan.
        version_compatible: For newer versions of TensorRT too.
        hardware: For other GPUs too.
        timing_cache: A file of how long each kernel took for each layer: read if it is there,
            written after the build. TensorRT refuses one of another kind of GPU or version.
        tolerance: Largest difference to the graph's answers, relative to the largest answer; if
            None, 0.25 for 8 bits, 0.05 for half precision and 0.005 for float32.
        seed: Draws the inputs that answers are compared on.
    """

    goal: Goal = "latency"
    lengths: tuple[int, ...] = ()
    batches: tuple[int, ...] = ()
    max_length: int | None = None
    workspace_bytes: int | None = None
    optimization_level: int | None = None
    max_aux_streams: int | None = None
    max_num_tactics: int | None = None
    tf32: bool = False
    strip: bool = False
    version_compatible: bool = False
    hardware: Hardware = "none"
    timing_cache: str | None = field(default=None, metadata=PATH)
    tolerance: float | None = None
    seed: int = 0

    consumes: ClassVar[Kind] = "onnx"
    produces: ClassVar[Kind] = "engine"

    def __post_init__(self) -> None:
        check_choice("goal", self.goal, GOALS)
        check_choice("hardware", self.hardware, HARDWARE)
        level = self.optimization_level
        if level is not None and not 0 <= level <= 5:
            raise UsageError(f"optimization_level must be 0 to 5, got {level}")
        for name, least in (
            *(("max_length", 2), ("workspace_bytes", 1)),
            *(("max_aux_streams", 0), ("max_num_tactics", 1)),
        ):
            number = getattr(self, name)
            if number is not None and number < least:
                raise UsageError(f"{name} must be {least} or more, got {number}")
        if self.tolerance is not None and not self.tolerance > 0:
            raise UsageError(f"tolerance must be above 0, got {self.tolerance}")
        if self.lengths:  # before any data is read
            engine_profiles((), goal=self.goal, ceilings=self.lengths, batches=self.batches)

    @property
    def knobs(self) -> Knobs:
        """The builder's settings."""
        return part_of(self, Knobs)

    @property
    def needs(self) -> tuple[Need, ...]:
        """The lengths of texts like those that will come, and the machine it is built on."""
        return ("examples", "machine")

    def apply(self, model: OnnxModel, context: Context) -> tuple[Engine, EngineDetails]:
        """Returns the engine.

        Raises:
            MissingError: TensorRT is not installed, or too old for the goal.
            MissingHardwareError: There is no NVIDIA GPU.
            UsageError: If nothing says how long texts are, the profiles do not hold them, or a
                setting is one that the installed TensorRT does not have.
            ExportError: If the graph can't be packed.
            BuildError: If TensorRT can't make an engine of the graph.
            ParityError: If the engine answers differently.
        """
        trt = import_tensorrt("building an engine")
        check_goal(trt, self.goal)
        here = platform_here(trt)
        profiles = self._profiles(model, context)
        check_graph(trt, model, profiles)
        cache = Path(self.timing_cache) if self.timing_cache is not None else None
        built = build_plan(
            trt,
            built_graph(model.graph, self.goal),
            profiles,
            self.knobs,
            precisions=precisions_of(model),
            timing_cache=_read_cache(cache),
            progress=BuildProgress(context.progress),
        )
        _write_cache(cache, built.timing_cache)
        engine = Engine(
            model.graph,
            model.config,
            model.tokenizer,
            model.task,
            built.plan,
            self._record(model, here, profiles, built),
            model.history,
            model.side_files,
        )
        parity = check_engine(engine, tolerance=self.tolerance, seed=self.seed)
        record = replace(engine.record, parity=asdict(parity))
        details = EngineDetails(
            built_for=f"{here.gpu}, TensorRT {here.tensorrt}",
            typing="by the graph" if is_strongly_typed(trt) else _flags_text(built.flags),
            profiles=tuple((shapes.least, shapes.opt, shapes.most) for shapes in profiles),
            layers_by_precision=precision_counts(built.layers),
            parity=parity,
        )
        return replace(engine, record=record), details

    def _profiles(self, model: OnnxModel, context: Context) -> tuple[Profile, ...]:
        limit = longest_text(model.config)
        texts = Texts.of(model, context.examples, max_length=self.max_length)
        return engine_profiles(
            [feature.length for feature in texts.features],
            goal=self.goal,
            ceilings=self.lengths,
            batches=self.batches,
            longest=limit,
        )

    def _record(
        self, model: OnnxModel, here: Platform, profiles: tuple[Profile, ...], built: Built
    ) -> EngineRecord:
        steps = [[step.name, step.settings, step.data] for step in model.history]
        recipe = json.dumps(steps, default=str)
        return EngineRecord(
            graph_sha256=graph_sha256(model.graph),
            recipe_sha256=hashlib.sha256(recipe.encode()).hexdigest(),
            platform=here,
            profiles=profiles,
            knobs={**asdict(self.knobs), "goal": self.goal, "flags": list(built.flags)},
            plan_sha256=hashlib.sha256(built.plan).hexdigest(),
            layers=built.layers,
            log_sha256=built.log_sha256,
            seconds=built.seconds,
        )


def _flags_text(flags: tuple[str, ...]) -> str:
    return f"by the builder's flags {' and '.join(flags) or 'none'}, as the graph asks for"


def _read_cache(path: Path | None) -> bytes | None:
    """Returns a cache's content, empty if the file is not there yet; None for no cache.

    Raises:
        BuildError: If the file can't be read.
    """
    if path is None:
        return None
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise BuildError(f"can't read the timing cache {path}: {error.strerror}") from error


def _write_cache(path: Path | None, content: bytes) -> None:
    """Writes a cache, whole or not at all; does nothing where there is none.

    Raises:
        BuildError: If it can't be written.
    """
    if path is None:
        return
    try:
        write_whole(path, content)
    except OSError as error:
        raise BuildError(f"could not write the timing cache {path}: {error.strerror}") from error
