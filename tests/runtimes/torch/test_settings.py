"""Settings of torch's runtime: each that can't be meant is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bertcompress.errors import UsageError
from bertcompress.runtimes.torch.settings import TorchSettings

if TYPE_CHECKING:
    pass


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"device": "gpu"}, "cpu or cuda"),
        ({"dtype": "float8"}, "dtype must be one of"),
        ({"eight_bits": "int4"}, "int8 or fp8"),
        ({"packed": True, "graphs": True}, "another number of tokens"),
        ({"packed": True, "device": "cuda"}, "float16 or bfloat16"),
    ],
)
def test_settings_that_can_not_be_meant(wrong: dict[str, object], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        TorchSettings(**wrong)  # type: ignore[arg-type]  # wrong on purpose
