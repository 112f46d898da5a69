"""Answers are kept up to a size and an age, and equal texts are computed once."""

from __future__ import annotations

import asyncio
import time

import pytest

from bertcompress.serve.answer_cache import AnswerCache


def cache(
    limit: int = 10_000, seconds: float | None = None, by_key: bool = False
) -> AnswerCache[str]:
    return AnswerCache[str](limit, seconds=seconds, by_key=by_key)


def test_what_was_used_last_stays() -> None:
    kept = cache(3_000)
    for name in "abc":
        kept.put(name, name.upper(), 200)
    assert kept.get("a") == "A"
    kept.put("d", "D", 200)
    assert [kept.get(name) for name in "abcd"] == ["A", None, "C", "D"]
    assert kept.counts.evictions == 1
    assert kept.size_bytes <= 3_000


def test_nothing_is_kept_without_room() -> None:
    kept = cache(0)
    kept.put("a", "A", 1)
    assert kept.get("a") is None


def test_an_answer_holds_for_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = cache(seconds=5.0)
    kept.put("a", "A", 1)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 4.0)
    assert kept.get("a") == "A"
    monkeypatch.setattr(time, "monotonic", lambda: now + 6.0)
    assert kept.get("a") is None


def test_keys_have_answers_of_their_own_where_wanted() -> None:
    assert cache(by_key=True).scope("key") == "key"
    assert cache().scope("key") == ""


def test_clearing_forgets() -> None:
    kept = cache()
    kept.put("a", "A", 1)
    kept.clear()
    assert (kept.get("a"), kept.size_bytes) == (None, 0)


def raise_broken() -> None:
    raise ValueError("broken")


def test_others_join_what_is_being_computed_and_see_its_error() -> None:
    async def run() -> tuple[str, str]:
        kept = cache()
        with kept.run("a") as result:
            joined = kept.running("a")
            assert joined is not None
            result.set_result("A")
        try:
            with kept.run("b"):
                failing = kept.running("b")
                raise_broken()
        except ValueError:
            assert failing is not None
        with pytest.raises(ValueError, match="broken") as raised:
            await failing
        error = str(raised.value)
        assert kept.running("a") is None
        return await joined, error

    assert asyncio.run(run()) == ("A", "broken")
