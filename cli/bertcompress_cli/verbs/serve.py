"""``bertcompress serve``: answers over HTTP, with the routes of the servers that it replaces."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from bertcompress_cli.options import MaxLengthOption, RuntimeOption

_LISTEN, _LIMITS, _KEYS, _END = "Where it listens", "Limits and cache", "Keys and TLS", "The end"


def serve(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME=]MODEL…",
            help="Model folders; requests name one by NAME, the folder's own if left out.",
            show_default=False,
        ),
    ] = None,
    *,
    host: Annotated[
        str,
        typer.Option(
            help="The address; others than this machine's need --keys.", rich_help_panel=_LISTEN
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 for any free one.", rich_help_panel=_LISTEN)] = 8000,
    api: Annotated[
        Literal["native", "tei"],
        typer.Option(help="Whose routes stand at the root.", rich_help_panel=_LISTEN),
    ] = "native",
    bert_as_service: Annotated[
        bool,
        typer.Option(
            "--bert-as-service",
            help="Answer clients of bert-as-service too, over ZeroMQ.",
            rich_help_panel=_LISTEN,
        ),
    ] = False,
    bert_as_service_ports: Annotated[
        str,
        typer.Option(metavar="IN,OUT", help="Its two ports.", rich_help_panel=_LISTEN),
    ] = "5555,5556",
    engines: Annotated[
        str,
        typer.Option(
            metavar="auto|N|inline",
            help="Processes that hold the weights; inline for none.",
            rich_help_panel=_LISTEN,
        ),
    ] = "auto",
    check: Annotated[
        bool,
        typer.Option("--check", help="Load, answer one text, print the settings and end."),
    ] = False,
    task: Annotated[
        str | None, typer.Option(help="The task, where the model does not say it.")
    ] = None,
    allow_rejected: Annotated[
        bool, typer.Option("--allow-rejected", help="Serve an artifact that failed its check.")
    ] = False,
    runtime: RuntimeOption = "auto",
    max_length: MaxLengthOption = None,
    max_texts: Annotated[
        int, typer.Option(help="Texts in a request.", rich_help_panel=_LIMITS)
    ] = 1024,
    max_body: Annotated[
        int, typer.Option(metavar="MIB", help="Size of a request.", rich_help_panel=_LIMITS)
    ] = 8,
    max_queue_seconds: Annotated[
        float,
        typer.Option(
            help="Requests that would wait longer are refused at once.", rich_help_panel=_LIMITS
        ),
    ] = 10.0,
    cache: Annotated[
        int,
        typer.Option(
            metavar="MIB", help="Answers that are kept; 0 for none.", rich_help_panel=_LIMITS
        ),
    ] = 64,
    cache_ttl: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="How long they hold.", rich_help_panel=_LIMITS),
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Who may ask.", rich_help_panel=_KEYS),
    ] = None,
    new_key: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Add a key to --keys, print it and end.", rich_help_panel=_KEYS
        ),
    ] = None,
    scope: Annotated[
        str | None,
        typer.Option(
            metavar="SCOPE,…",
            help="What the new key is for: infer, metrics; infer if left out.",
            rich_help_panel=_KEYS,
        ),
    ] = None,
    days: Annotated[
        int | None, typer.Option(help="After how many days it ends.", rich_help_panel=_KEYS)
    ] = None,
    tokens_per_minute: Annotated[
        int | None,
        typer.Option(metavar="N", help="How much the new key may ask for.", rich_help_panel=_KEYS),
    ] = None,
    share_cache: Annotated[
        bool,
        typer.Option(
            "--share-cache",
            help="Answer a key what another one asked before.",
            rich_help_panel=_KEYS,
        ),
    ] = False,
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A chain, PEM.", rich_help_panel=_KEYS)
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its key, PEM.", rich_help_panel=_KEYS)
    ] = None,
    drain_delay: Annotated[
        float,
        typer.Option(help="Seconds from the signal to the last new request.", rich_help_panel=_END),
    ] = 0.0,
    drain_limit: Annotated[
        float,
        typer.Option(help="Seconds that accepted requests have.", rich_help_panel=_END),
    ] = 30.0,
    access_log: Annotated[
        bool, typer.Option("--access-log", help="A line a request; no texts, no keys.")
    ] = False,
) -> None:
    """Serve models over HTTP until Ctrl-C."""
    from bertcompress.errors import UsageError
    from bertcompress.recipes.serve_recipe import (
        check_libraries,
        check_server,
        engines_of,
        models_of,
        new_key_in,
        ports_of,
    )
    from bertcompress.serve.settings import MIB, ServeSettings
    from bertcompress_cli.output import note, result, say

    if new_key is not None:
        print(
            new_key_in(
                keys,
                new_key,
                scopes=scope or "infer",
                days=days,
                tokens_per_minute=tokens_per_minute,
            )
        )
        return
    if scope or days is not None or tokens_per_minute is not None:
        raise UsageError(
            "--scope, --days and --tokens-per-minute are about a new key; give --new-key NAME"
        )
    settings = ServeSettings(
        host=host,
        port=port,
        api=api,
        engines=engines_of(engines),
        max_queue_seconds=max_queue_seconds,
        max_texts=max_texts,
        max_body_bytes=max_body * MIB,
        cache_bytes=cache * MIB,
        cache_seconds=cache_ttl,
        keys=keys,
        share_cache=share_cache,
        bert_as_service=ports_of(bert_as_service_ports) if bert_as_service else None,
        drain_delay=drain_delay,
        drain_limit=drain_limit,
        tls_certificate=tls_cert,
        tls_key=tls_key,
        access_log=access_log,
    )
    check_libraries(bert_as_service=bert_as_service)
    asked = models_of(
        models or [],
        task=task,
        runtime=runtime,
        max_length=max_length,
        allow_rejected=allow_rejected,
        note=note,
    )
    if check:
        for line in check_server(asked, settings, note=note):
            result(line, {}, as_json=False)
        return
    from bertcompress.serve.supervisor import serve as serve_until_signal

    def ready(address: str, names: tuple[str, ...]) -> None:
        say(f"serving {', '.join(names)} on {address}; Ctrl-C ends it")

    serve_until_signal(asked, settings, ready=ready, note=note)
