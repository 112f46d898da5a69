"""What a server counts, in Prometheus's base units; no label value is a text or a key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from bertcompress.serve.model import Seconds, ServedModel

_BUCKETS = (
    *(0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075),
    *(0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
)
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counts requests, and reads what models have counted when it is asked.

    Args:
        models: The models by name; looked at when somebody asks.
    """

    def __init__(self, models: Mapping[str, ServedModel]) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "bertcompress_requests", "Requests.", ("route", "status"), registry=self._registry
        )
        self._stages = Histogram(
            "bertcompress_stage_seconds",
            "Seconds of a request's parts.",
            ("stage",),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._registry.register(_Models(models))

    def request(self, route: str, status: int, seconds: float, parts: Seconds) -> None:
        """Counts a request and the seconds of its parts."""
        self._requests.labels(route, str(status)).inc()
        self._stages.labels("total").observe(seconds)
        if parts.inference:
            self._stages.labels("tokenize").observe(parts.tokenize)
            self._stages.labels("inference").observe(parts.inference)

    def text(self) -> bytes:
        """Returns everything as Prometheus reads it."""
        return generate_latest(self._registry)


class _Models(Collector):
    """Reads the counts of the queues, engines and caches."""

    def __init__(self, models: Mapping[str, ServedModel]) -> None:
        self._models = models

    def collect(self) -> Iterable[Metric]:
        yield from self._gauges()
        yield from self._counters()

    def _gauges(self) -> Iterator[Metric]:
        items = GaugeMetricFamily("bertcompress_queue_items", "Texts that wait.", labels=["model"])
        tokens = GaugeMetricFamily(
            "bertcompress_queue_tokens", "Tokens that wait.", labels=["model"]
        )
        oldest = GaugeMetricFamily(
            "bertcompress_queue_oldest_seconds", "How long the oldest has waited.", labels=["model"]
        )
        info = GaugeMetricFamily(
            "bertcompress_version_info", "The version that answers.", labels=["model", "version"]
        )
        size = GaugeMetricFamily("bertcompress_cache_bytes", "Answers kept.", labels=["model"])
        for name, model in self._models.items():
            queue = model.dispatcher.queue
            items.add_metric([name], len(queue))
            tokens.add_metric([name], queue.tokens)
            oldest.add_metric([name], queue.oldest_seconds)
            size.add_metric([name], model.cache.size_bytes)
            info.add_metric([name, model.version], 1)
        yield from (items, tokens, oldest, size, info)

    def _counters(self) -> Iterator[Metric]:
        families: dict[str, CounterMetricFamily] = {}
        for name, model in self._models.items():
            counts, cache = model.dispatcher.counts, model.cache.counts
            for what, said, value in (
                ("batches", "Batches that were answered.", counts.batches),
                ("items", "Texts that were computed.", counts.items),
                ("tokens", "Tokens that were computed.", counts.tokens),
                ("padded_tokens", "Positions that were computed, padding too.", counts.padded),
                ("engine_seconds", "Seconds that engines computed.", counts.seconds),
                ("engine_restarts", "Engines started in place of dead ones.", counts.restarts),
                ("cache_hits", "Answers that were kept.", cache.hits),
                ("cache_misses", "Answers that were not kept.", cache.misses),
                ("cache_joins", "Answers that were being computed.", cache.joins),
                ("cache_evictions", "Answers dropped for others.", cache.evictions),
            ):
                family = families.setdefault(
                    what, CounterMetricFamily(f"bertcompress_{what}", said, labels=["model"])
                )
                family.add_metric([name], value)
        yield from families.values()
