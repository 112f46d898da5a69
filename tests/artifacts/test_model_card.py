"""What an artifact's model card says of its kind, its steps and what runs it."""

from __future__ import annotations

from dataclasses import replace

from bertcompress.artifacts.engine_record import Platform
from bertcompress.artifacts.manifest import Step
from bertcompress.artifacts.model_card import card_text

STEP = Step(
    "PruneHeads",
    {"fraction": 0.3, "scope": "global", "seed": None},
    1.0,
    100,
    80,
    4_000_000,
    3_200_000,
)


def test_a_checkpoint_tells_its_history_and_how_it_loads() -> None:
    card = card_text("checkpoint", "text-classification", [STEP])

    assert card.startswith("---\npipeline_tag: text-classification\n")
    assert "tags: [bertcompress]\n" in card
    assert "| PruneHeads | fraction 0.3, scope global | 4.0 MB | 3.2 MB |" in card  # no seed
    assert "trust_remote_code=True" in card


def test_a_graph_names_its_inputs() -> None:
    card = card_text("onnx", "feature-extraction", [], inputs=("input_ids", "attention_mask"))

    assert "tags: [bertcompress, onnx]\n" in card
    assert "`onnx/model.onnx` runs in stock ONNX Runtime" in card
    assert "inputs `input_ids`, `attention_mask`, int64 [batch, sequence]" in card
    assert "trust_remote_code" not in card


def test_an_engine_says_what_alone_loads_it_and_what_runs_elsewhere() -> None:
    platform = Platform("11.1", "13.0", "580", "NVIDIA H100", "9.0", 132, 81559, "linux-x86_64")

    card = card_text("engine", "feature-extraction", [], inputs=("x",), platform=platform)

    assert "is for NVIDIA H100 with TensorRT 11.1, and nothing else loads it" in card
    assert "runs elsewhere: `onnx/model.onnx`" in card


def test_the_table_survives_bars() -> None:
    step = replace(STEP, settings={"pattern": "a|b"})

    assert r"| pattern a\|b |" in card_text("checkpoint", "t", [step])
