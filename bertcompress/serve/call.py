"""One request on its way: who asks, what was sent, and everything that all routes do alike.

The body is bounded while it is read, the key is looked up before the body is, a client that leaves
takes its texts out of the queue. Routes get a `Call` and give a `Reply`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from bertcompress.errors import BertCompressError, did_you_mean
from bertcompress.serve.allowances import Allowances
from bertcompress.serve.batcher import QueueFullError
from bertcompress.serve.dispatcher import LateError
from bertcompress.serve.keys import Key, KeyFile, Scope
from bertcompress.serve.metrics import Metrics
from bertcompress.serve.model import Asker, Given, Seconds, ServedModel, TextAnswer, TooLongError
from bertcompress.serve.refusals import RefusalError, invalid, too_large
from bertcompress.serve.settings import ServeSettings
from bertcompress.serve.shapes import Shape

_LOGGER = logging.getLogger(__name__)
T = TypeVar("T")
_GONE = 499  # never sent: whoever asked is not there


@dataclass(frozen=True)
class Reply:
    """What a route gives.

    Attributes:
        body: As it is sent.
        media_type: Its type.
        headers: More headers.
    """

    body: bytes
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Service:
    """What all requests share.

    Attributes:
        models: The models by name; the first is taken where none is named.
        settings: How they are served.
        keys: Who may ask; None lets anyone.
        metrics: What was counted.
        allowances: How much each key may still ask for.
        ready: Whether load balancers should send requests here.
        open: Whether requests are answered.
    """

    models: dict[str, ServedModel]
    settings: ServeSettings
    keys: KeyFile | None
    metrics: Metrics
    allowances: Allowances = field(default_factory=Allowances)
    ready: bool = False
    open: bool = False

    def model(self, name: str | None = None) -> ServedModel:
        """Returns a model by its name.

        Raises:
            RefusalError: If there is none of that name.
        """
        if name is None:
            return next(iter(self.models.values()))
        if name in self.models:
            return self.models[name]
        raise RefusalError(
            404,
            "no_such_model",
            f"there is no model {name!r}{did_you_mean(name, self.models)}; the models are "
            f"{', '.join(self.models)}",
        )


@dataclass
class Call:
    """One request.

    Attributes:
        service: What all requests share.
        request: The request; its body was read already.
        body: The body.
        key: Who asks; None where no keys are needed.
        model: The model that answered, once one was asked.
        seconds: How long the parts took.
        truncated: Texts that were cut.
    """

    service: Service
    request: Request
    body: bytes
    key: Key | None
    model: ServedModel | None = None
    seconds: Seconds = field(default_factory=Seconds)
    truncated: int = 0

    def read(self, kind: type[T]) -> T:
        """Returns the body as a structure of msgspec's.

        Raises:
            RefusalError: If it is not JSON, or not of that form; its content is not told.
        """
        try:
            return msgspec.json.decode(self.body, type=kind)
        except msgspec.ValidationError as error:
            raise invalid(f"the body can't be read: {error}") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise RefusalError(
                400, "not_json", 'the body is not JSON; send {"inputs": "a text"}'
            ) from None

    async def answers(
        self, model: ServedModel, given: Sequence[Given], *, cached: bool = True
    ) -> list[TextAnswer]:
        """Answers texts.

        Args:
            model: Which answers.
            given: The texts.
            cached: Whether an answer that is known may be given again.

        Raises:
            RefusalError: A limit is passed, or the model can't answer.
        """
        settings = self.service.settings
        if not given:
            raise invalid("inputs is empty; send one text or more")
        if len(given) > settings.max_texts:
            raise too_large(
                f"{len(given):,} texts are more than the {settings.max_texts:,} of a request; send "
                "them in parts",
                limit=settings.max_texts,
                got=len(given),
            )
        check_texts(given, settings)
        self.service.allowances.check(self.key)
        self.model = model
        dispatcher = model.dispatcher
        limit = settings.max_queue_seconds
        waits = dispatcher.wait_seconds()
        if waits > limit:
            raise _overloaded(waits, f"a new text would wait {waits:.1f} s")
        try:
            answers = await model.answers(given, self._asker(limit, cached), self.seconds)
        except TooLongError as error:
            raise RefusalError(
                413,
                "too_long",
                f'{error}; send "truncate": true to have it cut',
                {"limit": error.limit, "got": error.tokens},
            ) from None
        except QueueFullError as error:
            raise _overloaded(waits, str(error)) from None
        except LateError as error:
            raise RefusalError(504, "deadline", str(error)) from None
        self.service.allowances.spend(self.key, sum(answer.tokens for answer in answers))
        self.truncated = sum(answer.truncated for answer in answers)
        return answers

    def _asker(self, limit: float, cached: bool) -> Asker:
        headers = self.request.headers
        wanted = headers.get("x-request-timeout-ms")
        seconds = limit + 20.0
        if wanted is not None:
            try:
                given = float(wanted) / 1000
            except ValueError:
                given = math.nan
            if given > 0:
                seconds = min(seconds, given)
            else:
                raise invalid(f"X-Request-Timeout-Ms must be milliseconds, got {wanted[:20]!r}")
        return Asker(
            key=self.key.id if self.key else "",
            bulk=headers.get("x-priority", "") == "bulk",
            deadline=time.monotonic() + seconds,
            cached=cached
            and "no-cache" not in (control := headers.get("cache-control", ""))
            and "no-store" not in control,
        )


def check_texts(given: Sequence[Given], settings: ServeSettings) -> None:
    """Fails where a text is too long to be looked at, or empty.

    Raises:
        RefusalError: Names the text by its number, never its content.
    """
    for number, one in enumerate(given, 1):
        size = len(one.text) + len(one.pair or "")
        if size > settings.max_characters:
            raise too_large(
                f"text {number} has {size:,} characters, more than the "
                f"{settings.max_characters:,} that are taken",
                limit=settings.max_characters,
                got=size,
            )
        if not one.text.strip():
            raise invalid(f"text {number} is empty")


Route = Callable[[Call], Awaitable[Reply]]
Endpoint = Callable[[Request], Awaitable[Response]]


def endpoint(
    service: Service, route: Route, shape: Shape, *, name: str, scope: Scope = "infer"
) -> Endpoint:
    """Returns a route as Starlette takes it.

    Args:
        service: What all requests share.
        route: What is done.
        shape: How its refusals are written.
        name: What metrics call it.
        scope: What a key must be for.
    """

    async def answer(request: Request) -> Response:
        started = time.perf_counter()
        asked = request.headers.get("x-request-id", "")
        name_of_request = asked if _is_plain(asked) else secrets.token_hex(8)
        call = Call(service, request, b"", None)
        status = 200
        try:
            call.key = _admitted(service, request, scope)
            call.body = await _body(request, service.settings)
            reply = await _until_gone(request, route(call))
        except (ClientDisconnect, asyncio.CancelledError):
            status, reply = _GONE, Reply(b"")
        except Exception as error:
            refusal = _refusal(error)
            status, body, media_type = shape(refusal)
            reply = Reply(body, media_type, refusal.headers)
        seconds = time.perf_counter() - started
        service.metrics.request(name, status, seconds, call.seconds)
        if service.settings.access_log:
            _log(call, name, name_of_request, status, seconds)
        headers = {**reply.headers, **_headers(call, name_of_request, seconds)}
        return Response(reply.body, status, headers, reply.media_type)

    return answer


def _admitted(service: Service, request: Request, scope: Scope) -> Key | None:
    """Returns whose request it is, None where no keys are needed."""
    key = _key(service, request, scope)
    if not service.open:
        raise RefusalError(503, "not_ready", "the server is starting; ask again")
    return key


def _key(service: Service, request: Request, scope: Scope) -> Key | None:
    if service.keys is None:
        return None
    headers = request.headers
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    given = bearer.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
    key = service.keys.find(given)
    if key is None:
        raise RefusalError(
            401,
            "key",
            "a key is needed: Authorization: Bearer KEY",
            headers={"WWW-Authenticate": "Bearer"},
        )
    if scope not in key.scopes:
        raise RefusalError(403, "scope", f"the key is not for {scope}")
    return key


async def _body(request: Request, settings: ServeSettings) -> bytes:
    """Reads the body, bounded while it comes: what it says of its own length is not believed."""
    if request.method in ("GET", "HEAD"):
        return b""
    limit, parts, size = settings.max_body_bytes, list[bytes](), 0
    try:
        async with asyncio.timeout(settings.body_seconds):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise too_large(
                        f"the body has more than the {limit:,} bytes that are taken; send the "
                        "texts in parts",
                        limit=limit,
                    )
                parts.append(part)
    except TimeoutError:
        raise RefusalError(
            408, "slow_body", f"the body did not arrive in {settings.body_seconds:.0f} seconds"
        ) from None
    return b"".join(parts)


async def _until_gone(request: Request, work: Awaitable[Reply]) -> Reply:
    """Does the work, and gives it up when the client has gone."""
    asking = asyncio.current_task()
    assert asking is not None, "requests are answered in tasks"
    finished = has_gone = False

    def leave(watching: asyncio.Task[None]) -> None:
        nonlocal has_gone
        if not finished and not watching.cancelled():
            has_gone = True
            asking.cancel()

    watching = asyncio.create_task(_gone(request))
    watching.add_done_callback(leave)
    try:
        return await work
    except asyncio.CancelledError:
        if has_gone and not asking.uncancel():
            raise ClientDisconnect from None
        raise
    finally:
        finished = True
        watching.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _refusal(error: Exception) -> RefusalError:
    if isinstance(error, RefusalError):
        return error
    if isinstance(error, BertCompressError):
        status = 422 if error.exit_code == 2 else 500
        return RefusalError(status, "unanswerable", str(error))
    log_unforeseen(error)
    return RefusalError(500, "unexpected", "the request failed in a way that nobody foresaw")


def log_unforeseen(error: Exception) -> None:
    """Logs what failed and where; not what it says, for that may quote the text that was sent."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "nowhere"
    _LOGGER.error("a request failed: %s at %s", type(error).__name__, where)


def _overloaded(waits: float, why: str) -> RefusalError:
    again = max(1, math.ceil(waits))
    return RefusalError(
        429, "overloaded", f"{why}; ask again in {again} s", headers={"Retry-After": str(again)}
    )


def _headers(call: Call, name: str, seconds: float) -> dict[str, str]:
    headers, spent = {"X-Request-Id": name}, call.seconds
    if call.model is None:
        return headers
    headers["X-Model-Version"] = call.model.version
    known = "hit" if spent.texts and spent.hits == spent.texts else "miss"
    headers["X-Cache"] = "join" if spent.joins and spent.joins == spent.texts else known
    if call.truncated:
        headers["X-Truncated"] = str(call.truncated)
    headers["Server-Timing"] = (
        f"tokenize;dur={spent.tokenize * 1e3:.2f}, inference;dur={spent.inference * 1e3:.2f}, "
        f"total;dur={seconds * 1e3:.2f}"
    )
    return headers


def _is_plain(name: str) -> bool:
    return 0 < len(name) <= 64 and name.replace("-", "").isalnum() and name.isascii()


def _log(call: Call, route: str, name: str, status: int, seconds: float) -> None:
    facts = {
        "id": name,
        "key": call.key.id if call.key else None,
        "route": route,
        "status": status,
        "texts": call.seconds.texts,
        "hits": call.seconds.hits,
        "version": call.model.version if call.model else None,
        "ms": round(seconds * 1e3, 2),
    }
    _LOGGER.info("%s", msgspec.json.encode(facts).decode())
