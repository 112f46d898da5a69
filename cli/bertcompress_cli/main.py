"""The console script: prepares the process, runs the command that was typed, exits with its code.

Some settings have to stand before the first library is imported, so everything else is imported
inside the function.
"""

from __future__ import annotations

import logging
import os
import sys

_ENVIRONMENT = {
    "BERTCOMPRESS_LAZY": "1",  # the pruned classes are registered when a model is loaded
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def main() -> None:
    """Runs the command that was typed and exits with its code."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # Set up before any library does it: some log their progress at the root when they may.
    debugging = os.environ.get("BERTCOMPRESS_DEBUG") == "1"
    logging.basicConfig(level=logging.INFO if debugging else logging.WARNING, format="%(message)s")
    from bertcompress_cli import signals
    from bertcompress_cli.output import write_what_it_can

    signals.listen()
    write_what_it_can()
    try:
        from bertcompress_cli.app import run_command

        code = run_command(sys.argv[1:])
    except KeyboardInterrupt:  # before the command had begun
        code = signals.exit_code()
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has gone: nothing is left to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)
