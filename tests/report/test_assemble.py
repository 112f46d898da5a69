"""What was measured, put together as a report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bertcompress.artifacts.artifact import Step
from bertcompress.artifacts.manifest import write_manifest
from bertcompress.bench.variant import Subject
from bertcompress.codec import to_plain
from bertcompress.passes.prune.removed import Explanation
from bertcompress.report.benchmark import bench
from fixtures.bench_runs import SMALL_RUN, two_fakes


def test_what_pruning_removed_is_kept_in_the_report(
    subject: Subject, tmp_path: Path, explanation: Explanation
) -> None:
    fakes = two_fakes(tmp_path)
    details = {"explain": to_plain(explanation)}
    step = Step("Prune", {}, 1.0, 20, 10, 80, 40, details)
    write_manifest(fakes[1].folder, kind="checkpoint", task=subject.task.name, history=[step])

    report = bench(fakes, subject, settings=replace(SMALL_RUN, rounds=1, accuracy=False))

    assert [result.explanation for result in report.results] == [None, explanation]
