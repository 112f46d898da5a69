"""An engine answers as the predictor does, in both of its ways."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bertcompress.errors import RunError
from bertcompress.inference.predictor import Predictor, examples_of
from bertcompress.serve.engines.sessions import EngineSettings, Sessions
from bertcompress.tasks.base import pad


def test_both_ways_answer_as_the_predictor_does(graph_folder: Callable[..., Path]) -> None:
    folder = graph_folder()
    with Predictor.open(folder, threads=1) as opened:
        features = opened.encode(examples_of(opened.task.name, ["the film is good", "bad"]))
        feed = pad(features, pad_token_id=opened.pad_token_id)
        expected = opened.run_batch(feed)
    with Sessions(EngineSettings(folder, "ort-cpu", narrow_threads=1, wide_threads=2)) as sessions:
        for wide in (False, True):
            outputs, seconds = sessions.run(feed, wide=wide)
            np.testing.assert_allclose(outputs["logits"], expected["logits"], atol=1e-6)
            assert seconds > 0


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError), Sessions(EngineSettings(tmp_path, "ort-cpu")):
        pass
