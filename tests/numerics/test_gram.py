"""Sums of outer products: what the plain product gives, whatever the rows come in."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bertcompress.numerics import gram
from bertcompress.numerics.gram import Gram


@given(st.integers(0, 10_000), st.integers(0, 9), st.integers(1, 30), st.integers(1, 7))
def test_it_is_the_weighted_product(seed: int, inputs: int, rows: int, parts: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, inputs, generator=generator, dtype=torch.float64)
    weights = torch.rand(rows, generator=generator, dtype=torch.float64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gram, "_ROWS", 5)
        patch.setattr(gram, "_BLOCK", 4)

        found = Gram(inputs)
        for part in zip(x.chunk(parts), weights.chunk(parts), strict=True):
            found.add(*part)

        assert torch.allclose(found.total(), (x * weights[:, None]).T @ x)
        assert torch.equal(found.total(), found.total().T)


def test_rows_may_follow_after_a_total() -> None:
    x, weights = torch.eye(3), torch.tensor([1.0, 4.0, 9.0])
    sums = Gram(3)
    sums.add(x[:2], weights[:2])
    sums.total()
    sums.add(x[2:], weights[2:])

    assert torch.equal(sums.total(), torch.diag(weights).double())


def test_no_rows_are_zeros() -> None:
    assert torch.equal(Gram(2).total(), torch.zeros(2, 2, dtype=torch.float64))
