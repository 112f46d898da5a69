"""Reports on disk: ``report.json``, ``report.md`` and ``report.html``, and back.

The JSON holds every raw sample and, beside them under ``summary``, the figures that people read;
only the raw part is read back. ``report.schema.json`` in this package is its JSON Schema.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bertcompress.codec import Json, from_plain, schema_of, to_plain
from bertcompress.errors import DataError
from bertcompress.files import json_text, write_texts
from bertcompress.reading import read_json
from bertcompress.report.markdown import markdown_of
from bertcompress.report.page import html_of
from bertcompress.report.roofline import shares_of
from bertcompress.report.schema import FORMAT_VERSION, Report
from bertcompress.report.summary import Summary, summarize
from bertcompress.report.variant_summary import Latency, VariantSummary, joules_per_sentence

JSON_NAME, MARKDOWN_NAME, HTML_NAME = "report.json", "report.md", "report.html"
REPORT_NAMES = (JSON_NAME, MARKDOWN_NAME, HTML_NAME)
_LARGEST = 256 << 20
"""Bytes: every raw sample is in it."""
SCHEMA_PATH = Path(__file__).with_name("report.schema.json")


@dataclass(frozen=True)
class ReportFiles:
    """Where the three files are."""

    json: Path
    markdown: Path
    html: Path


def write_report(report: Report, folder: Path) -> ReportFiles:
    """Writes the three files, each whole or not at all.

    Raises:
        RunError: If the folder can't be written.
    """
    summary = summarize(report)
    texts = {
        JSON_NAME: json_of(report, summary),
        MARKDOWN_NAME: markdown_of(report, summary),
        HTML_NAME: html_of(report, summary),
    }
    return ReportFiles(*write_texts(folder, texts))


def read_report(path: Path) -> Report:
    """Reads a ``report.json``, or the one in a folder.

    Raises:
        DataError: If it is not there, not a report, or of a newer format.
    """
    file = path / JSON_NAME if path.is_dir() else path
    try:
        plain = read_json(file, most=_LARGEST)
    except OSError as error:
        raise DataError(f"can't read {file}: {error.strerror or error}") from error
    except ValueError as error:
        raise DataError(f"{file} is not JSON ({error}); give a report.json") from error
    version = plain.get("format_version") if isinstance(plain, dict) else None
    if not isinstance(version, int):
        raise DataError(f"{file} is not a report: it has no format_version")
    if version > FORMAT_VERSION:
        raise DataError(
            f"{file} has format {version}, this bertcompress reads up to {FORMAT_VERSION}; "
            "type: pip install --upgrade bertcompress"
        )
    try:
        return from_plain(Report, plain)
    except DataError as error:
        raise DataError(f"{file} is damaged: {error}") from error


def json_of(report: Report, summary: Summary | None = None) -> str:
    """Returns the report as JSON, with the figures that people read under ``summary``."""
    plain = to_plain(report)
    assert isinstance(plain, dict)
    plain["summary"] = summary_json(report, summary)
    return json_text(plain) + "\n"


def summary_json(report: Report, summary: Summary | None = None) -> dict[str, Json]:
    """Returns verdict and figures as JSON: what ``--json`` prints."""
    summary = summary or summarize(report)
    return {
        "verdict": to_plain(summary.verdict),
        "resolution": summary.resolution,
        "noise": list(summary.noise),
        "tokenization_s": summary.tokenization_s,
        "variants": [_variant_json(variant, summary, report) for variant in summary.variants],
    }


def schema() -> dict[str, Json]:
    """Returns the JSON Schema of ``report.json``; `SCHEMA_PATH` holds the published copy."""
    return {"title": "bertcompress report", **schema_of(Report)}


def _variant_json(variant: VariantSummary, summary: Summary, report: Report) -> Json:
    best, result = variant.best_throughput, variant.result
    return to_plain(
        {
            "name": variant.name,
            "baseline": variant.name == summary.base.name,
            "accuracy": result.accuracy.value if result.accuracy else None,
            "accuracy_interval": result.accuracy.interval if result.accuracy else None,
            "change": result.paired.difference if result.paired else None,
            "p_value": result.paired.p_value if result.paired else None,
            "agreement": result.paired.agreement if result.paired else None,
            "latency": _latency_json(variant.latency) if variant.latency else None,
            "by_length": [_latency_json(cell) for cell in variant.by_length],
            "throughput": variant.throughput,
            "best_settings": result.tuning.settings if result.tuning else None,
            "best_latency": _latency_json(variant.best_latency) if variant.best_latency else None,
            "best_offline": variant.best_offline,
            "server_requests_per_s": result.server.rate if result.server else None,
            "best_sentences_per_s": best.sentences_per_s.estimate if best else None,
            "file_bytes": result.size.file_bytes,
            "size_ratio": variant.size_ratio,
            "peak_bytes": variant.peak_bytes,
            "load_s": variant.load_s,
            "first_answer_s": variant.first_answer_s,
            "limits": shares_of(report, result),
            "energy_j": {
                measurement.name: joules_per_sentence(measurement)
                for measurement in result.measurements
                if measurement.energy_j
            },
        }
    )


def _latency_json(latency: Latency) -> Json:
    return to_plain(
        {
            "name": latency.measurement.name,
            "batch_size": latency.measurement.batch_size,
            "sequence_length": latency.measurement.sequence_length,
            "median_s": latency.median,
            "percentiles_s": latency.percentiles,
            "variation": latency.variation,
            "speedup": latency.speedup,
            "speedup_p99": latency.speedup_p99,
        }
    )
