"""How each peer is made, each in the way that its own documentation shows.

``python -m bertcompress.bench.peers.make RECIPE MODEL FEEDS OUT`` makes one: it fills the empty
folder OUT (see `bertcompress.bench.peers`). FEEDS is a workload of single training texts.

Sources: Transformers' "Performance" pages (dtype, torch.compile); ONNX Runtime's "Quantize ONNX
models" and the README of ``onnxruntime.transformers``; NNCF's README (``ModelType.TRANSFORMER``);
CTranslate2's "Transformers" guide (converter, and BERT's head in NumPy).
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bertcompress.artifacts.artifact import MANIFEST_NAME, Checkpoint
from bertcompress.bench.peer_folder import FILES, HEAD_NAME, ONNX_NAME, OPENVINO_NAME, Opening
from bertcompress.bench.workload import load_workload
from bertcompress.bert.families import input_names
from bertcompress.bert.loading.load import load
from bertcompress.passes.quantize.nncf_backend import import_nncf
from bertcompress.runtimes.openvino.runtime import import_openvino
from bertcompress.runtimes.torch.runtime import OUTPUT_NAMES

Recipe = Callable[[Path, Path, Path], Opening]


def stock_export(checkpoint: Checkpoint, path: Path, *, attention: str, opset: int = 17) -> None:
    """Exports with TorchScript, as most users still do.

    Args:
        checkpoint: The model.
        path: The graph's file.
        attention: ``sdpa``, or ``eager``, which ``onnxruntime.transformers`` fuses.
        opset: The opset.
    """
    import torch

    model: Any = checkpoint.model
    model.set_attn_implementation(attention)
    ids = torch.arange(32).reshape(2, 16)
    names = input_names(model.config)
    inputs = (ids, torch.ones_like(ids), torch.zeros_like(ids))[: len(names)]
    with torch.inference_mode():
        answer = model(**dict(zip(names, inputs, strict=True)))
    outputs = [name for name in OUTPUT_NAMES if name in answer]

    class Traced(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
            answered = self.model(**dict(zip(names, tensors, strict=True)))
            return tuple(answered[name] for name in outputs)

    axes = {name: {0: "batch", 1: "sequence"} for name in names}
    for name in outputs:
        axes[name] = {0: "batch"} if answer[name].ndim == 2 else {0: "batch", 1: "sequence"}
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Traced().eval(),
            inputs,
            str(path),
            dynamo=False,
            opset_version=opset,
            input_names=list(names),
            output_names=outputs,
            dynamic_axes=axes,
        )


def fuse(path: Path, checkpoint: Checkpoint) -> None:
    """Rewrites an eager graph with ``onnxruntime.transformers``' fusions, in place."""
    from onnxruntime.transformers import optimizer

    config: Any = checkpoint.model.config
    heads, width = config.num_attention_heads, config.hidden_size
    fused = optimizer.optimize_model(str(path), "bert", num_heads=heads, hidden_size=width)
    fused.save_model_to_file(str(path))


def transformers(*, dtype: str, compiled: bool = False) -> Recipe:
    """Torch in eager mode or compiled: the checkpoint's own files."""

    def make(model: Path, feeds: Path, out: Path) -> Opening:
        del feeds
        _share_all(model, out / FILES)
        return Opening("torch", dtype=dtype, compiled=compiled)

    return make


def onnxruntime_float(model: Path, feeds: Path, out: Path) -> Opening:
    """ONNX Runtime on the plain export."""
    del feeds
    stock_export(_checkpoint(model), out / ONNX_NAME, attention="sdpa")
    return Opening("onnxruntime")


def onnxruntime_dynamic(model: Path, feeds: Path, out: Path) -> Opening:
    """``quantize_dynamic`` of the plain export, weights per channel."""
    del feeds
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as name:
        plain = Path(name) / "model.onnx"
        stock_export(_checkpoint(model), plain, attention="sdpa")
        (out / ONNX_NAME).parent.mkdir(parents=True, exist_ok=True)
        quantize_dynamic(
            plain,
            out / ONNX_NAME,
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            weight_type=QuantType.QInt8,
        )
    return Opening("onnxruntime")


def onnxruntime_fused_dynamic(model: Path, feeds: Path, out: Path) -> Opening:
    """``quantize_dynamic`` of the fused eager export: attention and embeddings as well."""
    del feeds
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    checkpoint = _checkpoint(model)
    with tempfile.TemporaryDirectory() as name:
        plain = Path(name) / "model.onnx"
        stock_export(checkpoint, plain, attention="eager")
        fuse(plain, checkpoint)
        (out / ONNX_NAME).parent.mkdir(parents=True, exist_ok=True)
        quantize_dynamic(
            plain,
            out / ONNX_NAME,
            per_channel=True,
            weight_type=QuantType.QInt8,
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )
    return Opening("onnxruntime")


def openvino_nncf(model: Path, feeds: Path, out: Path) -> Opening:
    """NNCF's post-training quantization of the plain export."""
    nncf = import_nncf("NNCF as a peer")
    openvino = import_openvino("NNCF as a peer")
    with tempfile.TemporaryDirectory() as name:
        plain = Path(name) / "model.onnx"
        stock_export(_checkpoint(model), plain, attention="sdpa")
        read = openvino.Core().read_model(plain)
        names = [port.get_any_name() for port in read.inputs]
        samples = [
            {input_name: feed[input_name] for input_name in names}
            for feed in load_workload(feeds).feeds
        ]
        quantized = nncf.quantize(
            read,
            nncf.Dataset(samples),
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(samples),
        )
        (out / OPENVINO_NAME).parent.mkdir(parents=True, exist_ok=True)
        openvino.save_model(quantized, out / OPENVINO_NAME, compress_to_fp16=False)
    return Opening("openvino")


def ctranslate2_int8(model: Path, feeds: Path, out: Path) -> Opening:
    """CTranslate2's converter with INT8 weights; the head is computed in NumPy."""
    del feeds
    import ctranslate2

    checkpoint = _checkpoint(model)
    if checkpoint.config.model_type != "bert":
        raise TypeError(f"CTranslate2 is set up for BERT here, not {checkpoint.config.model_type}")
    head = _head_of(checkpoint.model)
    with tempfile.TemporaryDirectory() as name:
        shared = Path(name)
        _share_all(model, shared)
        config = json.loads((model / "config.json").read_text(encoding="utf-8"))
        config.setdefault("position_embedding_type", "absolute")  # Transformers 5.2x drops it
        (shared / "config.json").unlink()
        (shared / "config.json").write_text(json.dumps(config), encoding="utf-8")
        converter = ctranslate2.converters.TransformersConverter(str(shared))
        converter.convert(str(out / FILES), quantization="int8")
    if head is not None:
        weight, bias = (
            tensor.detach().numpy().astype(np.float32) for tensor in (head.weight, head.bias)
        )
        np.savez(out / HEAD_NAME, weight=weight, bias=bias)
    return Opening("ctranslate2", architecture=type(checkpoint.model).__name__)


RECIPES: dict[str, Recipe] = {
    "transformers-fp32": transformers(dtype="float32"),
    "transformers-bf16": transformers(dtype="bfloat16"),
    "torch-compile": transformers(dtype="float32", compiled=True),
    "ort-fp32": onnxruntime_float,
    "ort-dynamic-int8": onnxruntime_dynamic,
    "ort-fused-dynamic-int8": onnxruntime_fused_dynamic,
    "openvino-nncf-int8": openvino_nncf,
    "ctranslate2-int8": ctranslate2_int8,
}


def main(arguments: Sequence[str]) -> int:
    """Makes one peer; a failure ends with its sentence as the last line of stderr."""
    recipe, model, feeds, out = arguments
    try:
        opening = RECIPES[recipe](Path(model), Path(feeds), Path(out))
    except Exception as error:  # whatever a peer's library raises: the caller names the peer
        lines = str(error).strip().splitlines()
        print(f"{type(error).__name__}: {lines[0] if lines else ''}", file=sys.stderr)
        return 1
    opening.write(Path(out))
    return 0


def _checkpoint(model: Path) -> Checkpoint:
    artifact = load(model)
    if not isinstance(artifact, Checkpoint):
        raise TypeError(f"{model} holds a graph; peers are made of checkpoints")
    return artifact


def _head_of(model: Any) -> Any:
    """Returns the last linear layer, None for a bare encoder."""
    for name in ("classifier", "qa_outputs"):
        if hasattr(model, name):
            return getattr(model, name)
    return None


def _share_all(model: Path, place: Path) -> None:
    """Links a folder's files instead of copying them, where the system lets us."""
    place.mkdir(parents=True, exist_ok=True)
    for file in model.iterdir():
        if file.is_file() and file.name != MANIFEST_NAME:
            try:
                (place / file.name).symlink_to(file.resolve())
            except OSError:
                shutil.copyfile(file, place / file.name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
