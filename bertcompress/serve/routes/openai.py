"""OpenAI's ``/v1/embeddings`` and ``/v1/models``.

The client's default is base64 of little-endian float32. Token ids are refused: they are of another
vocabulary than the model's, and the vectors would be of other texts.
"""

from __future__ import annotations

import base64

import msgspec
import orjson

from bertcompress.serve.call import Call, Reply
from bertcompress.serve.model import Given, TextAnswer
from bertcompress.serve.refusals import RefusalError, invalid
from bertcompress.serve.routes.native import require_embeddings


class EmbeddingsBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of ``/v1/embeddings``."""

    input: str | list[str | int | list[int]]
    model: str | None = None
    encoding_format: str = "float"
    dimensions: int | None = None
    user: str | None = None


async def embeddings(call: Call) -> Reply:
    """Gives vectors, one a text."""
    asked = call.read(EmbeddingsBody)
    model = call.service.model(asked.model)
    require_embeddings(model)
    if asked.encoding_format not in ("float", "base64"):
        raise invalid(f"encoding_format is float or base64, got {asked.encoding_format[:20]!r}")
    if asked.dimensions is not None:
        raise RefusalError(400, "dimensions", "vectors can't be cut; leave dimensions out")
    texts = [asked.input] if isinstance(asked.input, str) else asked.input
    given = []
    for text in texts:
        if not isinstance(text, str):
            raise RefusalError(
                400,
                "token_ids",
                "input is token ids, of another vocabulary than the model's; "
                "send texts (LangChain: check_embedding_ctx_length=False)",
            )
        given.append(Given(text))
    answers = await call.answers(model, given)
    in_base64 = asked.encoding_format == "base64"
    rows = [
        {"object": "embedding", "index": number, "embedding": _written(answer, in_base64)}
        for number, answer in enumerate(answers)
    ]
    tokens = sum(answer.tokens for answer in answers)
    body = {
        "object": "list",
        "data": rows,
        "model": model.name,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    return Reply(orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY))


async def list_models(call: Call) -> Reply:
    """Lists the models."""
    rows = [
        {"id": name, "object": "model", "created": 0, "owned_by": "bertcompress"}
        for name in call.service.models
    ]
    return Reply(orjson.dumps({"object": "list", "data": rows}))


def _written(answer: TextAnswer, in_base64: bool) -> object:
    vector = answer.vector.astype("<f4")
    return base64.b64encode(vector.tobytes()).decode() if in_base64 else vector
