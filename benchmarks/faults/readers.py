"""Every file that this library reads from a stranger, each with the public function that reads it.

`make_seeds` writes a sound one of each; a `Reader` names the file that is changed and what is then
done with its folder, as far as a verb would go before its own work begins.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faults.mutations import (
    mutated_bytes,
    mutated_graph,
    mutated_header,
    mutated_json,
    mutated_text,
    mutated_yaml,
)

_REPORT = Path(__file__).parents[1] / "reports" / "quantization-banking77" / "report.json"
Mutate = Callable[[bytes, random.Random], bytes]
TEXTS = ("w1 w2", "", "A\u00e9\u4e2d \U0001f600 " + "w3 " * 90)


@dataclass(frozen=True)
class Reader:
    """A file, and what reads it.

    Attributes:
        name: What reports call it.
        seed: The folder of `make_seeds` that is copied.
        file: The file in it that is changed.
        mutate: How.
        read: Reads the folder.
        rehash: Whether the manifest is to carry the changed file, else its hash is all that is
            looked at.
    """

    name: str
    seed: str
    file: str
    mutate: Mutate
    read: Callable[[Path], object]
    rehash: bool = False


def _json(content: bytes, draw: random.Random) -> bytes:
    return mutated_json(json.loads(content), draw)


def _yaml(content: bytes, draw: random.Random) -> bytes:
    return mutated_yaml(json.loads(content), draw)


def _load(folder: Path) -> None:
    from bertcompress.bert.loading.load import load

    _use(load(folder, note=lambda _: None))


def _open(folder: Path) -> None:
    """Reads what stands before the weights, and what the folder's texts become."""
    from bertcompress.bert.loading.frontend import load_frontend
    from bertcompress.bert.loading.locate import locate
    from bertcompress.inference.deployed import text_length
    from bertcompress.tasks import make_task

    found = locate(folder)
    frontend = load_frontend(found, str(folder), note=lambda _: None)
    task = make_task(frontend.task, frontend.config, folder=found)
    text_length(task, frontend.tokenizer, frontend.longest)
    frontend.tokenizer([*TEXTS], truncation=True, max_length=8)


def _use(artifact: Any) -> None:
    from bertcompress.inference.deployed import length_for

    length_for(artifact)
    artifact.tokenizer([*TEXTS], truncation=True, max_length=8)


def _show(folder: Path) -> None:
    from bertcompress.artifacts.manifest import read_manifest
    from bertcompress.inference.best_settings import runtime_choice_of, runtime_settings_of
    from bertcompress_cli.verbs.show import show

    manifest = read_manifest(folder)
    runtime_settings_of(manifest, "ort-cpu")
    runtime_choice_of(manifest)
    show(str(folder))
    show(str(folder), as_json=True)


def _recipe(folder: Path) -> None:
    from bertcompress.recipes.recipe_file import read_recipe, recipe_text

    recipe_text(read_recipe(folder / "recipe.yaml"), folder)


def _workspace(folder: Path) -> None:
    from bertcompress.workspace import find_workspace

    workspace = find_workspace(folder)
    if workspace is not None:
        workspace.lineage()
        workspace.newest()


def _table(folder: Path) -> None:
    from bertcompress.artifacts.calibration_table import CalibrationTable

    for tensor_range in CalibrationTable.load(folder / "table.safetensors").ranges.values():
        tensor_range.bin_edges.sum()


def _report(folder: Path) -> None:
    from bertcompress.gates.gate import GateLimits, check_gates
    from bertcompress.report.markdown import markdown_of
    from bertcompress.report.page import html_of
    from bertcompress.report.report_files import json_of, read_report
    from bertcompress.report.summary import summarize

    report = read_report(folder)
    summary = summarize(report)
    for written in (markdown_of, html_of, json_of):
        written(report, summary).encode()
    check_gates(report, GateLimits(max_drop=0.01))


def _data(name: str, task: str) -> Callable[[Path], object]:
    def read(folder: Path) -> object:
        from bertcompress.data.load import load_dataset

        return load_dataset(folder / name, task=task)

    return read


def _graph(folder: Path) -> None:
    from bertcompress.inference.foreign_graph import longest_of_graph
    from bertcompress.profiling.count_operations import operations_of

    longest_of_graph(folder)
    _load(folder)
    operations_of(folder)


def _sidecar(folder: Path) -> None:
    from bertcompress.artifacts.engine_file import read_record

    read_record(folder)


def _trained_rows(folder: Path) -> None:
    from bertcompress.artifacts.trained_rows import read_trained_rows

    read_trained_rows(folder).told.encode()


def _operations(folder: Path) -> None:
    from bertcompress.profiling.operations_checkpoint import checkpoint_operations

    checkpoint_operations(folder)
    _load(folder)


def _parquet(content: bytes, draw: random.Random) -> bytes:
    """Returns a Parquet file of columns of other types than texts, or a broken one."""
    import io

    import pyarrow as pa
    from pyarrow import parquet

    if draw.random() < 0.4:
        return mutated_bytes(content, draw)
    rows = draw.randrange(4)
    columns = {"text": ["a b"] * rows, "label": [0] * rows, "more": [None] * rows}
    values: tuple[Any, ...] = (
        *(None, 1, 2**60, float("nan"), b"\xff\x00", "x" * 100_000, "\0", [1], [["a"], None]),
        *({"a": {"b": [1]}}, True, [None, 1.5], {"_type": "ClassLabel"}, ["B-x", "O"], -1),
    )
    columns[draw.choice(list(columns))] = [draw.choice(values)] * rows
    columns[draw.choice(("", "text", "a\nb", "label", "\0"))] = [draw.choice(values)] * rows
    features = {"info": {"features": {"label": {"_type": "ClassLabel", "names": ["n", "p"]}}}}
    table = pa.table(columns).replace_schema_metadata(
        {b"huggingface": mutated_json(features, draw), b"\xff": b"\xff"}
    )
    buffer = io.BytesIO()
    parquet.write_table(table, buffer, compression=draw.choice(("none", "snappy", "zstd")))
    return buffer.getvalue()


READERS = (
    Reader("config.json", "model", "config.json", _json, _load),
    Reader("config.json of an artifact", "artifact", "config.json", _json, _open, rehash=True),
    Reader("tokenizer.json", "model", "tokenizer.json", _json, _open),
    Reader("tokenizer.json of an artifact", "artifact", "tokenizer.json", _json, _open, True),
    Reader("tokenizer_config.json", "model", "tokenizer_config.json", _json, _open),
    Reader("special_tokens_map.json", "model", "special_tokens_map.json", _json, _open),
    Reader("vocab.txt", "vocabulary", "vocab.txt", mutated_text, _open),
    Reader("generation_config.json", "model", "generation_config.json", _json, _load),
    Reader("quantization_config.json", "model", "quantization_config.json", _json, _load),
    Reader("adapter_config.json", "adapter", "adapter_config.json", _json, _open),
    Reader("model.safetensors", "model", "model.safetensors", mutated_header, _operations),
    Reader("modules.json", "embedder", "modules.json", _json, _open),
    Reader("sentence_bert_config.json", "embedder", "sentence_bert_config.json", _json, _open),
    Reader("config_sentence_…", "embedder", "config_sentence_transformers.json", _json, _open),
    Reader("1_Pooling/config.json", "embedder", "1_Pooling/config.json", _json, _open),
    Reader("2_Dense/config.json", "embedder", "2_Dense/config.json", _json, _open),
    Reader("2_Dense weights", "embedder", "2_Dense/model.safetensors", mutated_header, _open),
    Reader("bertcompress.json", "artifact", "bertcompress.json", _json, _show),
    Reader("bertcompress.json, opened", "artifact", "bertcompress.json", _json, _open),
    Reader("trained_rows.json", "files", "trained_rows.json", _json, _trained_rows),
    Reader("engine sidecar", "engine", "engines/0/model.json", _json, _sidecar),
    Reader("recipe.yaml", "files", "recipe.yaml", _yaml, _recipe),
    Reader("bertcompress.yaml", "files", "bertcompress.yaml", _yaml, _workspace),
    Reader("calibration table", "files", "table.safetensors", mutated_header, _table),
    Reader("report.json", "files", "report.json", _json, _report),
    Reader("CSV", "files", "a.csv", mutated_text, _data("a.csv", "text-classification")),
    Reader("TSV", "files", "a.tsv", mutated_text, _data("a.tsv", "text-classification")),
    Reader("JSONL", "files", "a.jsonl", mutated_text, _data("a.jsonl", "text-classification")),
    Reader("JSON", "files", "a.json", _json, _data("a.json", "text-classification")),
    Reader("SQuAD", "files", "squad.json", _json, _data("squad.json", "question-answering")),
    Reader("CoNLL", "files", "a.conll", mutated_text, _data("a.conll", "token-classification")),
    Reader("Parquet", "files", "a.parquet", _parquet, _data("a.parquet", "text-classification")),
    Reader("ONNX graph", "graph", "model.onnx", mutated_graph, _graph),
)


def make_seeds(root: Path) -> None:
    """Writes a sound folder for each `Reader.seed`."""
    import shutil

    from bertcompress.artifacts.artifact import save
    from bertcompress.bert.loading.load import load
    from bertcompress.passes.export.export_onnx import ExportOnnx
    from gpu.models import TINY, make_checkpoint

    made = root / "made"
    make_checkpoint(TINY["tiny"], made, pruned=False)
    exported: Any = ExportOnnx()(load(made))
    save(exported, root / "artifact")
    unneeded = ("bertcompress.json", "README.md")
    shutil.copytree(made, root / "model", ignore=shutil.ignore_patterns(*unneeded))
    for name, fields in _BESIDE.items():
        (root / "model" / name).write_text(json.dumps(fields))
    for name in ("adapter", "embedder", "vocabulary", "engine", "graph"):
        shutil.copytree(root / "model", root / name)
    (root / "adapter" / "adapter_config.json").write_text(json.dumps(_ADAPTER))
    vocabulary = load(made).tokenizer.get_vocab()
    words = sorted(vocabulary, key=lambda word: int(vocabulary[word]))
    (root / "vocabulary" / "vocab.txt").write_text("\n".join(words) + "\n")
    (root / "vocabulary" / "tokenizer.json").unlink()
    (root / "vocabulary" / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "BertTokenizer"}'
    )
    (root / "graph" / "model.safetensors").unlink()
    shutil.copy(root / "artifact" / "onnx" / "model.onnx", root / "graph" / "model.onnx")
    _write_embedder(root / "embedder")
    _write_engine(root / "engine")
    _write_files(root / "files", exported)


def _write_embedder(folder: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    for name, fields in _EMBEDDER.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(fields))
    weights = {"linear.weight": np.ones((8, 64), np.float32), "linear.bias": np.ones(8, np.float32)}
    save_file(weights, folder / "2_Dense" / "model.safetensors")


def _write_engine(folder: Path) -> None:
    from bertcompress.artifacts.engine_record import EngineRecord, Platform, Profile

    profile = Profile((1, 1), (8, 32), (8, 64))
    record = EngineRecord("a", "b", Platform(**_PLATFORM), (profile,), {"x": 1}, "c")
    place = folder / "engines" / "0"
    place.mkdir(parents=True)
    (place / "model.plan").write_bytes(b"plan")
    (place / "model.json").write_text(json.dumps(record.to_json()))


def _write_files(folder: Path, exported: Any) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    from bertcompress.inference.deployed import task_for
    from bertcompress_calibration import calibrate, random_texts

    folder.mkdir()
    texts = [(f"w{at} w{at + 1}", ("n", "p")[at % 2]) for at in range(12)]
    rows = [{"text": text, "label": label} for text, label in texts]
    (folder / "recipe.yaml").write_text(json.dumps(_RECIPE))
    (folder / "trained_rows.json").write_text(json.dumps(_ROWS))
    (folder / "bertcompress.yaml").write_text(json.dumps(_WORKSPACE))
    (folder / "a.json").write_text(json.dumps(rows[:4]))
    (folder / "squad.json").write_text(json.dumps(_SQUAD))
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "a.csv").write_text("text,label\n" + "".join(f'"{a}",{b}\n' for a, b in texts))
    (folder / "a.tsv").write_text("text\tlabel\n" + "".join(f"{a}\t{b}\n" for a, b in texts))
    (folder / "a.conll").write_text("w1 B-PER\nw2 I-PER\n. O\n\nw3 O\nw4 B-LOC\n\n" * 3)
    parquet.write_table(pa.table({"text": ["a", "b"], "label": [0, 1]}), folder / "a.parquet")
    report = json.loads(_REPORT.read_text())
    del report["summary"], report["again"], report["results"][2:]
    for result in report["results"]:
        del result["measurements"][2:]
    (folder / "report.json").write_text(json.dumps(report))
    task, texts_seen = task_for(exported), random_texts(exported, 4, seed=0)
    calibrate(exported, texts_seen, task=task).save(folder / "table.safetensors")


_PLATFORM: Mapping[str, Any] = {
    **dict.fromkeys(("tensorrt", "cuda", "driver", "gpu", "sm", "system"), "1"),
    **dict.fromkeys(("sm_count", "vram_mib"), 1),
}
_ROWS = {
    "format": 1,
    "steps": [{"step": "a", "source": "b", "split": "c", "count": 1, "fingerprint": "d"}],
    "keys": "AAAAAAAAAAA=",
}
_BESIDE: Mapping[str, Any] = {
    "special_tokens_map.json": {"pad_token": "[PAD]", "unk_token": {"content": "[UNK]"}},
    "generation_config.json": {"max_length": 20, "do_sample": False, "cache_config": {}},
    "quantization_config.json": {"quant_method": "bitsandbytes", "load_in_8bit": True},
}
_ADAPTER = {"peft_type": "LORA", "base_model_name_or_path": "x", "r": 8, "target_modules": ["q"]}
_ST = "sentence_transformers.models."
_EMBEDDER: Mapping[str, Any] = {
    "modules.json": [
        {"idx": 0, "name": "0", "path": "", "type": f"{_ST}Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{_ST}Pooling"},
        {"idx": 2, "name": "2", "path": "2_Dense", "type": f"{_ST}Dense"},
        {"idx": 3, "name": "3", "path": "3_Normalize", "type": f"{_ST}Normalize"},
    ],
    "sentence_bert_config.json": {"max_seq_length": 32, "do_lower_case": False},
    "config_sentence_transformers.json": {
        "prompts": {"query": "q: "},
        "default_prompt_name": "query",
        "similarity_fn_name": "cosine",
    },
    "1_Pooling/config.json": {"word_embedding_dimension": 64, "pooling_mode_mean_tokens": True},
    "2_Dense/config.json": {
        "in_features": 64,
        "out_features": 8,
        "bias": True,
        "activation_function": "torch.nn.modules.activation.Tanh",
    },
}
_RECIPE = {
    "model": "./model",
    "task": "text-classification",
    "data": {"source": "./a.csv", "text": "text", "limit": 10, "label_map": {"0": "n"}},
    "seed": 1,
    "base": [{"prune": {"heads": 0.3, "ffn": 0.5}}, "export"],
    "variants": {
        "FP32": [],
        "INT8": [{"quantize-static": {"method": "minmax", "keep_float": ["classifier"]}}],
        "fast": [{"finetune": {"epochs": 1, "learning_rate": 5e-5}}, "quantize"],
    },
    "bench": {"rounds": 1, "threads": 1, "requests": 6},
    "gate": {"max_drop": 0.01},
    "output": "out",
}
_WORKSPACE = {"model": "m", "data": {"source": "a.csv"}, "task": "text-classification", "seed": 1}
_SQUAD = {
    "version": "1.1",
    "data": [
        {
            "title": "t",
            "paragraphs": [
                {
                    "context": "Anna lives in Berlin.",
                    "qas": [
                        {
                            "id": "1",
                            "question": "Where?",
                            "is_impossible": False,
                            "answers": [{"text": "Berlin", "answer_start": 14}],
                        }
                    ],
                }
            ],
        }
    ],
}
