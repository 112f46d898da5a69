"""Sidecars: what is bound to a machine, each thing that differs told, keys and reading."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from bertcompress.artifacts.engine_record import (
    EngineRecord,
    Platform,
    Profile,
    differences,
    profile_for,
)

HERE = Platform(
    tensorrt="10.16.1.11",
    cuda="13.0",
    driver="580",
    gpu="NVIDIA H100",
    sm="9.0",
    sm_count=132,
    vram_mib=81559,
    system="linux-x86_64",
)
OTHER = {
    "tensorrt": ("11.1.0.106", "TensorRT 10.16.1.11 (here: TensorRT 11.1.0.106)"),
    "cuda": ("12.8", "CUDA 13.0 (here: CUDA 12.8)"),
    "driver": ("550", "a driver of branch 580 (here: a driver of branch 550)"),
    "gpu": ("NVIDIA L4", "NVIDIA H100 (here: NVIDIA L4)"),
    "sm": ("8.9", "compute capability 9.0 (here: compute capability 8.9)"),
    "sm_count": (114, "132 multiprocessors (here: 114 multiprocessors)"),
    "vram_mib": (23034, "81559 MiB of GPU memory (here: 23034 MiB of GPU memory)"),
    "system": ("linux-aarch64", "linux-x86_64 (here: linux-aarch64)"),
}
PROFILE = Profile((1, 1), (1, 9), (1, 16))
RECORD = EngineRecord("a" * 64, "b" * 64, HERE, (PROFILE,), {"tf32": False}, "c" * 64)


def elsewhere(**other: object) -> Platform:
    return replace(HERE, **other)  # type: ignore[arg-type]  # a test's parameters


def test_every_field_has_its_case() -> None:
    assert set(OTHER) == {one.name for one in fields(Platform)}


def test_the_same_machine_differs_in_nothing() -> None:
    assert differences(HERE, replace(HERE)) == ()


@pytest.mark.parametrize("name", OTHER)
def test_each_field_that_differs_is_told_alone(name: str) -> None:
    value, sentence = OTHER[name]
    assert differences(HERE, elsewhere(**{name: value})) == (sentence,)


def test_all_that_differs_is_told_at_once() -> None:
    other = elsewhere(**{name: value for name, (value, _) in OTHER.items()})
    assert differences(HERE, other) == tuple(sentence for _, sentence in OTHER.values())


@pytest.mark.parametrize(
    ("name", "value", "runs"),
    [
        ("tensorrt", "11.1.0.106", True),
        ("tensorrt", "10.14.0.1", False),
        ("cuda", "13.1", True),
        ("cuda", "12.8", False),
        ("driver", "590", True),
        ("driver", "550", False),
        ("gpu", "NVIDIA L4", False),
    ],
)
def test_a_version_compatible_engine_runs_in_newer_ones(
    name: str, value: str, *, runs: bool
) -> None:
    found = differences(HERE, elsewhere(**{name: value}), version_compatible=True)
    assert (not found) is runs


@pytest.mark.parametrize("hardware", ["ampere+", "same-compute-capability"])
def test_a_hardware_compatible_engine_runs_on_other_gpus(hardware: str) -> None:
    other = elsewhere(gpu="NVIDIA H200", sm_count=100, vram_mib=1)
    assert differences(HERE, other, hardware=hardware) == ()
    newer = differences(HERE, replace(other, sm="12.0"), hardware=hardware)
    assert (not newer) is (hardware == "ampere+")
    assert differences(HERE, replace(other, sm="7.5"), hardware=hardware)
    assert differences(HERE, replace(other, tensorrt="11.1.0.106"), hardware=hardware)


def test_the_smallest_profile_is_taken() -> None:
    wide, narrow = Profile((1, 1), (4, 9), (8, 64)), Profile((1, 1), (1, 9), (1, 16))
    assert profile_for((wide, narrow), 1, 16) == 1
    assert profile_for((wide, narrow), 1, 17) == 0
    assert profile_for((wide, narrow), 9, 1) is None
    assert profile_for((narrow, narrow), 1, 1) == 0


def test_a_sidecar_reads_back() -> None:
    plain = json.loads(json.dumps(RECORD.to_json()))
    assert EngineRecord.from_json(plain) == RECORD


@pytest.mark.parametrize(
    "other",
    [
        {"graph_sha256": "d" * 64},
        {"recipe_sha256": "d" * 64},
        {"platform": elsewhere(sm_count=114)},
        {"profiles": (replace(PROFILE, most=(1, 32)),)},
        {"knobs": {"tf32": True}},
    ],
)
def test_the_key_changes_with_each_thing_that_decides(other: dict[str, object]) -> None:
    assert replace(RECORD, **other).key != RECORD.key  # type: ignore[arg-type]  # fields by name


def test_what_was_found_out_does_not_change_the_key() -> None:
    found = replace(
        RECORD, plan_sha256="e" * 64, layers=({"name": "q"},), parity={"a": 1.0}, seconds=3.0
    )
    assert found.key == RECORD.key


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"key": "other"}, ValueError),
        ({"platform": {**RECORD.to_json()["platform"], "sm_count": 1}}, ValueError),  # type: ignore[dict-item]  # a mapping
        ({"platform": {"gpu": "x"}}, TypeError),
        ({"profiles": [{"least": [1, 1], "opt": [1, 1], "most": [1]}]}, TypeError),
        ({"profiles": {}}, TypeError),
    ],
)
def test_a_sidecar_that_was_edited_is_refused(
    change: dict[str, object], error: type[Exception]
) -> None:
    plain = {**json.loads(json.dumps(RECORD.to_json())), **change}
    with pytest.raises(error):
        EngineRecord.from_json(plain)


def test_a_sidecar_that_is_no_mapping_or_lacks_a_field_is_refused() -> None:
    with pytest.raises(TypeError, match="JSON object"):
        EngineRecord.from_json([])
    plain = RECORD.to_json()
    del plain["layers"]
    with pytest.raises(KeyError, match="layers"):
        EngineRecord.from_json(plain)
