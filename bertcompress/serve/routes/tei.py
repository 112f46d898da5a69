"""The routes of text-embeddings-inference.

Here a list of two texts is a pair, as its own servers have it: under ``/tei``, or at the root with
``--api tei``.
"""

from __future__ import annotations

import asyncio
from typing import cast

import msgspec
import numpy as np
import orjson

from bertcompress.artifacts.model_config import labels_of as names_of
from bertcompress.serve.call import Call, Reply
from bertcompress.serve.model import Given, ServedModel, TextAnswer
from bertcompress.serve.refusals import RefusalError, invalid
from bertcompress.serve.routes.hub import labels_of
from bertcompress.serve.routes.native import require_embeddings
from bertcompress.tasks.vector_steps import Normalize


class EmbedBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of ``/embed``."""

    inputs: str | list[str | list[int] | int]
    truncate: bool | None = None
    truncation_direction: str = "Right"
    normalize: bool = True
    dimensions: int | None = None
    prompt_name: str | None = None


class PredictBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of ``/predict``: a text, a pair, or a list of texts and pairs."""

    inputs: str | list[str | list[str]]
    truncate: bool | None = None
    truncation_direction: str = "Right"
    raw_scores: bool = False


class RerankBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of ``/rerank``."""

    query: str
    texts: list[str]
    raw_scores: bool = False
    return_text: bool = False
    truncate: bool | None = None
    truncation_direction: str = "Right"


class TokenizeBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of ``/tokenize``."""

    inputs: str | list[str]
    add_special_tokens: bool = True
    prompt_name: str | None = None


async def embed(call: Call) -> Reply:
    """Gives vectors of length 1, or as the model gives them."""
    asked = call.read(EmbedBody)
    model = call.service.model()
    require_embeddings(model)
    _refuse_unapplied(asked.truncation_direction, prompt=asked.prompt_name)
    if asked.dimensions is not None:
        raise RefusalError(422, "dimensions", "vectors can't be cut; leave dimensions out")
    texts = [asked.inputs] if isinstance(asked.inputs, str) else asked.inputs
    if not all(isinstance(text, str) for text in texts):
        raise RefusalError(
            422,
            "token_ids",
            "inputs are token ids; whose vocabulary they are of can't be known, send texts",
        )
    cut = asked.truncate is not False
    answers = await call.answers(model, [Given(str(text), truncate=cut) for text in texts])
    vectors = [answer.vector for answer in answers]
    if asked.normalize:
        unit_length = Normalize()
        vectors = [unit_length(vector.astype(np.float64)).astype(np.float32) for vector in vectors]
    return _counted(orjson.dumps(vectors, option=orjson.OPT_SERIALIZE_NUMPY), answers)


async def predict(call: Call) -> Reply:
    """Gives each label's score, the likeliest first; of one text a list, of several a list each."""
    asked = call.read(PredictBody)
    model = call.service.model()
    _require(model, "text-classification")
    _refuse_unapplied(asked.truncation_direction, raw=asked.raw_scores)
    cut = asked.truncate is not False
    inputs, alone = asked.inputs, True
    if isinstance(inputs, str):
        given = [Given(inputs, truncate=cut)]
    elif all(isinstance(one, str) for one in inputs) and len(inputs) == 2:
        given = [Given(str(inputs[0]), str(inputs[1]), cut)]
    else:
        alone = False
        given = [_one_or_two(one, cut) for one in inputs]
    answers = await call.answers(model, given)
    rows = [labels_of(model, answer) for answer in answers]
    return _counted(orjson.dumps(rows[0] if alone else rows), answers)


async def rerank(call: Call) -> Reply:
    """Gives the texts' places by how well they answer a query, the best first."""
    asked = call.read(RerankBody)
    model = call.service.model()
    _require(model, "text-classification")
    _refuse_unapplied(asked.truncation_direction, raw=asked.raw_scores)
    cut = asked.truncate is not False
    given = [Given(asked.query, text, cut) for text in asked.texts]
    answers = await call.answers(model, given)
    if not all(isinstance(answer.prediction.answer, float) for answer in answers):
        raise RefusalError(
            422,
            "no_reranker",
            f"{model.name} gives labels, and a text's place needs one value; "
            "serve a cross-encoder with one output",
        )
    values = [cast("float", answer.prediction.answer) for answer in answers]
    order = sorted(range(len(values)), key=lambda number: -values[number])
    rows = [
        {"index": number, "score": values[number]}
        | ({"text": asked.texts[number]} if asked.return_text else {})
        for number in order
    ]
    return _counted(orjson.dumps(rows), answers)


async def tokenize(call: Call) -> Reply:
    """Gives the tokens of texts, as its servers write them."""
    asked = call.read(TokenizeBody)
    model = call.service.model()
    _refuse_unapplied("right", prompt=asked.prompt_name)
    texts = [asked.inputs] if isinstance(asked.inputs, str) else asked.inputs
    rows = []
    for text in texts:
        found = model.tokens(text)
        marks = found.special_tokens_mask
        rows.append(
            [
                {
                    "id": token_id,
                    "text": found.tokens[at] if marks[at] else text[start:stop],
                    "special": bool(marks[at]),
                    "start": None if marks[at] else start,
                    "stop": None if marks[at] else stop,
                }
                for at, (token_id, (start, stop)) in enumerate(
                    zip(found.ids, found.offsets, strict=True)
                )
                if asked.add_special_tokens or not marks[at]
            ]
        )
        await asyncio.sleep(0)  # others are served between two texts
    return Reply(orjson.dumps(rows))


async def info(call: Call) -> Reply:
    """Tells what the model is, in its servers' fields."""
    from bertcompress import __version__

    model, settings = call.service.model(), call.service.settings
    facts = {
        "model_id": model.name,
        "model_sha": model.version,
        "model_dtype": model.predictor.runtime,
        "model_type": _kind(model),
        "max_concurrent_requests": model.dispatcher.queue.limits.items,
        "max_input_length": model.predictor.max_length,
        "max_batch_tokens": model.dispatcher.queue.limits.token_budget,
        "max_client_batch_size": settings.max_texts,
        "version": __version__,
    }
    return Reply(orjson.dumps(facts))


def _kind(model: ServedModel) -> dict[str, object]:
    if model.task == "feature-extraction":
        return {"embedding": {"pooling": "model"}}
    if model.task != "text-classification":
        return {}
    names = dict(enumerate(names_of(model.predictor.config)))
    numbers = {name: number for number, name in names.items()}
    return {"classifier": {"id2label": {str(n): v for n, v in names.items()}, "label2id": numbers}}


def _one_or_two(given: str | list[str], cut: bool) -> Given:
    if isinstance(given, str):
        return Given(given, truncate=cut)
    if len(given) in (1, 2):
        return Given(given[0], given[1] if len(given) == 2 else None, cut)
    raise invalid(f"an input is a list of {len(given)}; a pair has two texts")


def _require(model: ServedModel, task: str) -> None:
    if model.task != task:
        raise RefusalError(422, "wrong_task", f"this needs {task}; {model.name} does {model.task}")


def _refuse_unapplied(direction: str, *, prompt: str | None = None, raw: bool = False) -> None:
    if direction.lower() != "right":
        raise RefusalError(
            422,
            "not_applied",
            "texts are cut where the model's tokenizer cuts them; leave truncation_direction out",
        )
    if prompt is not None:
        raise RefusalError(
            422, "not_applied", "the model's default prompt is used; leave prompt_name out"
        )
    if raw:
        raise RefusalError(422, "not_applied", "raw_scores are not given; leave raw_scores out")


def _counted(body: bytes, answers: list[TextAnswer]) -> Reply:
    tokens = sum(answer.tokens for answer in answers)
    return Reply(body, headers={"x-compute-tokens": str(tokens)})
