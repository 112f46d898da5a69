"""Messages between the front and an engine: a head of JSON, then raw arrays; nothing pickled.

4 bytes   length of what follows, little-endian
4 bytes   length of the head
head      JSON: its own fields, and ``arrays``: name, dtype and shape of each
arrays    one after the other, C order
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bertcompress.errors import RunError

PREFIX = struct.Struct("<II")
_LARGEST = 1 << 30
_ARRAYS = "arrays"


@dataclass(frozen=True)
class Message:
    """One message.

    Attributes:
        head: Its fields, values that JSON knows.
        arrays: Its arrays by name.
    """

    head: Mapping[str, object]
    arrays: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)


def packed(message: Message) -> bytes:
    """Returns a message as it is sent."""
    described = [(name, str(values.dtype), values.shape) for name, values in message.arrays.items()]
    head = json.dumps({**message.head, _ARRAYS: described}).encode()
    raw = [np.ascontiguousarray(values).tobytes() for values in message.arrays.values()]
    size = PREFIX.size - 4 + len(head) + sum(map(len, raw))
    return b"".join((PREFIX.pack(size, len(head)), head, *raw))


def unpacked(head_length: int, body: bytes) -> Message:
    """Returns the message that `packed` made.

    Args:
        head_length: The second number of its prefix.
        body: What follows the prefix.
    """
    head = json.loads(body[:head_length])
    arrays, start = dict[str, NDArray[np.generic]](), head_length
    for name, dtype, shape in head.pop(_ARRAYS):
        values = np.frombuffer(body, dtype, count=math.prod(shape), offset=start)
        arrays[name] = values.reshape(shape)
        start += values.nbytes
    return Message(head, arrays)


def body_length(prefix: bytes) -> tuple[int, int]:
    """Returns from a prefix the bytes that follow it, and how many of them are the head.

    Raises:
        RunError: If the prefix is not one.
    """
    size, head_length = PREFIX.unpack(prefix)
    body = size - (PREFIX.size - 4)
    if not 0 <= head_length <= body <= _LARGEST:
        raise RunError("an engine sent what is no message")
    return body, head_length


def read_message(read: Callable[[int], bytes]) -> Message | None:
    """Reads one message from a blocking stream, None at its end.

    Args:
        read: Returns so many bytes, fewer only at the end.
    """
    prefix = read(PREFIX.size)
    if len(prefix) < PREFIX.size:
        return None
    length, head_length = body_length(prefix)
    body = read(length)
    return unpacked(head_length, body) if len(body) == length else None
