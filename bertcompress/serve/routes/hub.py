"""Hugging Face's inference shape: ``POST /`` and ``POST /models/NAME``.

Text classification is a list in a list, as the pipelines and ``InferenceClient`` have it.
"""

from __future__ import annotations

from typing import cast

import msgspec
import orjson

from bertcompress.serve.call import Call, Reply
from bertcompress.serve.model import Given, TextAnswer
from bertcompress.serve.refusals import RefusalError, invalid
from bertcompress.serve.routes.native import Pair


class Parameters(msgspec.Struct, frozen=True):
    """What a pipeline's caller may choose, of what is applied here.

    Attributes:
        top_k: So many labels, the likeliest first; all if None.
        function_to_apply: The model's own only.
        aggregation_strategy: That of the model's tokenizer only, see docs/serve.md.
        truncation: Whether texts that are too long are cut.
        normalize: Whether vectors have length 1; the model's own choice if None.
    """

    top_k: int | None = None
    function_to_apply: str | None = None
    aggregation_strategy: str | None = None
    truncation: bool = True
    normalize: bool | None = None


class HubInputs(msgspec.Struct):
    """The body."""

    inputs: str | list[str] | Pair
    parameters: Parameters = Parameters()


async def infer(call: Call) -> Reply:
    """Answers as the pipeline of the model's task does."""
    asked = call.read(HubInputs)
    model = call.service.model(call.request.path_params.get("model"))
    _refuse_unapplied(asked.parameters)
    cut = asked.parameters.truncation
    if isinstance(asked.inputs, Pair):
        given = [Given(asked.inputs.question, asked.inputs.context, cut)]
    elif model.task == "question-answering":
        raise invalid('inputs of a question are {"question": …, "context": …}')
    else:
        texts = [asked.inputs] if isinstance(asked.inputs, str) else asked.inputs
        given = [Given(text, truncate=cut) for text in texts]
    answers = await call.answers(model, given)
    if model.task == "question-answering":
        return Reply(orjson.dumps(_span(answers[0])))
    if model.task == "token-classification":
        rows: list[object] = [entities_of(answer) for answer in answers]
        return Reply(orjson.dumps(rows[0] if isinstance(asked.inputs, str) else rows))
    if model.task == "feature-extraction":
        vectors = [answer.vector for answer in answers]
        return Reply(orjson.dumps(vectors, option=orjson.OPT_SERIALIZE_NUMPY))
    top = asked.parameters.top_k
    if top is not None and top < 1:
        raise invalid(f"top_k must be 1 or more, got {top}")
    return Reply(orjson.dumps([labels_of(answer)[:top] for answer in answers]))


def labels_of(answer: TextAnswer) -> list[dict[str, object]]:
    """Returns a classification's labels, the likeliest first.

    Raises:
        RefusalError: The model gives a number.
    """
    scores = answer.prediction.details.get("scores")
    if not isinstance(scores, dict):
        if answer.prediction.answer is None or isinstance(answer.prediction.answer, str):
            raise RefusalError(500, "unanswerable", "the model gave no scores")
        return [{"label": "value", "score": answer.prediction.answer}]
    found = cast("dict[str, float]", scores)
    return [
        {"label": label, "score": score}
        for label, score in sorted(found.items(), key=lambda item: -item[1])
    ]


def entities_of(answer: TextAnswer) -> list[dict[str, object]]:
    """Returns the entities of a text as the token-classification pipeline names them."""
    found = cast("list[dict[str, object]]", answer.prediction.details.get("entities", []))
    return [
        {
            "entity_group": one["type"],
            "score": one["score"],
            "word": one["text"],
            "start": one["start"],
            "end": one["end"],
        }
        for one in found
    ]


def _span(answer: TextAnswer) -> dict[str, object]:
    details = answer.prediction.details
    return {
        "score": answer.prediction.score,
        "start": details.get("start"),
        "end": details.get("end"),
        "answer": answer.prediction.answer,
    }


def _refuse_unapplied(parameters: Parameters) -> None:
    for name in ("function_to_apply", "aggregation_strategy", "normalize"):
        if getattr(parameters, name) is not None:
            raise RefusalError(
                422,
                "not_applied",
                f"{name} is the model's own here and can't be chosen; leave it out",
            )
