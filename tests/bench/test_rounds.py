"""Rounds: a process that fails ends them with its name, and memory for one is enough."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bertcompress.bench.variant import Subject
from bertcompress.bench.worker.fake import FakeArtifact, write_fake
from bertcompress.errors import RunError
from bertcompress.report.benchmark import bench
from fixtures.bench_runs import SMALL_RUN, two_fakes


def test_a_variant_that_fails_ends_the_run_with_its_name(subject: Subject, tmp_path: Path) -> None:
    variants = two_fakes(tmp_path)
    write_fake(tmp_path / "b", FakeArtifact(fail_run="no kernel for this operator"))

    with pytest.raises(RunError, match="INT8: no kernel for this operator"):
        bench(variants, subject, settings=SMALL_RUN)


def test_one_after_the_other_needs_no_two_processes(subject: Subject, tmp_path: Path) -> None:
    settings = replace(SMALL_RUN, side_by_side=False, accuracy=False, rounds=1, again=False)

    report = bench(two_fakes(tmp_path), subject, settings=settings)

    assert report.again is None
    assert report.results[1].accuracy is None
    assert len(report.results[1].measurements[0].rounds[0]) == 6
