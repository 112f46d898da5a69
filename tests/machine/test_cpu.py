"""Which CPUs need weights of 7 bits."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.machine.cpu import saturates, target_flags
from bertcompress.numerics.affine import S8_MAX, S8_REDUCED

Graphs = Callable[..., OnnxModel]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (("avx2",), True),
        (("avx2", "avx512f"), True),
        (("avx2", "avx512f", "avx512_vnni"), False),
        (("avx2", "avx_vnni"), False),
        (("asimd", "asimddp"), False),
        ((), False),
    ],
)
def test_only_x64_without_vnni_saturates(flags: tuple[str, ...], expected: bool) -> None:
    assert saturates(flags) is expected


def test_no_pair_of_reduced_products_overflows() -> None:
    assert 255 * S8_REDUCED * 2 <= 2**15 - 1 < 255 * S8_MAX * 2


@pytest.mark.parametrize(("target", "expected"), [("avx512", True), ("arm", False)])
def test_a_target_is_known_by_its_instructions(target: str, expected: bool) -> None:
    assert saturates(target_flags(target)) is expected
