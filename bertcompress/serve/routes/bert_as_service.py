"""Bert-as-service over HTTP: ``/encode`` and ``/status/server``, as its own proxy answered."""

from __future__ import annotations

import msgspec
import orjson

from bertcompress.serve.call import Call, Reply
from bertcompress.serve.model import Given
from bertcompress.serve.refusals import RefusalError
from bertcompress.serve.routes.native import require_embeddings

SERVER_VERSION = "1.10.0"
"""What its clients compare with their own."""


class EncodeBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of ``/encode``."""

    texts: list[str]
    id: int | str | None = None
    is_tokenized: bool = False


async def encode(call: Call) -> Reply:
    """Gives a vector for each text."""
    asked = call.read(EncodeBody)
    model = call.service.model()
    require_embeddings(model)
    if asked.is_tokenized:
        raise RefusalError(
            400,
            "tokens",
            "texts are split by the model's own tokenizer; send them whole, without is_tokenized",
        )
    answers = await call.answers(model, [Given(text) for text in asked.texts])
    vectors = [answer.vector for answer in answers]
    body = {"id": asked.id, "result": vectors, "status": 200}
    return Reply(orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY))


async def status(call: Call) -> Reply:
    """Tells what its clients ask of a server."""
    model = call.service.model()
    facts = {
        "server_version": SERVER_VERSION,
        "max_seq_len": model.predictor.max_length,
        "show_tokens_to_client": False,
        "model_dir": model.name,
        "num_concurrent_socket": 0,
    }
    return Reply(orjson.dumps(facts))
