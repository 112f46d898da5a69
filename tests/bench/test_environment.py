"""The machine, and nothing of its owner."""

from __future__ import annotations

import getpass
import json
import socket
from dataclasses import replace

import pytest

from bertcompress.bench import environment as module
from bertcompress.bench.environment import (
    CpuTimes,
    available_threads,
    noise_of,
    read_cpu_times,
    read_environment,
    shares_between,
)
from bertcompress.bench.json_codec import to_plain


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


def test_a_quiet_machine_is_not_noisy_and_a_busy_one_is() -> None:
    machine = read_environment(threads=1, thread_variables={})
    quiet = replace(machine, load_average=0.0, steal_fraction=0.0, affinity_cpus=4, quota_cpus=None)

    assert noise_of(quiet) == []
    assert "load 3.0 on 4 CPUs" in noise_of(replace(quiet, load_average=3.0))[0]
    assert "hypervisor took 5.0%" in noise_of(replace(quiet, steal_fraction=0.05))[0]
    assert "may use 0.5 CPUs" in noise_of(replace(quiet, quota_cpus=0.5))[0]
    assert "8 threads shared 4 CPUs" in noise_of(replace(quiet, threads=8))[0]


@pytest.mark.parametrize(
    ("text", "quota"), [("max 100000", None), ("150000 100000", 1.5), ("50000", 0.5)]
)
def test_the_cgroup_quota_is_read(
    text: str, quota: float | None, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_first_line", lambda path: text)

    assert module._quota_cpus() == quota
