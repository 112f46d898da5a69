"""Hugging Face's inference shape: ``POST /`` and ``POST /models/NAME``.

Text classification is a list in a list, as the pipelines and ``InferenceClient`` have it.
"""

from __future__ import annotations

from typing import cast

import msgspec
import orjson

from bertcompress.artifacts.model_config import labels_of as names_of
from bertcompress.serve.call import Call, Reply
from bertcompress.serve.model import Given, ServedModel, TextAnswer
from bertcompress.serve.refusals import RefusalError, invalid
from bertcompress.serve.routes.native import Pair

_UNAPPLIED = (
    "function_to_apply",
    "aggregation_strategy",
    "normalize",
    "prompt_name",
    "truncation_direction",
)


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a pipeline's caller may choose, of what is applied here.

    Attributes:
        top_k: So many labels, the likeliest first; all if None.
        function_to_apply: The model's own only.
        aggregation_strategy: That of the model's tokenizer only, see docs/serve.md.
        truncation: Whether texts that are too long are cut.
        truncate: The same, as it is called for vectors.
        normalize: Whether vectors have length 1; the model's own choice if None.
        prompt_name: The model's default prompt only.
        truncation_direction: That of the model's tokenizer only.
    """

    top_k: int | None = None
    function_to_apply: str | None = None
    aggregation_strategy: str | None = None
    truncation: bool = True
    truncate: bool | None = None
    normalize: bool | None = None
    prompt_name: str | None = None
    truncation_direction: str | None = None


class HubOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What Hugging Face's own service may be told.

    Attributes:
        use_cache: Whether an answer that is known is given again.
        wait_for_model: Whether to wait until the model is loaded; here it is.
    """

    use_cache: bool = True
    wait_for_model: bool = False


class HubInputs(msgspec.Struct, forbid_unknown_fields=True):
    """The body."""

    inputs: str | list[str] | Pair
    parameters: Parameters = Parameters()
    options: HubOptions = HubOptions()


async def infer(call: Call) -> Reply:
    """Answers as the pipeline of the model's task does."""
    asked = call.read(HubInputs)
    model = call.service.model(call.request.path_params.get("model"))
    _refuse_unapplied(asked.parameters, model)
    cut = asked.parameters.truncation and asked.parameters.truncate is not False
    if isinstance(asked.inputs, Pair):
        given = [Given(asked.inputs.question, asked.inputs.context, cut)]
    elif model.task == "question-answering":
        raise invalid('inputs of a question are {"question": …, "context": …}')
    else:
        texts = [asked.inputs] if isinstance(asked.inputs, str) else asked.inputs
        given = [Given(text, truncate=cut) for text in texts]
    answers = await call.answers(model, given, cached=asked.options.use_cache)
    if model.task == "question-answering":
        return Reply(orjson.dumps(_span(answers[0])))
    if model.task == "token-classification":
        rows: list[object] = [entities_of(answer) for answer in answers]
        return Reply(orjson.dumps(rows[0] if isinstance(asked.inputs, str) else rows))
    if model.task == "feature-extraction":
        vectors = [answer.vector for answer in answers]
        return Reply(orjson.dumps(vectors, option=orjson.OPT_SERIALIZE_NUMPY))
    top = asked.parameters.top_k
    return Reply(orjson.dumps([labels_of(model, answer)[:top] for answer in answers]))


def labels_of(model: ServedModel, answer: TextAnswer) -> list[dict[str, object]]:
    """Returns a classification's labels, the likeliest first; of one output its name and value."""
    scores = answer.prediction.details.get("scores")
    if not isinstance(scores, dict):
        [name] = names_of(model.predictor.config)
        return [{"label": name, "score": answer.prediction.answer}]
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


def _refuse_unapplied(parameters: Parameters, model: ServedModel) -> None:
    top = parameters.top_k
    if top is not None and top < 1:
        raise invalid(f"top_k must be 1 or more, got {top}")
    if top is not None and model.task != "text-classification":
        raise RefusalError(
            422,
            "not_applied",
            f"top_k is of labels and {model.name} does {model.task}; leave it out",
        )
    for name in _UNAPPLIED:
        if getattr(parameters, name) is not None:
            raise RefusalError(
                422,
                "not_applied",
                f"{name} is the model's own here and can't be chosen; leave it out",
            )
