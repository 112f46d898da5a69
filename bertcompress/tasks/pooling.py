"""Poolings: from a text's token vectors to one vector.

With ``h_1 … h_n`` the vectors of a text's tokens, special tokens included, and ``T`` the set of
those that count (all, or all but a prompt's):

    cls                     the first h_t of T
    max                     the largest value of each entry over T
    mean                    sum_T h_t / |T|
    mean_sqrt_len_tokens    sum_T h_t / sqrt |T|
    weightedmean            sum_T t h_t / sum_T t      t counts from 1 at the text's first token
    lasttoken               the last h_t of T

Several are put one after the other. Rows here have no padding: a padded position would have no
weight in any of them.

Source: Sentence Transformers 6.2, ``sentence_transformer/modules/pooling.py``.

>>> states = np.array([[3.0, 0.0], [0.0, 3.0]])
>>> pool(states, ("mean", "weightedmean")).tolist()
[1.5, 1.5, 1.0, 2.0]
>>> pool(states, ("mean",), skip=1).tolist()
[0.0, 3.0]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from bertcompress.tasks.outputs import Floats

Pooling = Literal["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)

_SMALLEST = 1e-9


def pool(states: Floats, poolings: Sequence[Pooling], *, skip: int = 0) -> Floats:
    """Returns one vector, float64 ``[poolings * hidden]``.

    Args:
        states: The vectors of a text's tokens, float64 ``[tokens, hidden]``, at least one.
        poolings: How, in the order of the parts.
        skip: So many tokens at the start do not count: those of a prompt.
    """
    weights = (np.arange(len(states)) >= skip).astype(np.float64)[:, None]  # [tokens, 1]
    return np.concatenate([_pooled(states, weights, pooling) for pooling in poolings])


def _pooled(states: Floats, weights: Floats, pooling: Pooling) -> Floats:
    first = int(weights.argmax())
    vector: Floats
    if pooling == "cls":
        vector = states[first]
        return vector
    if pooling == "max":
        vector = states[first:].max(axis=0)
        return vector
    if pooling == "lasttoken":
        vector = states[-1] * weights[-1]
        return vector
    if pooling == "weightedmean":
        weights = weights * np.arange(1, len(states) + 1)[:, None]
    count = max(float(weights.sum()), _SMALLEST)
    divisor = count**0.5 if pooling == "mean_sqrt_len_tokens" else count
    vector = (states * weights).sum(axis=0) / divisor
    return vector
