"""The Open Inference Protocol, version 2, as JSON: ``/v2/models/NAME/infer`` with texts.

The binary extension, which Triton's client takes unless told otherwise, is refused with what to
type there.
"""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

from bertcompress.serve.call import Call, Reply
from bertcompress.serve.model import Given, ServedModel, TextAnswer
from bertcompress.serve.refusals import RefusalError, invalid


class Tensor(msgspec.Struct, forbid_unknown_fields=True):
    """An input tensor."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any] | None = None
    parameters: dict[str, Any] = {}


class Wanted(msgspec.Struct, forbid_unknown_fields=True):
    """An output that is asked for."""

    name: str
    parameters: dict[str, Any] = {}


class InferBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of ``infer``."""

    inputs: list[Tensor]
    id: str | None = None
    parameters: dict[str, Any] = {}
    outputs: list[Wanted] = []


async def server(call: Call) -> Reply:
    """Names the server."""
    from bertcompress import __version__

    facts = {"name": "bertcompress", "version": __version__, "extensions": []}
    return Reply(orjson.dumps(facts))


async def health(call: Call) -> Reply:
    """Is answered only when requests are."""
    del call
    return Reply(b"{}")


async def model_facts(call: Call) -> Reply:
    """Tells the inputs and outputs of a model."""
    model = _model(call)
    pair = [{"name": "pair", "datatype": "BYTES", "shape": [-1]}]
    facts = {
        "name": model.name,
        "versions": [model.version],
        "platform": f"bertcompress_{model.predictor.runtime}",
        "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}, *pair],
        "outputs": [
            {"name": name, "datatype": kind, "shape": shape}
            for name, kind, shape in _outputs_of(model)
        ],
    }
    return Reply(orjson.dumps(facts))


async def infer(call: Call) -> Reply:
    """Answers the texts of the input ``text``, and ``pair`` if there is one."""
    if "inference-header-content-length" in call.request.headers:
        raise RefusalError(
            400,
            "binary",
            "binary tensors are not read here; type InferInput.set_data_from_numpy("
            "…, binary_data=False) and InferRequestedOutput(…, binary_data=False)",
        )
    asked = call.read(InferBody)
    model = _model(call)
    for parameters in (
        asked.parameters,
        *(one.parameters for one in asked.inputs),
        *(one.parameters for one in asked.outputs),
    ):
        _refuse_unapplied(parameters)
    texts = {tensor.name: _texts(tensor) for tensor in asked.inputs}
    unknown = sorted(set(texts) - {"text", "pair"})
    if unknown or "text" not in texts:
        raise invalid(f"the inputs are text and pair, BYTES; got {', '.join(texts) or 'none'}")
    pairs: list[str] | list[None] = texts.get("pair") or [None] * len(texts["text"])
    if len(pairs) != len(texts["text"]):
        raise invalid(f"text has {len(texts['text'])} rows and pair {len(pairs)}")
    given = [Given(*both) for both in zip(texts["text"], pairs, strict=True)]
    answers = await call.answers(model, given)
    wanted = {one.name for one in asked.outputs}
    outputs = [one for one in _written(model, answers) if not wanted or one["name"] in wanted]
    missing = wanted - {str(one["name"]) for one in outputs}
    if missing:
        raise invalid(f"there is no output {', '.join(sorted(missing))}")
    body: dict[str, object] = {
        "model_name": model.name,
        "model_version": model.version,
        "outputs": outputs,
    }
    if asked.id is not None:
        body["id"] = asked.id
    return Reply(orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY))


def _model(call: Call) -> ServedModel:
    params = call.request.path_params
    model = call.service.model(params["model"])
    if params.get("version", model.version) != model.version:
        raise RefusalError(404, "no_such_version", f"{model.name} has the version {model.version}")
    return model


def _refuse_unapplied(parameters: dict[str, Any]) -> None:
    for name, value in parameters.items():
        if name in ("binary_data", "binary_data_output") and value:
            raise RefusalError(400, "binary", "outputs are JSON here; ask with binary_data=False")
        if value not in (None, False, 0):
            raise RefusalError(400, "not_applied", f"{name} is not applied here; leave it out")


def _texts(tensor: Tensor) -> list[str]:
    if tensor.datatype != "BYTES":
        raise invalid(f"{tensor.name} is {tensor.datatype}; texts are BYTES")
    data = tensor.data or []
    rows = [text for row in data for text in (row if isinstance(row, list) else [row])]
    if not all(isinstance(text, str) for text in rows):
        raise invalid(f"{tensor.name} holds what is no text")
    size = 1
    for axis in tensor.shape:
        size *= axis
    if size != len(rows):
        raise invalid(f"{tensor.name} has the shape {tensor.shape} and {len(rows)} texts")
    return rows


def _outputs_of(model: ServedModel) -> list[tuple[str, str, list[int]]]:
    if model.task == "feature-extraction":
        return [("embedding", "FP32", [-1, -1])]
    return [("label", "BYTES", [-1]), ("score", "FP32", [-1]), ("json", "BYTES", [-1])]


def _written(model: ServedModel, answers: list[TextAnswer]) -> list[dict[str, object]]:
    count = len(answers)
    if model.task == "feature-extraction":
        size = len(answers[0].vector)
        data = [value for answer in answers for value in answer.vector.tolist()]
        return [{"name": "embedding", "datatype": "FP32", "shape": [count, size], "data": data}]
    labels = [str(answer.prediction.answer) for answer in answers]
    scores = [answer.prediction.score or 0.0 for answer in answers]
    bodies = [answer.body.decode() for answer in answers]
    return [
        {"name": "label", "datatype": "BYTES", "shape": [count], "data": labels},
        {"name": "score", "datatype": "FP32", "shape": [count], "data": scores},
        {"name": "json", "datatype": "BYTES", "shape": [count], "data": bodies},
    ]
