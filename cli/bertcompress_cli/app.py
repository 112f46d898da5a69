"""All subcommands, and one sentence with the right exit code for each failure.

Nothing heavy is imported here or at the top of a subcommand's module, so that ``--help`` answers
at once.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from typing import Annotated, cast

import typer

from bertcompress.errors import (
    FREE_MEMORY,
    BertCompressError,
    FinishedInterrupt,
    UnexpectedPassError,
    did_you_mean,
    is_out_of_memory,
)
from bertcompress.sinks import for_terminal
from bertcompress_cli import pages
from bertcompress_cli.signals import exit_code
from bertcompress_cli.verbs import (
    bench,
    bench_serve,
    build,
    calibrate,
    compare,
    convert_legacy,
    demo,
    doctor,
    evaluate,
    explain,
    export,
    finetune,
    gate,
    init,
    log,
    parity,
    predict,
    prune,
    quantize,
    report,
    run,
    serve,
    show,
    tune,
)

_INTERRUPTED = 130
_USAGE = 2
_LONGEST_SENTENCE = 2000
_USAGE_ERROR = cast("type[Exception]", typer.BadParameter.__bases__[0])

app = typer.Typer(
    name="bertcompress",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_PANELS = {
    "Start": (demo.demo, init.init, doctor.doctor, pages.help_),
    "Change a model": (
        finetune.finetune,
        prune.prune,
        quantize.quantize,
        calibrate.calibrate,
        export.export,
        build.build,
        convert_legacy.convert_legacy,
    ),
    "Measure": (
        bench.bench,
        bench_serve.bench_serve,
        evaluate.evaluate,
        compare.compare,
        gate.gate,
        report.report,
        parity.parity,
        explain.explain,
    ),
    "Use": (predict.predict, serve.serve, tune.tune),
    "Workspace": (run.run, show.show, log.log),
}
for _panel, _commands in _PANELS.items():
    for _command in _commands:
        app.command(_command.__name__.strip("_").replace("_", "-"), rich_help_panel=_panel)(
            _command
        )


def _version(asked: bool) -> None:
    if asked:
        from bertcompress import __version__

        typer.echo(f"bertcompress {__version__}")
        raise typer.Exit


@app.callback(no_args_is_help=False)
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Makes a fine-tuned BERT small and fast, and proves that it still answers right."""


def run_command(arguments: list[str]) -> int:
    """Runs one command line and returns its exit code; a failure is one sentence on stderr."""
    return run_told(
        lambda: typer.main.get_command(app).main(
            arguments or ["--help"], prog_name="bertcompress", standalone_mode=False
        )
    )


def run_told(work: Callable[[], object]) -> int:
    """Does some work as a verb is done: the border where every error becomes a sentence."""
    finished = ""
    try:
        result = work()
    except FinishedInterrupt as error:
        result, finished = _INTERRUPTED, str(error)
    except (KeyboardInterrupt, typer.Abort):
        result = _INTERRUPTED
    except UnexpectedPassError as error:
        return _unexpected(error)
    except BertCompressError as error:
        return _failed(str(error), error.exit_code)
    except Exception as error:  # the last border: nothing goes on after it
        return _unexpected(error)
    if result == _INTERRUPTED:
        sentence = finished or "interrupted; finished steps are kept: the same command goes on"
        return _failed(sentence, exit_code(), label="")
    return result if isinstance(result, int) else 0


def _failed(sentence: str, code: int, *, label: str = "error: ") -> int:
    print(for_terminal(f"{label}{_on_one_line(sentence)}"), file=sys.stderr)
    return code


def _on_one_line(sentence: str) -> str:
    """Returns a sentence without line ends; of a name or value of a megabyte the ends are shown."""
    words = " ".join(sentence.split("\n"))
    half = _LONGEST_SENTENCE // 2
    return words if len(words) <= _LONGEST_SENTENCE else f"{words[:half]} … {words[-half:]}"


def _unexpected(error: Exception) -> int:
    cause = error.__cause__ if isinstance(error, UnexpectedPassError) else error
    if isinstance(cause, BrokenPipeError):
        return 1
    if isinstance(cause, _USAGE_ERROR):
        return _failed(_usage_sentence(cause), _USAGE)
    if isinstance(cause, OSError) and cause.errno == errno.ENOSPC:
        where = f" while writing {cause.filename}" if cause.filename else ""
        return _failed(f"the disk is full{where}; free some space, the same command goes on", 1)
    if os.environ.get("BERTCOMPRESS_DEBUG") == "1":
        raise error
    if is_out_of_memory(error):
        return _failed(f"there is not enough memory for this; {FREE_MEMORY}", 1)
    if isinstance(cause, OSError) and cause.filename and cause.strerror:
        return _failed(f"can't use {cause.filename}: {cause.strerror}", 1)
    first = str(error).strip().split("\n", 1)[0]
    if cause is error:
        first = f"unexpected {type(error).__name__}{': ' if first else ''}{first}"
    return _failed(f"{first}; set BERTCOMPRESS_DEBUG=1 and run it again to see where", 1)


def _usage_sentence(error: Exception) -> str:
    """Returns what the option parser found wrong, with the word that was probably meant."""
    option, near = getattr(error, "option_name", None), getattr(error, "possibilities", None)
    context = getattr(error, "ctx", None)
    verb = getattr(context, "command_path", "bertcompress")
    if option and near:
        return f"there is no option {option}{did_you_mean(option, near)}"
    text = str(getattr(error, "message", "") or error)
    format_message = getattr(error, "format_message", None)
    if format_message is not None:
        text = format_message()
    text = " ".join(text.split()).rstrip(".")
    if text.endswith("?"):
        return text
    return f"{text}; type {verb} --help to see what there is"
