"""Sweeps of a whole model: what they are made of, and going on after a stop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.batch_losses import Batch
from bertcompress.bert.pruning.brain_surgeon import sweep
from bertcompress.bert.pruning.curvature import error_costs, hessians
from bertcompress.bert.pruning.sweeps import FinishedParts, Swept, swept
from bertcompress.bert.surgery import cut
from bertcompress.errors import PassError

Tiny = Callable[..., Checkpoint]


def batches(count: int = 4, *, seed: int = 0) -> list[Batch]:
    generator = torch.Generator().manual_seed(seed)
    made = []
    for length in range(6, 6 + count):
        ids = torch.randint(5, 60, (3, length), generator=generator)
        mask = torch.ones_like(ids)
        mask[0, 5:] = 0
        inputs = {"input_ids": ids * mask, "attention_mask": mask, "token_type_ids": ids * 0}
        made.append(Batch(inputs, {}))
    return made


def same(one: Swept, other: Swept) -> bool:
    return (
        list(one.sweeps) == list(other.sweeps)
        and all(
            a.order == b.order and a.errors.tobytes() == b.errors.tobytes()
            for a, b in zip(one.sweeps.values(), other.sweeps.values(), strict=True)
        )
        and list(one.weights) == list(other.weights)
        and all(
            all(
                torch.equal(a, b) for a, b in zip(one.weights[key], other.weights[key], strict=True)
            )
            for key in one.weights
        )
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Stop(Exception):  # noqa: N818 - an interrupt, not an error
    """Ends a run in the middle."""


def stopping(at: tuple[str, int]) -> Callable[[str, int, int], None]:
    def progress(stage: str, done: int, total: int) -> None:
        if (stage, done) == at:
            raise Stop

    return progress


def test_each_sub_layer_is_swept_with_its_own_hessian_and_costs(tiny_checkpoint: Tiny) -> None:
    model = tiny_checkpoint().model
    costs = error_costs(model, batches(), seed=3)
    matrices = dict(hessians(model, batches(), costs, set(costs)))

    found = swept(model, batches(), heads=True, ffn=True, seed=3)

    layer = model.base_model.encoder.layer[1]
    for key, dense, width in (
        (("heads", 1), layer.attention.output.dense, 8),
        (("ffn", 1), layer.output.dense, 1),
    ):
        weight = dense.weight.detach().double() * costs[key].rows.sqrt()[:, None]
        expected = sweep(weight, matrices[key], width=width)
        assert found.sweeps[key].order == expected.order
        assert found.sweeps[key].errors.tobytes() == expected.errors.tobytes()
    assert all(
        torch.equal(a, b) for a, b in zip(found.weights[key], costs[key].tokens, strict=True)
    )


def test_only_what_is_asked_for_and_has_units_is_swept(tiny_checkpoint: Tiny) -> None:
    model = cut(tiny_checkpoint().model, heads=((), (0, 1)), ffn=((0, 1), ()))

    only_heads = swept(model, batches(), heads=True, ffn=False)
    both = swept(model, batches(), heads=True, ffn=True)

    assert list(only_heads.sweeps) == [("heads", 1)]
    assert list(both.sweeps) == [("ffn", 0), ("heads", 1)]
    assert len(both.weights) == 4


def test_progress_tells_the_samples_and_then_the_sub_layers(tiny_checkpoint: Tiny) -> None:
    told: list[tuple[str, int, int]] = []

    swept(
        tiny_checkpoint().model,
        batches(2),
        heads=True,
        ffn=True,
        progress=lambda *one: told.append(one),
    )

    assert told[:2] == [("curvature", 3, 6), ("curvature", 6, 6)]
    assert told[2:] == [("sweep", done, 4) for done in range(5)]


@pytest.mark.parametrize("at", [("curvature", 6), ("sweep", 0), ("sweep", 1), ("sweep", 3)])
def test_what_was_stopped_goes_on_and_gives_the_same(
    at: tuple[str, int], tiny_checkpoint: Tiny, tmp_path: Path
) -> None:
    model = tiny_checkpoint().model
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    expected = swept(model, batches(), heads=True, ffn=True, state=whole)
    with pytest.raises(Stop):
        swept(
            model,
            batches(),
            heads=True,
            ffn=True,
            state=halves,
            progress=stopping(at),
        )
    told: list[tuple[str, int]] = []

    found = swept(
        tiny_checkpoint().model,
        batches(),
        heads=True,
        ffn=True,
        state=halves,
        progress=lambda stage, done, _: told.append((stage, done)),
    )

    assert same(found, expected)
    assert contents(halves) == contents(whole)
    if at[0] == "sweep":
        assert told == [("sweep", done) for done in range(at[1], 5)]


def test_a_finished_state_is_only_read(tiny_checkpoint: Tiny, tmp_path: Path) -> None:
    model = tiny_checkpoint().model
    first = swept(model, batches(), heads=True, ffn=True, state=tmp_path)

    again = swept(
        model,
        batches(),
        heads=True,
        ffn=True,
        state=tmp_path,
        progress=stopping(("curvature", 3)),
    )

    assert same(again, first)
    assert same(first, swept(model, batches(), heads=True, ffn=True))


@pytest.mark.parametrize("what", ["model", "texts", "seed"])
def test_the_state_of_something_else_is_passed_over(
    what: str, tiny_checkpoint: Tiny, tmp_path: Path
) -> None:
    swept(tiny_checkpoint().model, batches(), heads=True, ffn=True, state=tmp_path)
    model, texts, seed = tiny_checkpoint().model, batches(), 0
    if what == "model":
        with torch.no_grad():
            model.base_model.encoder.layer[0].output.dense.weight[0, 0] += 1.0
    elif what == "texts":
        texts = batches(seed=1)
    else:
        seed = 1

    found = swept(model, texts, heads=True, ffn=True, seed=seed, state=tmp_path)

    assert same(found, swept(model, texts, heads=True, ffn=True, seed=seed))


def test_a_damaged_part_is_made_again(tiny_checkpoint: Tiny, tmp_path: Path) -> None:
    model = tiny_checkpoint().model
    expected = swept(model, batches(), heads=True, ffn=True, state=tmp_path)
    before = contents(tmp_path)
    (tmp_path / "ffn-01.safetensors").write_bytes(b"half")

    found = swept(model, batches(), heads=True, ffn=True, state=tmp_path)

    assert same(found, expected)
    assert contents(tmp_path) == before


def test_a_state_that_can_not_be_kept_is_one_sentence(
    tiny_checkpoint: Tiny, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("here")

    with pytest.raises(PassError, match="could not keep"):
        swept(
            tiny_checkpoint().model,
            batches(),
            heads=True,
            ffn=True,
            state=tmp_path / "file",
        )


TENSORS = {"errors": torch.arange(3.0), "order": torch.tensor([2, 0, 1])}


def test_a_part_comes_back_in_another_process(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "when needed"
    FinishedParts(folder, lambda: "run 1").write("heads-00", TENSORS)

    read = FinishedParts(folder, lambda: "run 1").read("heads-00")

    assert read is not None
    assert read.keys() == TENSORS.keys()
    assert all(read[name].equal(tensor) for name, tensor in TENSORS.items())
    assert [file.name for file in folder.iterdir()] == ["heads-00.safetensors"]


def test_a_part_of_another_run_and_a_damaged_one_are_passed_over(tmp_path: Path) -> None:
    parts = FinishedParts(tmp_path, lambda: "run 1")
    parts.write("heads-00", TENSORS)
    (tmp_path / "heads-01.safetensors").write_bytes(b"half")

    assert FinishedParts(tmp_path, lambda: "run 2").read("heads-00") is None
    assert parts.read("heads-01") is None
    assert parts.read("heads-02") is None  # never made


def test_without_a_folder_nothing_is_kept_and_no_fingerprint_is_asked_for() -> None:
    def asked() -> str:
        raise AssertionError

    parts = FinishedParts(None, asked)
    parts.write("heads-00", TENSORS)

    assert parts.read("heads-00") is None


def test_the_fingerprint_is_asked_for_once(tmp_path: Path) -> None:
    asked: list[str] = []

    def fingerprint() -> str:
        asked.append("again")
        return "run 1"

    parts = FinishedParts(tmp_path, fingerprint)
    for name in ("heads-00", "ffn-00"):
        parts.write(name, TENSORS)
        assert parts.read(name) is not None

    assert asked == ["again"]


def test_what_can_not_be_written_leaves_what_is_there(tmp_path: Path) -> None:
    parts = FinishedParts(tmp_path, lambda: "run 1")
    parts.write("heads-00", TENSORS)
    (tmp_path / "ffn-00.safetensors").mkdir()

    with pytest.raises(PassError, match=r"could not keep .*; what was kept before is still there"):
        parts.write("ffn-00", TENSORS)

    assert parts.read("heads-00") is not None
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == ["ffn-00.safetensors", "heads-00.safetensors"]  # and no half of a file
