"""The machine, and nothing of its owner."""

from __future__ import annotations

import getpass
import json
import socket

import pytest

from bertcompress.codec import to_plain
from bertcompress.machine import environment as module
from bertcompress.machine.environment import (
    CpuTimes,
    available_threads,
    read_cpu_times,
    read_environment,
    shares_between,
)


def test_the_environment_names_the_machine_but_not_its_owner() -> None:
    machine = read_environment(threads=2, thread_variables={"OMP_NUM_THREADS": "2"})

    text = json.dumps(to_plain(machine))
    assert machine.libraries["numpy"]
    assert machine.memory_bytes > machine.available_bytes > 0
    assert machine.cpu_model
    assert socket.gethostname() not in text or socket.gethostname() in ("localhost", "Linux")
    assert f'"{getpass.getuser()}"' not in text
    assert "/home" not in text


def test_threads_never_exceed_what_this_process_may_use() -> None:
    assert 1 <= available_threads() <= read_environment(threads=1, thread_variables={}).logical_cpus


def test_shares_come_from_two_readings() -> None:
    before, after = CpuTimes(1000, 600, 10), CpuTimes(2000, 850, 60)

    assert shares_between(before, after) == pytest.approx((0.75, 0.05))
    assert shares_between(None, after) is None
    assert shares_between(after, after) is None


def test_cpu_times_grow() -> None:
    times = read_cpu_times()

    assert times is None or times.total >= times.idle


@pytest.mark.parametrize(
    ("text", "quota"), [("max 100000", None), ("150000 100000", 1.5), ("50000", 0.5)]
)
def test_the_cgroup_quota_is_read(
    text: str, quota: float | None, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_first_line", lambda path: text)

    assert module._quota_cpus() == quota
