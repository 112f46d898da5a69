"""Buckets: they hold what they are for, and padding comes off again."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bertcompress.runtimes.buckets import MOST_TOKENS, bucket_of, cut, padded

LONGEST = st.sampled_from([40, 128, 512])


@given(batch=st.integers(1, 300), length=st.integers(1, 512), longest=LONGEST)
def test_a_bucket_holds_the_batch_and_is_its_own(batch: int, length: int, longest: int) -> None:
    bucket = bucket_of(batch, min(length, longest), longest=longest)
    if bucket is None:
        assert 2 * batch * longest > MOST_TOKENS
        return
    assert batch <= bucket[0] < 2 * batch
    assert min(length, longest) <= bucket[1] <= longest
    assert bucket[0] * bucket[1] <= MOST_TOKENS
    assert bucket_of(*bucket, longest=longest) == bucket


def test_the_longest_text_has_a_bucket_of_its_own() -> None:
    assert bucket_of(1, 100, longest=100) == (1, 100)
    assert bucket_of(1, 3, longest=10) == (1, 10)


def test_a_bucket_can_be_asked_for_more_tokens() -> None:
    assert bucket_of(1, 16, longest=512, least_tokens=32) == (1, 32)
    assert bucket_of(2, 16, longest=512, least_tokens=32) == (2, 16)


@given(
    texts=st.integers(1, 5), tokens=st.integers(1, 9), more=st.integers(0, 3), on=st.integers(0, 7)
)
def test_padding_is_masked_and_comes_off_again(texts: int, tokens: int, more: int, on: int) -> None:
    ids = np.arange(1, texts * tokens + 1).reshape(texts, tokens)
    feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": ids % 2}
    bucket = texts + more, tokens + on
    made = padded(feed, bucket, pad_token_id=99)
    assert all(one.shape == bucket for one in made.values())
    assert made["attention_mask"].sum() == ids.size + more  # one token of each padded text
    assert (made["input_ids"] == 99).sum() == bucket[0] * bucket[1] - ids.size
    outputs = {
        "last_hidden_state": np.stack([made["input_ids"]] * 2, axis=2),
        "start_logits": made["input_ids"],
        "logits": made["input_ids"][:, :1],
    }
    back = cut(outputs, (texts, tokens), bucket)
    np.testing.assert_array_equal(back["last_hidden_state"][..., 0], ids)
    np.testing.assert_array_equal(back["start_logits"], ids)
    np.testing.assert_array_equal(back["logits"], ids[:, :1])
    assert not np.shares_memory(back["logits"], outputs["logits"])
