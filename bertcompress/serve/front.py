"""The front's process: the supervisor starts it and is told in lines of JSON how it goes."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Mapping

from bertcompress.codec import from_plain
from bertcompress.errors import BertCompressError
from bertcompress.serve.server import serve_on
from bertcompress.serve.settings import ModelSettings, ServeSettings


def main(arguments: list[str]) -> None:
    """Serves on one socket until a signal, or the end of standard input.

    Args:
        arguments: The socket's descriptor, and models and settings as JSON.
    """
    descriptor, asked = arguments
    plain = json.loads(asked)
    models = {name: from_plain(ModelSettings, one) for name, one in plain["models"].items()}
    settings = from_plain(ServeSettings, plain["settings"])
    with socket.socket(fileno=int(descriptor)) as listener:
        try:
            serve_on(
                listener,
                models,
                settings,
                ready=lambda address: _say({"ready": address}),
                closing=lambda: _say({"closing": True}),
                note=lambda sentence: _say({"note": sentence}),
            )
        except BertCompressError as error:
            _say({"refused": str(error), "code": error.exit_code})


def _say(message: Mapping[str, object]) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
