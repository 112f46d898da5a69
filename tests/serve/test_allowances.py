"""A key's tokens of a minute."""

from __future__ import annotations

import pytest

from bertcompress.serve.allowances import Allowances
from bertcompress.serve.keys import Key
from bertcompress.serve.refusals import RefusalError

KEY = Key("team", "", tokens_per_minute=60)


def test_what_is_used_comes_back_by_the_second() -> None:
    now = 0.0
    buckets = Allowances(lambda: now)
    buckets.check(KEY)
    buckets.spend(KEY, 75)  # more than it had: the request was under way
    with pytest.raises(RefusalError, match="60 tokens a minute") as found:
        buckets.check(KEY)
    assert found.value.status == 429
    assert found.value.headers["Retry-After"] == "16"
    now = 15.5
    buckets.check(KEY)
    now = 1000.0
    buckets.spend(KEY, 60)
    with pytest.raises(RefusalError):
        buckets.check(KEY)  # a long rest saves no more than a minute's


def test_keys_without_a_rate_and_servers_without_keys() -> None:
    buckets = Allowances()
    for key in (None, Key("free", "")):
        buckets.spend(key, 10**9)
        buckets.check(key)
