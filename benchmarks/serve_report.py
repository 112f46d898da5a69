"""The report of `serve.py` as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median, quantiles
from typing import Any

from scripts import opening

CLIENTS = 64
Facts = dict[str, Any]


def table(facts: Facts) -> str:
    """Returns the report as Markdown."""
    lines = [
        f"{opening(facts)} Load from another process on the same cores, over loopback; SST-2's "
        "test sentences, one a request, no cache unless said.",
        "",
    ]
    if "rates" in facts:
        lines += [
            f"| {CLIENTS} clients | without a server, a second | over HTTP | share | middle half |",
            "|---|---:|---:|---:|---:|",
        ]
        for name, own in facts["rates"].items():
            both = own["together"]
            shares = [b / a for a, b in zip(both["offline"], both["served"], strict=True)]
            low, _, high = quantiles(shares[1:], n=4)
            lines.append(
                f"| {name} | {median(both['offline']):,.0f} | {median(both['served']):,.0f} | "
                f"{median(shares[1:]):.0%} | {low:.0%} to {high:.0%} |"
            )
        lines += ["", "| one client | runtime, p50 ms | over HTTP | more |", "|---|---:|---:|---:|"]
        for name, own in facts["rates"].items():
            lone = own["lone"]
            more = [b - a for a, b in zip(lone["runtime"], lone["served"], strict=True)]
            lines.append(
                f"| {name} | {1e3 * median(lone['runtime']):.2f} | "
                f"{1e3 * median(lone['served']):.2f} | {1e3 * median(more[1:]):.2f} |"
            )
        lines.append("")
    if "times" in facts:
        lines += [
            "| at random, 70 % of the highest rate | offered, a second | p50 ms | p90 | p99 |",
            "|---|---:|---:|---:|---:|",
            *(
                f"| {name} | {own['offered']:,.0f} | {_ms(own['p50'])} | {_ms(own['p90'])} | "
                f"{_ms(own['p99'])} |"
                for name, own in facts["times"].items()
            ),
            "",
        ]
    if facts.get("peers"):
        lines += [
            f"| {CLIENTS} clients, in turns with ours | a second | our INT8 | our pruned INT8 |",
            "|---|---:|---:|---:|",
        ]
        for name, own in facts["peers"].items():
            ratios = {
                ours: median(b / a for a, b in zip(own[name], own[ours], strict=True))
                for ours in ("INT8", "pruned INT8")
            }
            lines.append(
                f"| {name} | {median(own[name]):,.0f} | {ratios['INT8']:.2f}× | "
                f"{ratios['pruned INT8']:.2f}× |"
            )
        lines.append("")
    lines += [f"- {sentence}" for sentence in _sentences(facts)]
    return "\n".join([*lines, ""])


def _sentences(facts: Facts) -> Iterator[str]:
    if own := facts.get("cache"):
        yield (
            f"Known answers, a key checked: {own['saturated']:,.0f}/s with {CLIENTS} connections "
            f"(the loader used {own['loader_cpu']:.0%} of a core); at 1,500/s offered p99 "
            f"{_ms(own['p99'])} ms."
        )
    if own := facts.get("start"):
        yield (
            f"Front and one engine, INT8: ready after {median(own['ready_s']):.2f} s, "
            f"{own['resident_bytes'] / 1e6:.0f} MB resident, {own['idle_cpu']:.2%} of a core idle."
        )
    if own := facts.get("deaths"):
        engines = own["engines"]
        lost = sum(count for status, count in engines["statuses"].items() if status != "200")
        yield (
            f"Engine killed 20 times at 70 %: {engines['statuses'].get('200', 0):,} answers, "
            f"{lost} lost or refused, {engines['wrong']} wrong, p99 {_ms(engines['p99'])} ms. "
            f"Front killed: answers again after {own['front_again_s']:.2f} s, "
            f"{own['front_lost']} calls of our client lost."
        )
    if own := facts.get("overload"):
        full, after, ended = own["overloaded"], own["after"], own["ended"]
        yield (
            f"Three times the highest rate: {full['rate']:,.0f}/s answered "
            f"({own['saturated']:,.0f} before), p99 {_ms(full['p99'])} ms, the rest "
            f"{_rest(full['statuses'])}, refused within {_ms(full['refused_p99'])} ms (p99); a "
            f"second later p99 {_ms(after['p99'])} ms at half the rate. Ended under load with 500 "
            f"connections: {_rest(ended['statuses'])} besides "
            f"{ended['statuses'].get('200', 0):,} answers."
        )
    if own := facts.get("memory"):
        yield (
            f"{own['minutes']:g} minutes of 1 to 512 tokens: {own['first']:.0f} MB after five "
            f"seconds, {own['last']:.0f} MB at the end, {own['slope']:+.2f} MB a minute after the "
            "first sixth."
        )
    for name, ways in facts.get("same", {}).items():
        told = ", ".join(
            f"{way} {one['labels']} labels, {one['largest']:.1e}" for way, one in ways.items()
        )
        yield f"{name}, against the same text run alone without a server: {told}."


def _rest(statuses: Mapping[str, int]) -> str:
    return ", ".join(f"{n:,} × {one}" for one, n in statuses.items() if one != "200") or "nothing"


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.1f}"
