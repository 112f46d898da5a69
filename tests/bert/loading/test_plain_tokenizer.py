"""What the tokenizers library reads alone is what Transformers reads, token for token."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from bertcompress.artifacts.artifact import OnnxModel, save
from bertcompress.bert.families import Family, input_names
from bertcompress.bert.loading.config_file import read_config
from bertcompress.bert.loading.plain_tokenizer import PlainTokenizer, plain_tokenizer
from bertcompress.bert.loading.tokenizer import read_tokenizer
from bertcompress.bert.loading.tokenizer_file import read_core

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

TEXTS = (
    "the good film, isn't it?",
    "",
    "  Ein  Café\tin Berlin\n\n– ÄÖÜ ß naïve ",
    "我是柏林 films 漢字",
    "[CLS] a [MASK] film [SEP] <s> <mask> </s>",
    "a" * 120,
    "good 👍🏽 bad \u200b \ufeff \x00 \x07 ﬁ Ⅷ ½",
    " ".join(["anna lives in berlin"] * 12),
)
WORDS = (("Anna", "lives", "in", "Berlin", "."), ("ﬁlm", "我是", "", "Café"), ("the",) * 40)
WINDOWS: dict[str, Any] = {
    "truncation": "only_second",
    "max_length": 24,
    "stride": 4,
    "padding": False,
    "return_overflowing_tokens": True,
    "return_offsets_mapping": True,
}


def same(plain: Any, wrapped: Any) -> bool:
    """Whether two encodings hold the same rows, words and texts."""
    rows = range(len(wrapped["input_ids"]))
    return dict(plain) == dict(wrapped) and all(
        plain.word_ids(row) == wrapped.word_ids(row)
        and plain.sequence_ids(row) == wrapped.sequence_ids(row)
        for row in rows
    )


def check(plain: PlainTokenizer, wrapped: PreTrainedTokenizerFast) -> None:
    """Fails unless both tokenizers answer each kind of call that a task makes with the same."""
    texts, others = list(TEXTS), list(TEXTS[::-1])
    words = [list(sentence) for sentence in WORDS]
    for length in (4, 9, 128):
        cut: dict[str, Any] = {"truncation": True, "max_length": length, "padding": False}
        assert same(plain(texts, **cut), wrapped(texts, **cut))
        assert same(plain(texts, others, **cut), wrapped(texts, others, **cut))
        lists = {**cut, "is_split_into_words": True}
        assert same(plain(words, **lists), wrapped(words, **lists))
    asked, contexts = ["who lives?"] * len(texts), texts
    assert same(plain(asked, contexts, **WINDOWS), wrapped(asked, contexts, **WINDOWS))
    whole: dict[str, Any] = {"add_special_tokens": False, "padding": False}
    assert same(plain(texts, **whole), wrapped(texts, **whole))
    assert same(plain([""], [""], padding=False), wrapped([""], [""], padding=False))
    assert plain.pad_token_id == wrapped.pad_token_id
    assert plain.backend_tokenizer.get_vocab() == wrapped.backend_tokenizer.get_vocab()


@pytest.fixture
def graph_folder(
    tiny_graph: Callable[..., OnnxModel], tmp_path: Path
) -> Callable[[PreTrainedConfig, PreTrainedTokenizerFast, str], Path]:
    """Gives a function that saves a graph with this configuration and tokenizer."""

    def make(config: PreTrainedConfig, tokenizer: PreTrainedTokenizerFast, task: str) -> Path:
        return save(OnnxModel(tiny_graph().graph, config, tokenizer, task), tmp_path / "graph")

    return make


def both(folder: Path) -> tuple[PlainTokenizer, PreTrainedTokenizerFast]:
    """Returns a folder's tokenizer read plainly, and by Transformers; it must fit its file."""
    config = read_config(folder, "model")
    core, settings = read_core(folder, "model", config.to_dict(), note=silent)
    plain = plain_tokenizer(core, settings, input_names=input_names(config))
    wrapped = read_tokenizer(folder, "model", config, note=silent)
    judge = Tokenizer.from_file(str(folder / "tokenizer.json"))
    judge.no_truncation()
    judge.no_padding()
    assert wrapped(list(TEXTS))["input_ids"] == [judge.encode(text).ids for text in TEXTS]
    return plain, wrapped


def silent(sentence: str) -> None:
    """Keeps a note to itself."""


def test_every_family_and_task_gets_the_same_tokens(
    family: Family,
    task: str,
    tiny_family_folder: Callable[[Family, str], Path],
    graph_folder: Callable[[PreTrainedConfig, PreTrainedTokenizerFast, str], Path],
) -> None:
    source = tiny_family_folder(family, task)
    config = read_config(source, "model")
    tokenizer = read_tokenizer(source, "model", config, note=silent)

    check(*both(graph_folder(config, tokenizer, task)))


@pytest.mark.parametrize("model", ["minilm-sst2", "minilm-conll2003"])
def test_a_real_vocabulary_gives_the_same_tokens(
    model: str,
    shared: Path,
    graph_folder: Callable[[PreTrainedConfig, PreTrainedTokenizerFast, str], Path],
) -> None:
    config = read_config(shared / "models" / model, model)
    tokenizer = read_tokenizer(shared / "models" / model, model, config, note=silent)

    check(*both(graph_folder(config, tokenizer, "text-classification")))


def test_any_text_gets_the_same_tokens(
    tiny_graph: Callable[..., OnnxModel], tmp_path_factory: pytest.TempPathFactory
) -> None:
    plain, wrapped = both(save(tiny_graph(), tmp_path_factory.mktemp("any") / "graph"))

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.text(max_size=60), min_size=1, max_size=4))
    def holds(texts: list[str]) -> None:
        cut: dict[str, Any] = {"truncation": True, "max_length": 12, "padding": False}
        assert same(plain(texts, **cut), wrapped(texts, **cut))

    holds()


def _of_no_family(core: dict[str, Any], setup: dict[str, Any]) -> None:
    setup["tokenizer_class"] = "PreTrainedTokenizerFast"


def _without_classes(core: dict[str, Any], setup: dict[str, Any]) -> None:
    setup["tokenizer_class"] = "PreTrainedTokenizerFast"
    core["pre_tokenizer"] = {"type": "Whitespace"}


def _cased(core: dict[str, Any], setup: dict[str, Any]) -> None:
    core["normalizer"]["lowercase"] = setup["do_lower_case"] = False


def _cut_on_the_left(core: dict[str, Any], setup: dict[str, Any]) -> None:
    setup["truncation_side"] = "left"


def _without_segments(core: dict[str, Any], setup: dict[str, Any]) -> None:
    setup["model_input_names"] = ["input_ids", "attention_mask"]


def _cased_in_the_file_alone(core: dict[str, Any], setup: dict[str, Any]) -> None:
    core["normalizer"]["lowercase"] = False


def _cased_in_the_settings_alone(core: dict[str, Any], setup: dict[str, Any]) -> None:
    setup["do_lower_case"] = False


def _other_words(core: dict[str, Any], setup: dict[str, Any]) -> None:
    core["pre_tokenizer"] = {"type": "Whitespace"}


def _other_pieces(core: dict[str, Any], setup: dict[str, Any]) -> None:
    core["model"]["max_input_chars_per_word"] = 5


def _other_ends(core: dict[str, Any], setup: dict[str, Any]) -> None:
    core["post_processor"]["single"] = core["post_processor"]["single"][:2]


def _one_more_token(core: dict[str, Any], setup: dict[str, Any]) -> None:
    core["added_tokens"].append(
        {**core["added_tokens"][0], "id": core["model"]["vocab"]["film"], "content": "film"}
    )


def _a_token_of_the_settings(core: dict[str, Any], setup: dict[str, Any]) -> None:
    setup["additional_special_tokens"] = ["<film>"]


def _another_unknown(core: dict[str, Any], setup: dict[str, Any]) -> None:
    setup["unk_token"] = "[MASK]"


def _padded(core: dict[str, Any], setup: dict[str, Any]) -> None:
    core["truncation"] = {
        **{"direction": "Right", "max_length": 5},
        **{"strategy": "LongestFirst", "stride": 0},
    }


@pytest.mark.parametrize(
    "change",
    [
        *(_of_no_family, _without_classes, _cased, _cut_on_the_left, _without_segments),
        *(_cased_in_the_file_alone, _cased_in_the_settings_alone, _other_words, _other_pieces),
        *(_other_ends, _one_more_token, _a_token_of_the_settings, _another_unknown, _padded),
    ],
)
def test_the_file_is_followed_whatever_lies_beside_it(
    change: Callable[[dict[str, Any], dict[str, Any]], None],
    tiny_graph: Callable[..., OnnxModel],
    tmp_path: Path,
) -> None:
    check(*both(changed(save(tiny_graph(), tmp_path / "graph"), change)))


def changed(folder: Path, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> Path:
    core, setup = folder / "tokenizer.json", folder / "tokenizer_config.json"
    contents = json.loads(core.read_text()), json.loads(setup.read_text())
    change(*contents)
    for path, content in zip((core, setup), contents, strict=True):
        path.write_text(json.dumps(content))
    return folder
