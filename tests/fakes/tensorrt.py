"""A stand-in for ``tensorrt`` with the exact surface of one of its releases.

`make_tensorrt` gives a module whose classes have the names that the release's Python bindings
have, listed in ``tensorrt_api.json``, and no other: what was removed or is not there yet raises
AttributeError, on classes as on instances, also when it is set. Listed names that the tests do not
need raise NotImplementedError when they are called.

What is built is a plan of JSON that holds the ONNX model, and running it runs that model in ONNX
Runtime, reading inputs and writing outputs at the addresses that were set. ``module.state`` is the
tests' own door: what the builder was told, and what it shall do.
"""

from __future__ import annotations

import base64
import ctypes
import enum
import hashlib
import json
import weakref
from collections.abc import Callable, Mapping
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnx

API: dict[str, dict[str, str]] = json.loads(
    Path(__file__).with_name("tensorrt_api.json").read_text(encoding="utf-8")
)
VERSIONS = tuple(API)
_ENUMS = (
    *("BuilderFlag", "NetworkDefinitionCreationFlag", "MemoryPoolType", "ProfilingVerbosity"),
    *("HardwareCompatibilityLevel", "PreviewFeature", "DataType", "TensorIOMode"),
    *("LayerInformationFormat", "ExecutionContextAllocationStrategy", "AttentionIOForm"),
)
_ONNX_TYPES = {1: "FLOAT", 10: "HALF", 7: "INT64", 6: "INT32", 9: "BOOL", 16: "BF16"}
_NUMPY = {"FLOAT": "float32", "HALF": "float16", "INT64": "int64", "INT32": "int32"}


class State(SimpleNamespace):
    """What the builder was told, and what it shall do.

    Attributes:
        queue: Does work on the device, or keeps it while a CUDA graph is captured.
        no_device: Whether the builder can't be made.
        no_plan: Whether building gives nothing.
        parser_errors: Sentences, each with a node's number: parsing fails.
        on_step: Called at each step of a build.
        foreign_cache: Whether timing caches are refused.
        noise: Added to all answers.
        refused: Names of methods that return False.
        output_type: A type that outputs are said to have.
        configs, networks, profiles, refits, contexts: What was made, or how often.
    """


def make_tensorrt(version: str) -> Any:
    """Returns the module of a release."""
    module: Any = ModuleType("tensorrt")
    module.__version__ = version
    module.__spec__ = ModuleSpec("tensorrt", None)  # torch asks for it
    module.state = State(
        queue=lambda work: work(),
        no_device=False,
        no_plan=False,
        parser_errors=[],
        on_step=lambda: None,
        foreign_cache=False,
        noise=0.0,
        refused=(),
        output_type="",
        configs=[],
        networks=[],
        profiles=[],
        refits=0,
        contexts=0,
        strong=False,
    )
    listed = {name: names.split() for name, names in API[version].items()}
    for name in _ENUMS:
        if name in listed:
            members = [one for one in listed[name] if one not in ("name", "value")]
            setattr(module, name, enum.IntEnum(name, members, start=0))
    severity = enum.IntEnum(
        "Severity", ["INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE"], start=0
    )
    for name, parts in _classes(module).items():
        if name in listed:
            setattr(module, name, _surface(name, listed[name], parts, version))
    for one in severity:
        setattr(module.ILogger, one.name, one)
    return module


def _surface(name: str, listed: list[str], parts: Mapping[str, Any], version: str) -> type:
    """Makes a class with the listed names; those without a part of ours can't be called."""
    allowed = {*listed, *(one for one in parts if one.startswith("_"))}

    def missing(one: str) -> Callable[..., None]:
        def call(self: object, *arguments: object) -> None:
            raise NotImplementedError(f"the fake {name}.{one} does nothing")

        return call

    def guard(self: object, one: str, value: object) -> None:
        if not one.startswith("_") and one not in allowed and type(self).__name__ == name:
            raise AttributeError(f"TensorRT {version}: {name} has no {one}")
        object.__setattr__(self, one, value)

    body = {one: parts.get(one, missing(one)) for one in listed}
    own = {one: part for one, part in parts.items() if one.startswith("_")}
    return type(name, (), {**body, **own, "__setattr__": guard})


def _classes(trt: Any) -> dict[str, dict[str, Any]]:
    return {
        "ILogger": {"__init__": lambda self: None},
        "IProgressMonitor": {"__init__": lambda self: None},
        **_building(trt),
        **_parsing(trt),
        **_running(trt),
    }


def _building(trt: Any) -> dict[str, dict[str, Any]]:
    state = trt.state

    def builder(self: Any, logger: Any) -> None:
        if state.no_device:
            logger.log(trt.ILogger.ERROR, "CUDA initialization failure with error: 35")
            raise TypeError("pybind11::init(): factory function returned nullptr")
        self._logger = logger

    def create_network(self: Any, flags: int = 0) -> Any:
        kinds = trt.NetworkDefinitionCreationFlag
        strong = getattr(kinds, "STRONGLY_TYPED", None)
        explicit = getattr(kinds, "EXPLICIT_BATCH", None)
        known = [one for one in (strong, explicit) if one is not None]
        assert flags == 1 << int(known[0])
        network = trt.INetworkDefinition()
        network._model = None
        state.strong = strong is not None
        state.networks.append(network)
        return network

    def create_builder_config(self: Any) -> Any:
        config = trt.IBuilderConfig()
        config._flags, config._profiles, config._pools = {trt.BuilderFlag.TF32}, [], {}
        config._previews, config._cache = {}, None
        state.configs.append(config)
        return config

    def create_profile(self: Any) -> Any:
        profile = trt.IOptimizationProfile()
        profile._shapes = {}
        return profile

    def build(self: Any, network: Any, config: Any) -> bytes | None:
        self._logger.log(trt.ILogger.INFO, "building")
        self._logger.log(trt.ILogger.VERBOSE, "is not kept")
        if not _steps(config) or state.no_plan:
            self._logger.log(trt.ILogger.ERROR, "no kernel\nfits")
            return None
        return _plan(trt, network, config)

    def _steps(config: Any) -> bool:
        monitor = config.__dict__.get("progress_monitor")
        if monitor is None:
            state.on_step()
            return True
        monitor.phase_start("Building", None, 4)
        monitor.phase_start("Tactics", "Building", 2)
        going = True
        for step in range(4):
            state.on_step()
            going = going and monitor.step_complete("Building", step)
            monitor.step_complete("Tactics", step)
        monitor.phase_finish("Tactics")
        monitor.phase_finish("Building")
        return going

    def set_cache(self: Any, cache: Any, ignore_mismatch: bool) -> bool:
        assert ignore_mismatch is False
        self._cache = cache
        return not state.foreign_cache

    def create_cache(self: Any, content: bytes) -> Any:
        cache = trt.ITimingCache()
        cache._content = content
        return cache

    def add_profile(self: Any, profile: Any) -> int:
        if "add_optimization_profile" in state.refused:
            return -1
        self._profiles.append(profile._shapes)
        state.profiles.append(profile._shapes)
        return len(self._profiles) - 1

    return {
        "Builder": {
            "__init__": builder,
            "create_network": create_network,
            "create_builder_config": create_builder_config,
            "create_optimization_profile": create_profile,
            "build_serialized_network": build,
        },
        "INetworkDefinition": {
            "num_inputs": property(lambda self: len(self._model.graph.input)),
            "get_input": lambda self, at: SimpleNamespace(name=self._model.graph.input[at].name),
        },
        "IBuilderConfig": {
            "set_flag": lambda self, flag: self._flags.add(flag),
            "clear_flag": lambda self, flag: self._flags.discard(flag),
            "set_memory_pool_limit": lambda self, pool, size: self._pools.update({pool: size}),
            "set_preview_feature": lambda self, one, on: self._previews.update({one: on}),
            "create_timing_cache": create_cache,
            "set_timing_cache": set_cache,
            "get_timing_cache": lambda self: self._cache,
            "add_optimization_profile": add_profile,
        },
        "IOptimizationProfile": {
            "set_shape": lambda self, name, *shapes: self._shapes.update({name: shapes}),
        },
        "ITimingCache": {"serialize": lambda self: self._content + b"+timed"},
    }


def _parsing(trt: Any) -> dict[str, dict[str, Any]]:
    state = trt.state

    def parser(self: Any, network: Any, logger: Any) -> None:
        self._network = network

    def parse(self: Any, content: bytes) -> bool:
        self._network._model = onnx.load_from_string(content)
        return not state.parser_errors

    def get_error(self: Any, at: int) -> Any:
        node, sentence = state.parser_errors[at]
        error = trt.ParserError()
        error._node, error._sentence = node, sentence
        error._model = getattr(self, "_network", None) and self._network._model
        return error

    def node_of(self: Any) -> Any:
        return self._model.graph.node[self._node]

    def refit(self: Any, content: bytes) -> bool:
        state.refits += 1
        engine = self._engine
        if hashlib.sha256(content).hexdigest() != engine._plan["weights"]:
            return False
        engine._model = onnx.load_from_string(content)
        return not state.parser_errors

    def refitter_of(self: Any, refitter: Any, logger: Any) -> None:
        self._engine = refitter._engine

    return {
        "OnnxParser": {
            "__init__": parser,
            "parse": parse,
            "num_errors": property(lambda self: len(state.parser_errors)),
            "get_error": get_error,
        },
        "ParserError": {
            "desc": lambda self: self._sentence,
            "node": lambda self: self._node,
            "node_name": lambda self: node_of(self).name,
            "node_operator": lambda self: node_of(self).op_type,
        },
        "Refitter": {
            "__init__": lambda self, engine, logger: setattr(self, "_engine", engine),
            "refit_cuda_engine": lambda self: "refit_cuda_engine" not in state.refused,
            "get_all_weights": lambda self: ["weight"],
        },
        "OnnxParserRefitter": {
            "__init__": refitter_of,
            "refit_from_bytes": refit,
            "num_errors": property(lambda self: len(state.parser_errors)),
            "get_error": get_error,
        },
    }


def _plan(trt: Any, network: Any, config: Any) -> bytes:
    content = network._model.SerializeToString()
    stripped = "STRIP_PLAN" in {flag.name for flag in config._flags}
    plan = {
        "version": trt.__version__,
        "model": "" if stripped else base64.b64encode(content).decode(),
        "weights": hashlib.sha256(content).hexdigest(),
        "profiles": config._profiles,
        "host code": "VERSION_COMPATIBLE" in {flag.name for flag in config._flags},
        "tensors": [
            *_tensors(trt, network._model.graph.input, "INPUT"),
            *_tensors(trt, network._model.graph.output, "OUTPUT"),
        ],
        "layers": [node.name for node in network._model.graph.node if node.op_type == "MatMul"],
    }
    return json.dumps(plan).encode()


def _tensors(trt: Any, values: Any, mode: str) -> list[list[str]]:
    rows = []
    for value in values:
        kind = _ONNX_TYPES[value.type.tensor_type.elem_type]
        known = hasattr(trt.DataType, kind)  # without INT64 the parser makes INT32 of it
        kind = kind if known else "INT32"
        if mode == "OUTPUT" and trt.state.output_type:
            kind = trt.state.output_type
        rows.append([value.name, mode, kind])
    return rows


def _running(trt: Any) -> dict[str, dict[str, Any]]:
    state = trt.state

    def deserialize(self: Any, content: bytes) -> Any:
        try:
            plan = json.loads(content)
        except ValueError:
            self._logger.log(trt.ILogger.ERROR, "magic tag does not match")
            return None
        if plan["host code"] and not self.__dict__.get("engine_host_code_allowed"):
            self._logger.log(trt.ILogger.ERROR, "host code is not allowed")
            return None
        if "deserialize_cuda_engine" in state.refused:
            return None
        engine = trt.ICudaEngine()
        engine._plan = plan
        content = base64.b64decode(plan["model"])
        engine._model = onnx.load_from_string(content) if content else None
        engine._contexts = []
        return engine

    def inspector(self: Any) -> Any:
        made = trt.EngineInspector()
        made._engine = self
        return made

    def information(self: Any, form: Any) -> str:
        assert form == trt.LayerInformationFormat.JSON
        new = not hasattr(trt.Builder, "platform_has_fast_int8")  # 11 and later
        half = {"Name": "t", "Format": "linear", "DataType": "Half"}
        if not new:
            half = {"Name": "t", "Format/Datatype": "Row major linear FP16 format"}
        layers = [
            {"Name": name, "LayerType": "gemm", "Inputs": [half], "Outputs": [half]}
            for name in self._engine._plan["layers"]
        ]
        return json.dumps({"Layers": layers, ("I/O Tensors" if new else "Bindings"): []})

    return {
        "Runtime": {
            "__init__": lambda self, logger: setattr(self, "_logger", logger),
            "deserialize_cuda_engine": deserialize,
        },
        "EngineInspector": {"get_engine_information": information},
        "ICudaEngine": {
            "create_engine_inspector": inspector,
            "num_io_tensors": property(lambda self: len(self._plan["tensors"])),
            "get_tensor_name": lambda self, at: self._plan["tensors"][at][0],
            "get_tensor_mode": lambda self, name: getattr(trt.TensorIOMode, _tensor(self, name)[1]),
            "get_tensor_dtype": lambda self, name: getattr(trt.DataType, _tensor(self, name)[2]),
            "device_memory_size": property(lambda self: 4096),
            "device_memory_size_v2": property(lambda self: 4096),
            "create_execution_context": _context_maker(trt),
            "create_execution_context_without_device_memory": _context_maker(trt),
        },
        "IExecutionContext": _context(trt),
    }


def _tensor(engine: Any, name: str) -> list[str]:
    return next(one for one in engine._plan["tensors"] if one[0] == name)


def _context_maker(trt: Any) -> Callable[..., Any]:
    def make(engine: Any, strategy: Any = None) -> Any:
        if "create_execution_context" in trt.state.refused:
            return None
        if hasattr(trt, "ExecutionContextAllocationStrategy"):
            assert strategy == trt.ExecutionContextAllocationStrategy.USER_MANAGED
        context = trt.IExecutionContext()
        context._engine, context._shapes, context._addresses = engine, {}, {}
        context._memory = 0
        context._profile = None if engine._contexts else 0  # the first begins with a profile
        engine._contexts.append(weakref.ref(context))
        trt.state.contexts += 1
        return context

    return make


def _context(trt: Any) -> dict[str, Any]:
    state = trt.state
    shares = hasattr(trt, "HardwareCompatibilityLevel")  # from 8.6 on

    def set_shape(self: Any, name: str, shape: tuple[int, ...]) -> bool:
        if self._profile is None:
            return False
        least, _, most = self._engine._plan["profiles"][self._profile][name]
        inside = all(a <= b <= c for a, b, c in zip(least, shape, most, strict=True))
        self._shapes[name] = tuple(shape)
        return inside and "set_input_shape" not in state.refused

    def set_profile(self: Any, at: int, stream: int) -> bool:
        assert stream == 77
        others = [one() for one in self._engine._contexts if one() not in (None, self)]
        if not shares and any(one._profile == at for one in others):
            return False
        self._profile, self._shapes = at, {}
        return True

    def shape_of(self: Any, name: str) -> tuple[int, ...]:
        if name in self._shapes:
            return tuple(self._shapes[name])
        batch, length = self._shapes["input_ids"]
        value = next(one for one in self._engine._model.graph.output if one.name == name)
        axes = value.type.tensor_type.shape.dim
        given = [batch, length][: len(axes)]
        fixed = [axis.dim_value for axis in axes]
        return tuple(size or given[at] for at, size in enumerate(fixed))

    def set_address(self: Any, name: str, address: int) -> bool:
        assert address
        self._addresses[name] = address
        return True

    def execute(self: Any, stream: int) -> bool:
        assert stream == 77
        assert self._memory
        if "execute_async_v3" in state.refused:
            return False
        shapes = {name: shape_of(self, name) for name in self._addresses}
        addresses = dict(self._addresses)  # a captured graph keeps those of its own time
        state.queue(lambda: _execute(trt, self._engine, shapes, addresses))
        return True

    return {
        "set_input_shape": set_shape,
        "set_optimization_profile_async": set_profile,
        "get_tensor_shape": shape_of,
        "set_tensor_address": set_address,
        "execute_async_v3": execute,
        "set_device_memory": lambda self, address, size: setattr(self, "_memory", address),
        "device_memory": property(
            lambda self: self._memory, lambda self, address: setattr(self, "_memory", address)
        ),
    }


def _execute(
    trt: Any, engine: Any, shapes: Mapping[str, tuple[int, ...]], addresses: Mapping[str, int]
) -> None:
    modes = {name: (mode, kind) for name, mode, kind in engine._plan["tensors"]}
    types = {one.name: one.type.tensor_type.elem_type for one in engine._model.graph.input}
    feed = {
        name: _at(addresses[name], shapes[name], modes[name][1]).astype(
            onnx.helper.tensor_dtype_to_np_dtype(kind)
        )
        for name, kind in types.items()
    }
    answers = _session(engine).run(feed)
    for name, values in answers.items():
        view = _at(addresses[name], shapes[name], modes[name][1])
        assert view.shape == values.shape
        np.copyto(view, values + trt.state.noise, casting="unsafe")


def _session(engine: Any) -> Any:
    """Returns an opened runtime that computes what the engine's model says."""
    from bertcompress.graph.half import emulated
    from bertcompress.runtimes.ort.runtime import Audit, OrtRuntime

    if "_session" not in engine.__dict__:
        if any(one.domain == "trt" for one in engine._model.opset_import):
            engine._model.functions.append(packed_attention())
        content = emulated(engine._model).SerializeToString()
        engine._session = OrtRuntime(content, threads=1, audit=Audit(as_written=True)).__enter__()
    return engine._session


def packed_attention() -> onnx.FunctionProto:
    """Returns what TensorRT documents of ``TRT_Attention`` in its packed form, in ONNX's operators.

    Query, key and value are ``[rows, heads, size]``; a row sees those of its own text, and those
    past the end of the last text see each other.
    """
    make = onnx.helper.make_node

    def whole(name: str, values: list[int]) -> onnx.NodeProto:
        return make("Constant", [], [name], value_ints=values)

    def number(name: str, value: int) -> onnx.NodeProto:
        return make("Constant", [], [name], value_int=value)

    nodes = [
        *(number("zero", 0), number("one", 1), whole("first", [0]), whole("last", [1])),
        *(make("Shape", ["Q"], ["sizes"]), make("Gather", ["sizes", "zero"], ["rows"])),
        make("Range", ["zero", "rows", "one"], ["row"]),
        *(make("Unsqueeze", ["row", "last"], ["down"]), make("Cast", ["begins"], ["at"], to=7)),
        make("GreaterOrEqual", ["down", "at"], ["begun"]),
        make("Cast", ["begun"], ["counts"], to=7),
        make("ReduceSum", ["counts", "last"], ["text"], keepdims=0),
        *(make("Unsqueeze", ["text", "first"], ["across"]),),
        make("Unsqueeze", ["text", "last"], ["along"]),
        make("Equal", ["along", "across"], ["seen"]),
        make("Transpose", ["Q"], ["q"], perm=[1, 0, 2]),
        make("Transpose", ["K"], ["k"], perm=[1, 2, 0]),
        make("Transpose", ["V"], ["v"], perm=[1, 0, 2]),
        make("MatMul", ["q", "k"], ["scores"]),
        make("Constant", [], ["far"], value_float=-3e4),
        make("CastLike", ["far", "scores"], ["hidden"]),
        make("Where", ["seen", "scores", "hidden"], ["masked"]),
        make("Softmax", ["masked"], ["shares"], axis=-1),
        make("MatMul", ["shares", "v"], ["heads"]),
        make("Transpose", ["heads"], ["Y"], perm=[1, 0, 2]),
    ]
    return onnx.helper.make_function(
        "trt",
        "TRT_Attention",
        ["Q", "K", "V", "mask", "begins", "kv_begins"],
        ["Y"],
        nodes,
        [onnx.helper.make_opsetid("", 23)],
        ["query_form", "kv_form", "causal_kind", "TRT_decomposable"],
    )


def _at(address: int, shape: tuple[int, ...], kind: str) -> np.ndarray:
    """Returns the memory at an address as an array."""
    dtype = np.dtype(_NUMPY[kind])
    count = int(np.prod(shape)) * dtype.itemsize
    raw = (ctypes.c_char * count).from_address(address)
    return np.frombuffer(raw, dtype=dtype).reshape(shape)
