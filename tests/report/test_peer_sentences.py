"""What is said of the peers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bertcompress.report.schema import Report
from bertcompress.report.summary import summarize

Rows = tuple[tuple[str, float, float, float], ...]
MakeReport = Callable[..., Report]


def with_peers(report: Report, *names: str) -> Report:
    """Makes rows of a report those of other libraries."""
    results = tuple(
        replace(one, kind="peer") if one.name in names else one for one in report.results
    )
    return replace(report, results=results)


def test_a_peer_is_never_shipped_and_is_said_to_be_ahead_where_it_is(
    make_report: MakeReport,
) -> None:
    rows: Rows = (("FP32", 1.0, 90.9, 0.885), ("ours", 2.0, 23.0, 0.885), ("X", 3.0, 22.0, 0.885))

    decision = summarize(with_peers(make_report(rows), "X")).verdict

    assert decision.ship == "ours"
    assert not decision.others
    assert decision.peers[0].startswith("One sentence: ")
    assert "the fastest peer, X, takes" in decision.peers[0]
    assert "so X is 1.4" in decision.peers[0]
    assert "File: 23.0 MB; the smallest peer, X, takes 22.0 MB." in decision.peers
    assert set(decision.peers) < set(decision.sentences)


def test_a_slower_peer_is_said_to_be_slower(make_report: MakeReport) -> None:
    rows: Rows = (("FP32", 1.0, 90.9, 0.885), ("ours", 3.0, 23.0, 0.885), ("X", 2.0, 22.0, 0.885))

    decision = summarize(with_peers(make_report(rows), "X")).verdict

    assert all("ours is 1." in line for line in decision.peers if line.startswith("One "))
    assert any(line.startswith("All at once: ") for line in decision.peers)


def test_peers_that_lose_too_much_are_named_and_not_compared(make_report: MakeReport) -> None:
    rows: Rows = (("FP32", 1.0, 90.9, 0.885), ("ours", 2.0, 23.0, 0.885), ("X", 9.0, 22.0, 0.70))

    decision = summarize(with_peers(make_report(rows), "X")).verdict

    assert decision.peers == ("Beyond a loss of 1 point of accuracy: X.",)


def test_peers_beside_a_baseline_alone_leave_nothing_to_ship(make_report: MakeReport) -> None:
    rows: Rows = (("FP32", 1.0, 90.9, 0.885), ("X", 2.0, 23.0, 0.885))

    decision = summarize(with_peers(make_report(rows), "X")).verdict

    assert decision.headline == "Keep FP32."
    assert decision.reasons == ("Nothing was measured beside it.",)
