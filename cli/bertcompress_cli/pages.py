"""``bertcompress help``: pages about what several verbs share."""

from __future__ import annotations

from typing import Annotated

import typer

from bertcompress.errors import UsageError, did_you_mean
from bertcompress_cli.options import JsonOption, data_examples

_DATA = """\
Data: what --data and predict's --input take

  a file            train.csv, dev.tsv, rows.jsonl, rows.json, rows.parquet, texts.txt
  tagged words      eng.testb (CoNLL: a word and its tag a line)
  questions         squad.json (SQuAD 1.1 and 2.0)
  what is piped in  cat texts.txt | bertcompress predict MODEL --input -
  a folder          a file for each split (train.csv, test.csv), or a folder of .txt for each class
  the hub           hf:glue/sst2

  A CSV for fine-tuning has a text and a label in each row:

    text,label
    "where is my parcel?",delivery
    "I want my money back",refund

  The columns are guessed from usual names, and the guess is said. Nothing is trained on or fitted
  to one text in ten, which is what answers are judged on; test.csv beside train.csv is another.

Options, an example each
"""


def help_(
    topic: Annotated[
        str | None, typer.Argument(metavar="TOPIC", help="data", show_default=False)
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Print a page about what verbs share: help data."""
    from bertcompress_cli.output import result

    if topic != "data":
        near = did_you_mean(topic or "", ("data",))
        raise UsageError(
            f"there is no page {topic!r}{near or '; type: bertcompress help data'}"
            if topic
            else "help needs a topic; type: bertcompress help data, or bertcompress VERB --help"
        )
    rows = data_examples()
    lines = "".join(f"  {example:<34}{text}\n" for example, text in rows)
    result(f"{_DATA}\n{lines}", {"page": _DATA, "options": dict(rows)}, as_json=as_json)
