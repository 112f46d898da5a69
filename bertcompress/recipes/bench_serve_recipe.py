"""Measures a model as it is served: over HTTP, from another process, with the user's own texts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeVar

from bertcompress.errors import DataError, UsageError
from bertcompress.examples import Example, QuestionExample, TokenExample, UnsplitExample
from bertcompress.progress import Progress, silent
from bertcompress.serve.load.plan import LoadPlan, LoadResult
from bertcompress.serve.load.run import live_server, run_load
from bertcompress.serve.settings import ModelSettings, ServeSettings
from bertcompress.stats.intervals import percentile

Number = TypeVar("Number", int, float)
QUANTILES = (0.5, 0.9, 0.99)
_WARM_UP_S = 1.0


@dataclass(frozen=True)
class ServeLoads:
    """The loads that are put on a server, one after the other.

    Attributes:
        clients: So many that each ask again as soon as they are answered.
        texts_per_request: So many texts in each request.
        shares: Of the highest rate of those: requests that come at random, whether or not the
            server is ready for them.
        seconds: Of each.
    """

    clients: tuple[int, ...] = (1, 4, 16, 64)
    texts_per_request: tuple[int, ...] = (1,)
    shares: tuple[float, ...] = (0.5, 0.7, 0.9)
    seconds: float = 5.0

    def check(self) -> None:
        """Fails where a number can't be meant.

        Raises:
            UsageError: With what to type instead.
        """
        if not self.clients or min(self.clients) < 1 or max(self.clients) > 1024:
            raise UsageError("--clients must be numbers from 1 to 1024, such as 1,16,64")
        if not self.texts_per_request or min(self.texts_per_request) < 1:
            raise UsageError("--texts-per-request must be numbers from 1 on, such as 1,16")
        if any(not 0 < share < 2 for share in self.shares):
            raise UsageError("--shares must be above 0 and below 2, such as 0.5,0.7,0.9")
        if self.seconds <= 0:
            raise UsageError(f"--seconds must be above 0, got {self.seconds:g}")


@dataclass(frozen=True)
class LoadRow:
    """One load and what came of it.

    Attributes:
        clients: Of a closed loop; None for requests at random.
        offered: Requests a second that came; None for a closed loop.
        texts_per_request: Texts in each.
        texts_per_s: Texts that were answered a second.
        quantiles_s: Seconds to the answer, for `QUANTILES`; None where there are too few answers.
        refused: Requests that were refused with 429.
        failed: Requests with any other end.
        loader: Processor seconds of the loading process, a second.
    """

    clients: int | None
    offered: float | None
    texts_per_request: int
    texts_per_s: float
    quantiles_s: tuple[float | None, ...]
    refused: int
    failed: int
    loader: float


def bench_serve(
    model: ModelSettings,
    examples: Sequence[Example],
    settings: ServeSettings,
    loads: ServeLoads,
    *,
    progress: Progress = silent,
) -> list[LoadRow]:
    """Serves a model in another process, asks it from a third one, and returns what came of it.

    Args:
        model: What is served.
        examples: Whose texts are asked, in turn.
        settings: How it is served; a cache that holds all texts would be what is measured.
        loads: The loads.
        progress: Progress callback.

    Raises:
        UsageError: A load can't be meant.
        RunError: The model can't be served.
    """
    loads.check()
    rows: list[LoadRow] = []
    closed = list(product(loads.texts_per_request, loads.clients))
    total = len(closed) + len(loads.texts_per_request) * len(loads.shares)
    with live_server({"model": model}, replace(settings, port=0)) as (port, _):
        for texts, clients in closed:
            progress("loads", len(rows), total)
            plan = LoadPlan(
                settings.host,
                port,
                "/predict",
                bodies_of(examples, texts),
                connections=clients,
                seconds=loads.seconds,
            )
            run_load(replace(plan, seconds=_WARM_UP_S))
            rows.append(row_of(plan, run_load(plan), texts))
        for texts in loads.texts_per_request:
            best = max(one.texts_per_s for one in rows if one.texts_per_request == texts) / texts
            for share in loads.shares:
                progress("loads", len(rows), total)
                plan = LoadPlan(
                    settings.host,
                    port,
                    "/predict",
                    bodies_of(examples, texts),
                    seconds=loads.seconds,
                    rate=best * share,
                )
                rows.append(row_of(plan, run_load(plan), texts))
    progress("loads", total, total)
    return rows


def numbers_of(option: str, words: str, kind: Callable[[str], Number]) -> tuple[Number, ...]:
    """Returns the numbers of an option that takes several, commas between.

    Raises:
        UsageError: One is no number, or not a whole one where those are needed.
    """
    try:
        return tuple(kind(word) for word in words.split(","))
    except ValueError:
        what = "whole numbers" if kind is int else "numbers"
        raise UsageError(f"{option} takes {what} with commas between, got {words!r}") from None


def bodies_of(examples: Sequence[Example], texts: int) -> tuple[str, ...]:
    """Returns requests for the server's own route, of so many texts each.

    Raises:
        DataError: There is nothing to ask.
    """
    if not examples:
        raise DataError("there is nothing to ask: the data has no texts")
    inputs = [_input(example) for example in examples]
    starts = range(0, max(1, len(inputs) - texts + 1), texts)
    return tuple(
        json.dumps({"inputs": (inputs * (texts // len(inputs) + 1))[start : start + texts]})
        for start in starts
    )


def _input(example: Example) -> object:
    if isinstance(example, QuestionExample):
        return {"question": example.question, "context": example.context}
    if isinstance(example, TokenExample):
        return example.text if isinstance(example, UnsplitExample) else " ".join(example.words)
    pair = example.text_pair
    return example.text if pair is None else [example.text, pair]


def row_of(plan: LoadPlan, found: LoadResult, texts: int) -> LoadRow:
    """Returns a load's result as a report shows it."""
    refused = found.statuses.get("429", 0)
    answered = len(found.latencies_s)
    return LoadRow(
        plan.connections if plan.rate is None else None,
        plan.rate,
        texts,
        found.rate * texts,
        tuple(percentile(found.latencies_s, quantile).value for quantile in QUANTILES),
        refused,
        sum(found.statuses.values()) - answered - refused + found.wrong,
        found.loader_cpu_s / found.seconds if found.seconds else 0.0,
    )
