"""How much each key may still ask for: a bucket of tokens that fills by the minute.

What a request costs is known once its texts are tokens, so that it is paid for afterwards, and the
next one waits until the bucket is above zero again: a key gets at most its tokens of a minute and
one request more ("token bucket", RFC 2697's meter).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from bertcompress.serve.keys import Key
from bertcompress.serve.refusals import RefusalError


class Allowances:
    """The buckets of all keys that have one.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}

    def check(self, key: Key | None) -> None:
        """Lets a request pass if its key has tokens left.

        Raises:
            RefusalError: 429, with the seconds until it has.
        """
        if key is None or key.tokens_per_minute is None:
            return
        left = self._filled(key, key.tokens_per_minute)
        if left > 0:
            return
        again = max(1, math.ceil(60 * (1 - left) / key.tokens_per_minute))
        raise RefusalError(
            429,
            "rate_limit",
            f"the key has used its {key.tokens_per_minute:,} tokens a minute; ask again in {again} "
            "s",
            headers={"Retry-After": str(again)},
        )

    def spend(self, key: Key | None, tokens: int) -> None:
        """Takes the tokens of an answered request."""
        if key is not None and key.tokens_per_minute is not None:
            left = self._filled(key, key.tokens_per_minute)
            self._left[key.id] = left - tokens, self._clock()

    def _filled(self, key: Key, most: int) -> float:
        now = self._clock()
        left, since = self._left.get(key.id, (float(most), now))
        return min(float(most), left + (now - since) * most / 60)
