"""An engine's process: reads batches from the socket that it was started with, writes outputs.

It ends when the socket does, so nothing is left of a front that was killed; signals that end a
server are the front's to obey.
"""

from __future__ import annotations

import json
import signal
import socket
import sys

import numpy as np

from bertcompress.codec import from_plain
from bertcompress.errors import BertCompressError
from bertcompress.inference.streams import Feed
from bertcompress.serve.engines.sessions import EngineSettings, Sessions
from bertcompress.serve.wire import Message, packed, read_message


def main(arguments: list[str]) -> None:
    """Serves one socket until its end.

    Args:
        arguments: The socket's descriptor, and the settings as JSON.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    descriptor, settings = arguments
    with socket.socket(fileno=int(descriptor)) as connection:
        serve(connection, from_plain(EngineSettings, json.loads(settings)))


def serve(connection: socket.socket, settings: EngineSettings) -> None:
    """Opens the sessions, says so, and answers batches until the other side has gone."""
    with connection.makefile("rb") as stream:
        try:
            with Sessions(settings) as sessions:
                connection.sendall(packed(Message({"ready": True})))
                while (message := read_message(stream.read)) is not None:
                    connection.sendall(packed(_answer(sessions, message)))
        except BertCompressError as error:
            connection.sendall(packed(Message({"refused": str(error), "code": error.exit_code})))
        except ConnectionError:
            return  # the front has gone


def _answer(sessions: Sessions, message: Message) -> Message:
    feed: Feed = {name: values.astype(np.int64) for name, values in message.arrays.items()}
    try:
        outputs, seconds = sessions.run(feed, wide=bool(message.head["wide"]))
    except BertCompressError as error:
        return Message({"error": str(error)})
    return Message({"seconds": seconds}, outputs)


if __name__ == "__main__":
    main(sys.argv[1:])
