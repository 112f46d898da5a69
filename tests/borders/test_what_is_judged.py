"""What a pass judges, and stores, is what ``evaluate`` then says of the folder that it made."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

import bertcompress as bc
from bertcompress.artifacts.artifact import OnnxModel, save
from bertcompress.data import load_dataset
from bertcompress.examples import Example
from bertcompress.inference.predictor import Predictor
from bertcompress.passes.quantize.quantize_static import QuantizeStatic
from bertcompress.search.int8_candidates import Int8Candidate
from bertcompress.search.latency_table import MeasureLatency, Timing
from bertcompress.search.trials import QuantizationTrials
from bertcompress.tasks.base import Prediction, Score
from bertcompress.tasks.same_answers import same_answers
from fixtures.examples import giving, wide_table

Folder = Callable[..., Path]
Examples = Callable[..., tuple[Example, ...]]
TASKS = ("text-classification", "token-classification", "feature-extraction")
WORDS = ("good", "bad", "film", "the", "a", "is", "not", "berlin", "anna", "lives", "in", "who")


def written(folder: Path, task: str) -> Path:
    """Writes 40 training texts and 30 others to judge by, labels drawn."""
    draw = np.random.default_rng(3)
    folder.mkdir()
    texts = [" ".join(draw.choice(WORDS, 3 + at % 5)) + f" {at}" for at in range(70)]
    for name, own in (("train", texts[:40]), ("validation", texts[40:])):
        if task == "token-classification":
            lines = [
                "\n".join(f"{word} {draw.choice(['O', 'B-PER'])}" for word in text.split())
                for text in own
            ]
            (folder / f"{name}.conll").write_text("\n\n".join(lines) + "\n")
            continue
        with (folder / f"{name}.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            labelled = task == "text-classification"
            rows.writerow(["text", "label"] if labelled else ["text"])
            for text in own:
                label = [str(draw.choice(["negative", "positive"]))] if labelled else []
                rows.writerow([text, *label])
    return folder


def answers_of(folder: Path, task: str, examples: Sequence[Example]) -> list[Prediction]:
    with Predictor.open(str(folder), task=task) as opened:
        return list(opened.predict(examples).predictions)


def evaluated(folder: Path, reference: Path, data: Path, task: str) -> tuple[Score, Score]:
    """Scores the model and the one it was made of, as the command does."""
    examples = load_dataset(data, task=task, split="validation", require_labels=False).examples
    wanted = answers_of(reference, task, examples)
    with Predictor.open(str(folder), task=task) as opened:
        found = opened.predict(examples).predictions
        before, after = (
            opened.task.score(predictions, examples, reference=wanted)
            for predictions in (wanted, found)
        )
    return before, after


@pytest.mark.parametrize("task", TASKS)
def test_the_drop_that_quantize_stores_is_that_of_evaluate(
    task: str,
    tiny_folder: Folder,
    tiny_graph: Callable[..., OnnxModel],
    tmp_path: Path,
) -> None:
    model, data = tiny_folder(task=task), written(tmp_path / "data", task)
    held_out = load_dataset(data, task=task, split="validation", require_labels=False).examples
    graph = tiny_graph(task=task)
    made = QuantizeStatic()(graph, giving(wide_table))  # dynamic ranges depend on the batch

    trials = QuantizationTrials(held_out, MeasureLatency(held_out, Timing(threads=1)))
    judged = trials.judge({"static": made}, against=graph)["static"]
    stored = Int8Candidate("static", made, judged, 1.0, 1.0).row(chosen=True)

    before, after = evaluated(save(made, tmp_path / "out"), model, data, task)
    assert stored.points_lost / 100 == pytest.approx(before.value - after.value, abs=1e-6)


@pytest.mark.parametrize("pooling", ["mean_tokens", "cls_token", "max_tokens", None])
def test_the_agreement_that_prune_stores_is_that_of_evaluate(
    pooling: str | None, tiny_folder: Folder, tmp_path: Path
) -> None:
    task = "feature-extraction" if pooling else "text-classification"
    model = shutil.copytree(tiny_folder(task=task), tmp_path / "model")
    if pooling:
        settings = json.loads((model / "1_Pooling" / "config.json").read_text())
        modes = {name: name == f"pooling_mode_{pooling}" for name in settings if "mode" in name}
        (model / "1_Pooling" / "config.json").write_text(json.dumps({**settings, **modes}))
    data = written(tmp_path / "data", task)

    bc.prune(model, heads=0.4, ffn=0.5, data=str(data), out=tmp_path / "out")

    stored = json.loads((tmp_path / "out" / "bertcompress.json").read_text())["history"][-1]
    found = evaluated(tmp_path / "out", model, data, task)[1]
    if pooling is None:
        examples = load_dataset(data, task=task, split="validation").examples
        wanted, answers = (answers_of(one, task, examples) for one in (model, tmp_path / "out"))
        agreement = float(np.mean(same_answers(wanted, answers)))
    else:
        agreement = found.values["cosine_to_reference"]
    assert stored["details"]["agreement"] == pytest.approx(agreement, abs=1e-6)
