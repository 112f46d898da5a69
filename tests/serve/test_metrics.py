"""What was done can be read by Prometheus, and no text is among it."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from tests.fixtures.serving import Serve


def test_requests_texts_and_the_cache_are_counted(served: Serve) -> None:
    with served() as opened:
        for body in ({"inputs": ["good", "bad"]}, {"inputs": "good"}, {"inputs": 3}):
            opened.client.post("/predict", json=body)
        text = opened.client.get("/metrics").text
    values = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    name = "text-classification"
    assert values["bertcompress_requests_total", "/predict", "200"] == 2
    assert values["bertcompress_requests_total", "/predict", "400"] == 1
    assert values["bertcompress_items_total", name] == 2
    assert values["bertcompress_cache_hits_total", name] == 1
    assert values["bertcompress_queue_items", name] == 0
    assert values["bertcompress_cache_bytes", name] > 0
    assert "good" not in text
