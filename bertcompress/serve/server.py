"""Opens models with their engines and serves them, and ends as those who run servers need it.

On SIGTERM or SIGINT the server is no longer ready, goes on taking requests for `drain_delay`
seconds (whoever sends them learns late), then closes its sockets, finishes what it accepted, and
ends its engines.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager

import uvicorn

from bertcompress.inference.best_settings import TOKEN_BUDGET
from bertcompress.inference.predictor import Predictor
from bertcompress.machine.environment import available_threads
from bertcompress.progress import Note
from bertcompress.serve.answer_cache import AnswerCache
from bertcompress.serve.app import make_app
from bertcompress.serve.batcher import QueueLimits
from bertcompress.serve.call import Service
from bertcompress.serve.dispatcher import Dispatcher
from bertcompress.serve.engines.handles import EngineProcess, InlineEngine
from bertcompress.serve.engines.sessions import EngineSettings
from bertcompress.serve.keys import KeyFile
from bertcompress.serve.metrics import Metrics
from bertcompress.serve.model import Asker, Given, Seconds, ServedModel, TextAnswer
from bertcompress.serve.settings import ModelSettings, ServeSettings
from bertcompress.serve.sockets import address_of

_KEEP_ALIVE_S = 75  # longer than load balancers wait before they reuse a connection


def serve_on(
    listener: socket.socket,
    models: Mapping[str, ModelSettings],
    settings: ServeSettings,
    *,
    ready: Callable[[str], None],
    closing: Callable[[], None],
    note: Note,
) -> None:
    """Serves until a signal ends it, or whoever holds the other end of standard input is gone.

    Args:
        listener: Where connections come from.
        models: By the name that requests use; the first is the one of requests that name none.
        settings: How.
        ready: Is told the address once requests are answered.
        closing: Is told when no more connections are taken.
        note: Is told what the user must know of a model.

    Raises:
        BertCompressError: A model can't be read or run.
    """
    uvicorn_loop = uvicorn.Config(_nothing, loop="auto").get_loop_factory()
    with asyncio.Runner(loop_factory=uvicorn_loop) as runner:
        runner.run(_serve(listener, models, settings, ready=ready, closing=closing, note=note))


async def open_model(
    name: str, asked: ModelSettings, settings: ServeSettings, *, several_keys: bool, note: Note
) -> ServedModel:
    """Reads a model and starts its engines.

    Raises:
        BertCompressError: It can't be read or run.
    """
    predictor = Predictor.open(
        asked.folder,
        task=asked.task,
        runtime=asked.runtime,
        max_length=asked.max_length,
        note=note,
    )
    threads = available_threads()
    best = predictor.best
    engine = EngineSettings(
        predictor.folder,
        predictor.runtime,
        predictor.task.name,
        narrow_threads=best.threads if best else 1,
        wide_threads=best.latency_threads if best else threads,
    )
    count = (
        settings.engines
        if isinstance(settings.engines, int)
        else (best.streams if best else threads)
    )
    limits = QueueLimits(
        batch_size=best.batch_size if best else QueueLimits.batch_size,
        token_budget=best.token_budget if best else TOKEN_BUDGET,
    )
    dispatcher = Dispatcher(
        engine,
        InlineEngine if settings.engines == "inline" else EngineProcess,
        engines=1 if settings.engines == "inline" else count,
        pad_token_id=predictor.pad_token_id,
        limits=limits,
    )
    cache = AnswerCache[TextAnswer](
        settings.cache_bytes,
        seconds=settings.cache_seconds,
        by_key=several_keys and not settings.share_cache,
    )
    await dispatcher.start()
    return ServedModel(name, predictor, dispatcher, cache)


async def _serve(
    listener: socket.socket,
    models: Mapping[str, ModelSettings],
    settings: ServeSettings,
    *,
    ready: Callable[[str], None],
    closing: Callable[[], None],
    note: Note,
) -> None:
    keys = KeyFile(settings.keys) if settings.keys else None
    served: dict[str, ServedModel] = {}
    service = Service(served, settings, keys, Metrics(served))
    async with AsyncExitStack() as opened:
        for name, asked in models.items():
            model = await open_model(
                name, asked, settings, several_keys=keys is not None and len(keys) > 1, note=note
            )
            opened.push_async_callback(model.dispatcher.close)
            opened.callback(model.close)
            served[name] = model
        if settings.bert_as_service is not None:
            await _open_zeromq(service, settings.bert_as_service, opened)
        ending = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ending.set)
        loop.add_reader(sys.stdin.fileno(), _heard_end, loop, ending)
        config = uvicorn.Config(
            make_app(service),
            log_config=None,
            log_level="warning",
            access_log=False,
            lifespan="off",
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=int(settings.drain_limit),
            server_header=False,
            date_header=False,
            proxy_headers=False,
            ssl_certfile=settings.tls_certificate,
            ssl_keyfile=settings.tls_key,
        )
        server = _Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        service.open = service.ready = True
        ready(address_of(listener, settings))
        waiting = asyncio.create_task(ending.wait())
        await asyncio.wait((serving, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        service.ready = False
        await asyncio.sleep(settings.drain_delay)
        closing()
        server.should_exit = True
        await serving


async def _open_zeromq(service: Service, ports: tuple[int, int], opened: AsyncExitStack) -> None:
    from bertcompress.serve.zeromq import ZeroMqFront

    front = ZeroMqFront(service, port=ports[0], port_out=ports[1])
    opened.push_async_callback(front.close)
    front.open()


def _heard_end(loop: asyncio.AbstractEventLoop, ending: asyncio.Event) -> None:
    """Ends the server when standard input does: whoever started it is gone."""
    if not os.read(sys.stdin.fileno(), 1024):
        loop.remove_reader(sys.stdin.fileno())
        ending.set()


class _Server(uvicorn.Server):
    """Uvicorn without its own signal handlers: ours drain first."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to whoever started the server."""
        yield


async def check_models(
    models: Mapping[str, ModelSettings], settings: ServeSettings, text: str, *, note: Note
) -> list[str]:
    """Opens each model, answers a text, closes it; returns what was found, a line each.

    Raises:
        BertCompressError: It can't be read, run, or does not answer.
    """
    lines = []
    for name, asked in models.items():
        started = time.perf_counter()
        model = await open_model(name, asked, settings, several_keys=False, note=note)
        try:
            opened = time.perf_counter() - started
            pair = text if model.task == "question-answering" else None
            seconds = Seconds()
            [answer] = await model.answers([Given(text, pair)], Asker(), seconds)
        finally:
            await model.dispatcher.close()
            model.close()
        limits = model.dispatcher.queue.limits
        lines += [
            f"{name}: {model.task}, version {model.version}, {model.predictor.runtime}",
            f"  reads {model.predictor.max_length:,} tokens; batches of {limits.batch_size} texts "
            f"and {limits.token_budget:,} tokens",
            f"  {model.dispatcher.layout}; ready after {opened:.1f} s",
            f"  answered {answer.tokens} tokens in {seconds.inference * 1e3:.1f} ms",
        ]
    return lines


async def _nothing(scope: object, receive: object, send: object) -> None:
    """Is an application that is never called."""
