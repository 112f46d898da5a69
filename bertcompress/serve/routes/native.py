"""Our own routes: ``/predict``, ``/embed``, ``/tokenize``, ``/models``, ``/info``.

``{"inputs": "a text"}`` or a list; two texts are two texts, a pair is a list of two inside the list
or an object. Each answer says how many tokens were read and whether its text was cut.
"""

from __future__ import annotations

import msgspec
import orjson

from bertcompress.artifacts.model_config import labels_of
from bertcompress.serve.call import Call, Reply
from bertcompress.serve.model import Given, ServedModel, TextAnswer
from bertcompress.serve.refusals import RefusalError, invalid


class Pair(msgspec.Struct, forbid_unknown_fields=True):
    """A question and where its answer is looked for."""

    question: str
    context: str


Input = str | list[str] | Pair


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a request may choose.

    Attributes:
        model: The model's name.
        truncate: Whether texts that are too long are cut; else they are refused.
        top_k: So many labels in ``scores``, the likeliest first; all if None.
    """

    model: str | None = None
    truncate: bool = True
    top_k: int | None = None


class Inputs(msgspec.Struct, forbid_unknown_fields=True):
    """The body of ``/predict``, ``/embed`` and ``/tokenize``."""

    inputs: str | list[Input] | Pair
    options: Options = Options()


async def predict(call: Call) -> Reply:
    """Answers texts with the model's own task."""
    asked = call.read(Inputs)
    model = call.service.model(asked.options.model)
    answers = await call.answers(model, given_of(asked))
    top = asked.options.top_k
    bodies = [answer.body if top is None else _with_top(answer, top) for answer in answers]
    return _reply(model, bodies)


async def embed(call: Call) -> Reply:
    """Gives vectors; a model of another task has none."""
    asked = call.read(Inputs)
    model = call.service.model(asked.options.model)
    require_embeddings(model)
    answers = await call.answers(model, given_of(asked))
    return _reply(model, [answer.body for answer in answers])


async def tokenize(call: Call) -> Reply:
    """Gives the tokens of texts, none cut away, and how many the model reads."""
    asked = call.read(Inputs)
    model = call.service.model(asked.options.model)
    rows = []
    for one in given_of(asked):
        found = model.tokens(one.text, one.pair)
        rows.append({"ids": found.ids, "tokens": found.tokens, "offsets": found.offsets})
    return Reply(orjson.dumps({"limit": model.predictor.max_length, "results": rows}))


async def models(call: Call) -> Reply:
    """Lists the models."""
    rows = [facts_of(model) for model in call.service.models.values()]
    return Reply(orjson.dumps({"models": rows}))


async def info(call: Call) -> Reply:
    """Tells what the model is and how it is served."""
    from bertcompress import __version__

    model, settings = call.service.model(), call.service.settings
    facts = {
        **facts_of(model),
        "bertcompress": __version__,
        "max_texts": settings.max_texts,
        "max_body_bytes": settings.max_body_bytes,
    }
    return Reply(orjson.dumps(facts))


def facts_of(model: ServedModel) -> dict[str, object]:
    """Returns what everybody may know of a model."""
    predictor = model.predictor
    return {
        "name": model.name,
        "version": model.version,
        "task": model.task,
        "runtime": predictor.runtime,
        "max_length": predictor.max_length,
        "labels": list(labels_of(predictor.config)) if model.task in LABELLED else [],
    }


LABELLED = ("text-classification", "token-classification")


def given_of(asked: Inputs) -> list[Given]:
    """Returns the texts of a body.

    Raises:
        RefusalError: A pair does not have two texts.
    """
    inputs = asked.inputs if isinstance(asked.inputs, list) else [asked.inputs]
    given = []
    for number, one in enumerate(inputs, 1):
        if isinstance(one, str):
            given.append(Given(one, truncate=asked.options.truncate))
        elif isinstance(one, Pair):
            given.append(Given(one.question, one.context, asked.options.truncate))
        elif len(one) == 2:
            given.append(Given(one[0], one[1], asked.options.truncate))
        else:
            raise invalid(f"input {number} is a list of {len(one)}; a pair has two texts")
    return given


def require_embeddings(model: ServedModel) -> None:
    """Fails where a model has no vectors.

    Raises:
        RefusalError: With where to go instead.
    """
    if model.task != "feature-extraction":
        raise RefusalError(
            400,
            "no_embeddings",
            f"{model.name} does {model.task} and gives no vectors; ask "
            "/predict, or serve an embedding model",
        )


def _with_top(answer: TextAnswer, top: int) -> bytes:
    if top < 1:
        raise invalid(f"top_k must be 1 or more, got {top}")
    body = orjson.loads(answer.body)
    scores = body.get("scores")
    if not isinstance(scores, dict):
        raise invalid("top_k is of a classification's scores and there are none; leave it out")
    likeliest = sorted(scores.items(), key=lambda item: -item[1])[:top]
    body["scores"] = dict(likeliest)
    return orjson.dumps(body)


def _reply(model: ServedModel, bodies: list[bytes]) -> Reply:
    head = orjson.dumps({"model": model.name, "version": model.version})[:-1]
    return Reply(head + b',"results":[' + b",".join(bodies) + b"]}")
