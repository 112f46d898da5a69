"""Measuring artifacts in processes of their own: latency, throughput, memory, requests, answers.

    settings.py    BenchSettings: how much is measured
    variant.py     Variant, Subject: what is measured, and on what
    run.py         measure(variants, subject, settings, place) -> Parts: the whole run
    rounds.py      one round: fresh processes that take turns
    worker/        the measuring process, and the messages that it understands
    peers/         what other libraries make of the same model

The report on it is `bertcompress.report`. This file imports nothing: the measuring process is a
module of this package, and its memory is part of the result.
"""
