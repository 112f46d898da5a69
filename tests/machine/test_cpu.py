"""Which CPUs add products in 16 bits, here and on the machines that graphs are made for."""

from __future__ import annotations

import pytest

from bertcompress.machine.cpu import saturates, target_flags


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


@pytest.mark.parametrize(("target", "expected"), [("avx512", True), ("arm", False)])
def test_a_target_is_known_by_its_instructions(target: str, expected: bool) -> None:
    assert saturates(target_flags(target)) is expected
