"""Measuring artifacts: latency, throughput, memory, size and answers, and the report on them.

    measure.py        bench(variants, subject) -> Report: the whole run
    variant.py        Variant, Subject: what is measured, and on what
    settings.py       BenchSettings: how much
    write_report.py   write_report, read_report: JSON, Markdown, HTML
    verdict.py        verdict(report): what to ship, and what is not proven

This file imports nothing: the measuring process (`worker.py`) is a module of this package, and
its memory is part of the result.
"""
