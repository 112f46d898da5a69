"""Shape buckets: a few padded shapes instead of every shape, so that each can be a CUDA graph.

A CUDA graph is a recording of kernels for one shape. Recording one for every batch and length that
comes along would take longer than it saves, so inputs are padded to the next *bucket*, and what was
padding is cut off the outputs. Long batches are not padded: there the GPU computes longer than the
CPU needs to start the kernels, and padding would be computed for nothing.

    texts in a batch   1, 2, 4, 8, 16, …         the next power of two
    tokens of a text   16, 32, 64, 96, 128, …    the next of `LENGTHS`

A padded position is masked, so it adds exactly zero to every sum of attention; a padded text
keeps one unmasked token, because the softmax over nothing has no value.
Source: the graph keys (batch, longest text) of NVIDIA's MLPerf BERT harness.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bertcompress.runtimes.base import Arrays
from bertcompress.runtimes.fitting import follows_sequence

LENGTHS = (16, 32, 64, 96, 128, 192, 256, 384, 512)
"""Tokens of a text that there are buckets for."""

MOST_TOKENS = 16_384
"""Texts times tokens of the largest bucket; larger batches run as they are."""

Shape = tuple[int, int]
"""Texts in a batch, tokens of a text."""


def bucket_of(batch: int, length: int, *, longest: int, least_tokens: int = 1) -> Shape | None:
    """Returns the bucket that a batch is padded to, None if it runs as it is.

    Args:
        batch: Its texts.
        length: Tokens of its longest text.
        longest: Tokens that the model has positions for: no bucket is longer.
        least_tokens: Texts times tokens that a bucket must have.

    >>> bucket_of(3, 20, longest=512)
    (4, 32)
    >>> bucket_of(1, 128, longest=512)
    (1, 128)
    >>> bucket_of(128, 384, longest=512) is None
    True
    """
    texts = 1 << (batch - 1).bit_length()
    fitting = [one for one in (*LENGTHS, longest) if length <= one <= longest]
    fitting = [one for one in fitting if least_tokens <= texts * one <= MOST_TOKENS]
    return (texts, min(fitting)) if fitting else None


def padded(feed: Arrays, shape: Shape, *, pad_token_id: int = 0) -> dict[str, NDArray[np.generic]]:
    """Returns the inputs ``[batch, sequence]`` padded to a bucket's shape, their types kept.

    Args:
        feed: All of one shape, none larger than the bucket.
        shape: The bucket.
        pad_token_id: The tokenizer's padding token.
    """
    made = {}
    for name, values in feed.items():
        texts, tokens = values.shape
        full = np.full(shape, pad_token_id if name == "input_ids" else 0, dtype=values.dtype)
        full[:texts, :tokens] = values
        if name == "attention_mask":
            full[texts:, 0] = 1
        made[name] = full
    return made


def cut(
    outputs: Mapping[str, NDArray[np.generic]], given: Shape, bucket: Shape
) -> dict[str, NDArray[np.generic]]:
    """Returns the outputs of a bucket without what was padding.

    Args:
        outputs: As the model gave them.
        given: The batch's own shape.
        bucket: What it was padded to.
    """
    texts, tokens = given
    made = {}
    for name, values in outputs.items():
        follows = follows_sequence(name, values) and values.shape[1] == bucket[1]
        made[name] = np.array(values[:texts, :tokens] if follows else values[:texts])
    return made


def shape_of(feed: Arrays) -> Shape:
    """Returns the texts and the tokens of the inputs."""
    texts, tokens = feed["input_ids"].shape
    return texts, tokens
