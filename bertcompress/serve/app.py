"""All routes of a server: which path is whose, and what a key must be for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route as StarletteRoute

from bertcompress.serve.call import Call, Reply, Route, Service, endpoint
from bertcompress.serve.metrics import MEDIA_TYPE
from bertcompress.serve.refusals import RefusalError
from bertcompress.serve.routes import bert_as_service, hub, native, oip, openai, page, tei
from bertcompress.serve.shapes import Shape, hub_error, openai_error, problem, tei_error

_TEI: tuple[tuple[str, str, Route], ...] = (
    ("POST", "/embed", tei.embed),
    ("POST", "/predict", tei.predict),
    ("POST", "/rerank", tei.rerank),
    ("POST", "/tokenize", tei.tokenize),
    ("GET", "/info", tei.info),
)
_NATIVE: tuple[tuple[str, str, Route], ...] = (
    ("POST", "/predict", native.predict),
    ("POST", "/embed", native.embed),
    ("POST", "/tokenize", native.tokenize),
    ("GET", "/info", native.info),
)
_OIP: tuple[tuple[str, str, Route], ...] = (
    ("GET", "/v2", oip.server),
    ("GET", "/v2/health/live", oip.health),
    ("GET", "/v2/health/ready", oip.health),
    ("GET", "/v2/models/{model}", oip.model_facts),
    ("GET", "/v2/models/{model}/ready", oip.model_facts),
    ("GET", "/v2/models/{model}/versions/{version}", oip.model_facts),
    ("GET", "/v2/models/{model}/versions/{version}/ready", oip.model_facts),
    ("POST", "/v2/models/{model}/infer", oip.infer),
    ("POST", "/v2/models/{model}/versions/{version}/infer", oip.infer),
)
_OPENAI: tuple[tuple[str, str, Route], ...] = (
    ("POST", "/v1/embeddings", openai.embeddings),
    ("GET", "/v1/models", openai.list_models),
)
_HUB: tuple[tuple[str, str, Route], ...] = (
    ("POST", "/", hub.infer),
    ("POST", "/models/{model}", hub.infer),
)
_BERT_AS_SERVICE: tuple[tuple[str, str, Route], ...] = (
    ("POST", "/encode", bert_as_service.encode),
    ("GET", "/status/server", bert_as_service.status),
)


def make_app(service: Service) -> Starlette:
    """Returns the application; a request is answered once `Service.ready` is set.

    Args:
        service: What all requests share.
    """
    is_tei = service.settings.api == "tei"
    routes = [
        *_routes(service, _TEI if is_tei else _NATIVE, tei_error if is_tei else problem),
        *_routes(service, (("GET", "/models", native.models),), problem),
        *_routes(service, _TEI, tei_error, prefix="/tei"),
        *_routes(service, _OPENAI, openai_error),
        *_routes(service, _OIP, hub_error),
        *_routes(service, _HUB, hub_error),
        *_routes(service, _BERT_AS_SERVICE, hub_error),
        *(StarletteRoute(path, page.page(path), methods=["GET"]) for path in page.FILES),
        StarletteRoute("/metrics", _metrics(service), methods=["GET"]),
        StarletteRoute("/healthz", _alive, methods=["GET"]),
        StarletteRoute("/readyz", _ready(service), methods=["GET"]),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _not_found})
    app.router.redirect_slashes = False
    return app


def _routes(
    service: Service, table: tuple[tuple[str, str, Route], ...], shape: Shape, *, prefix: str = ""
) -> list[StarletteRoute]:
    return [
        StarletteRoute(
            prefix + path,
            endpoint(service, route, shape, name=prefix + path),
            methods=[method],
        )
        for method, path, route in table
    ]


def _metrics(service: Service) -> Callable[[Request], Awaitable[Response]]:
    async def metrics(call: Call) -> Reply:
        return Reply(call.service.metrics.text(), MEDIA_TYPE)

    return endpoint(service, metrics, problem, name="/metrics", scope="metrics")


async def _alive(request: Request) -> Response:
    """Tells that the process runs; never that it is busy: busy servers must not be restarted."""
    del request
    return PlainTextResponse("alive\n")


def _ready(service: Service) -> Callable[[Request], Awaitable[Response]]:
    async def ready(request: Request) -> Response:
        del request
        if service.ready:
            return PlainTextResponse("ready\n")
        return PlainTextResponse("not ready\n", 503)

    return ready


async def _not_found(request: Request, error: Exception) -> Response:
    status = cast("HTTPException", error).status_code
    path = str(request.scope["path"])[:100]
    kinds = {404: f"there is no {path!r}; see /models, /predict, /embed, /tokenize, /info"}
    detail = kinds.get(status, f"{request.method} is not for {path!r}")
    code, body, media_type = problem(RefusalError(status, "no_such_route", detail))
    headers = dict(cast("HTTPException", error).headers or {})
    return Response(body, code, headers, media_type)
