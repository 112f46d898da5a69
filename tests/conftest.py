"""A tiny tokenizer and tiny BERTs for all tests; the real models and data through `shared`.

Nothing here or in any test needs a network: the hub is told so before anything can ask it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import string
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from bertcompress.artifacts.artifact import Checkpoint, OnnxModel

pytest_plugins = (
    "fixtures.command",
    "fixtures.embeddings",
    "fixtures.engines",
    "fixtures.examples",
    "fixtures.families",
    "fixtures.reports",
    "fixtures.serving",
)

os.environ["HF_HUB_OFFLINE"] = "1"
settings.register_profile("shared machine", deadline=None)  # what is slow there is not wrong
settings.register_profile("ci", deadline=None, derandomize=True)  # the same examples each time
settings.load_profile("ci" if "CI" in os.environ else "shared machine")

_WORDS = ("good", "bad", "film", "the", "a", "is", "not", "berlin", "anna", "lives", "in", "who")
_LABELS = {
    "text-classification": ("negative", "positive"),
    "token-classification": ("O", "B-PER", "I-PER"),
}
_CLASSES = {
    "text-classification": "BertForSequenceClassification",
    "token-classification": "BertForTokenClassification",
    "question-answering": "BertForQuestionAnswering",
    "feature-extraction": "BertModel",
}
_MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {
        "idx": 2,
        "name": "2",
        "path": "2_Normalize",
        "type": "sentence_transformers.models.Normalize",
    },
]
_POOLING = {
    "word_embedding_dimension": 32,
    "pooling_mode_cls_token": False,
    "pooling_mode_mean_tokens": True,
    "pooling_mode_max_tokens": False,
    "pooling_mode_mean_sqrt_len_tokens": False,
}


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [*string.ascii_lowercase, *string.digits, *string.punctuation]
    pieces = [f"##{letter}" for letter in (*string.ascii_lowercase, *string.digits)]
    words = dict.fromkeys([*special, *letters, *pieces, *_WORDS])  # "a" is a letter too
    vocabulary = {word: at for at, word in enumerate(words)}
    core = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    core.normalizer = normalizers.BertNormalizer(lowercase=True)
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.decoder = decoders.WordPiece()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # Transformers has no types here
        tokenizer_object=core,
        model_max_length=512,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


@pytest.fixture(scope="session")
def tiny_folder(
    tokenizer: PreTrainedTokenizerFast, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """Gives ``tiny_folder(task=…)``: a Transformers folder, made once a session, to read only.

    Two layers, four heads of 8, hidden size 32, 64 neurons; seeded random weights and biases.
    """
    made: dict[str, Path] = {}

    def make(task: str = "text-classification") -> Path:
        if task not in made:
            folder = tmp_path_factory.mktemp("tiny") / task
            _write_folder(folder, task, tokenizer)
            made[task] = folder
        return made[task]

    return make


@pytest.fixture(scope="session")
def tiny_checkpoint(tiny_folder: Callable[..., Path]) -> Callable[..., Checkpoint]:
    """Gives ``tiny_checkpoint(task=…)``: that folder as an artifact, loaded anew at each call."""
    from bertcompress.artifacts.artifact import Checkpoint
    from bertcompress.bert.loading.load import load

    def make(task: str = "text-classification") -> Checkpoint:
        artifact = load(tiny_folder(task=task))
        assert isinstance(artifact, Checkpoint)
        return artifact

    return make


@pytest.fixture
def number_checkpoint(tiny_checkpoint: Callable[..., Checkpoint]) -> Checkpoint:
    """Gives the tiny classifier with one output instead: a regression model."""
    import torch

    checkpoint = tiny_checkpoint()
    model: Any = checkpoint.model
    head = torch.nn.Linear(32, 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        torch.nn.init.normal_(head.weight, std=0.3)
    model.classifier = head
    model.num_labels = 1
    model.config.id2label, model.config.label2id = {0: "LABEL_0"}, {"LABEL_0": 0}
    model.config.problem_type = "regression"
    return checkpoint


@pytest.fixture(scope="session")
def tiny_graph(tiny_checkpoint: Callable[..., Checkpoint]) -> Callable[..., OnnxModel]:
    """Gives ``tiny_graph(task=…)``: its ONNX graph, exported once a session. Never change it."""
    from bertcompress.passes.export.export_onnx import ExportOnnx

    made: dict[str, OnnxModel] = {}

    def make(task: str = "text-classification") -> OnnxModel:
        if task not in made:
            made[task] = ExportOnnx()(tiny_checkpoint(task=task))
        return made[task]

    return make


@pytest.fixture
def fake_tensorrt(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Gives ``fake_tensorrt("10.16.1.11")``: that release's surface and a fake GPU, installed.

    The module's ``state`` says what TensorRT was told and shall do, its ``torch`` is the fake one.
    """

    def install(version: str = "11.1.0.106") -> Any:
        module = load_fake("tensorrt").make_tensorrt(version)
        module.torch = load_fake("cuda").FakeTorch()
        module.state.queue = module.torch.cuda.queue
        monkeypatch.setitem(sys.modules, "tensorrt", module)
        monkeypatch.setattr("bertcompress.runtimes.tensorrt.cuda._torch", lambda: module.torch)
        driver = Path(__file__).with_name("fakes") / "nvidia_driver_version.txt"
        monkeypatch.setattr("bertcompress.runtimes.tensorrt.cuda.DRIVER_FILE", driver)
        return module

    return install


@pytest.fixture(scope="session")
def packed_answers() -> Callable[..., dict[str, Any]]:
    """Gives ``packed_answers(graph, feed)``: of the graph without padding, in ONNX Runtime.

    TensorRT's attention is a function there, written after its documentation.
    """
    from bertcompress.graph.half import emulated
    from bertcompress.graph.tensorrt.pack_tokens import pack_tokens
    from bertcompress.runtimes.ort.runtime import Audit, OrtRuntime
    from bertcompress.runtimes.tensorrt.feed import engine_feed

    def run(graph: Any, feed: dict[str, Any]) -> dict[str, Any]:
        packed = pack_tokens(graph)
        names = [value.name for value in packed.graph.input]
        packed.functions.append(load_fake("tensorrt").packed_attention())
        content = emulated(packed).SerializeToString()
        with OrtRuntime(content, threads=1, audit=Audit(as_written=True)) as runtime:
            return runtime.run(engine_feed(feed, names))

    return run


def load_fake(name: str) -> Any:
    """Returns a module of ``tests/fakes``, which is no package."""
    path = Path(__file__).with_name("fakes") / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"fake_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def shared() -> Path:
    """Gives the folder of real models and data, or skips; mark such tests ``shared``."""
    named = os.environ.get("BERTCOMPRESS_SHARED")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("no folder of real models and data beside the checkout")
    return folder


def _write_folder(folder: Path, task: str, tokenizer: PreTrainedTokenizerFast) -> None:
    from bertcompress.quiet import quiet_transformers

    with quiet_transformers():
        _tiny_model(task, vocab_size=len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    settings = folder / "tokenizer_config.json"  # as folders of published BERTs say it
    named = {**json.loads(settings.read_text()), "tokenizer_class": "BertTokenizer"}
    settings.write_text(json.dumps(named))
    if task == "feature-extraction":
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(_POOLING))
        (folder / "modules.json").write_text(json.dumps(_MODULES))


def _tiny_model(task: str, *, vocab_size: int) -> PreTrainedModel:
    import torch
    import transformers

    config = transformers.BertConfig(
        vocab_size=vocab_size,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=128,
        initializer_range=0.2,  # the usual 0.02 makes a model of this size all but constant
    )
    if task in _LABELS:
        config.id2label = dict(enumerate(_LABELS[task]))
        config.label2id = {name: at for at, name in enumerate(_LABELS[task])}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        model: Any = getattr(transformers, _CLASSES[task])(config)
        for parameter in model.parameters():
            if parameter.dim() == 1:  # biases start at zero, where no test would miss them
                parameter.data.add_(torch.randn(parameter.shape), alpha=0.1)
    return cast("PreTrainedModel", model.eval())
