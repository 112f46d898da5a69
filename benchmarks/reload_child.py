"""Loads one folder in a fresh process, as a program that knows nothing of this project would.

``python -I reload_child.py ROUTE TASK FOLDER TEXTS OUT`` answers the texts (a JSON list) and writes
the logits as one flat float32 array, padding left out. ROUTE says how:

    bertcompress   ``import bertcompress``, then plain ``AutoModel…from_pretrained``
    trust          Transformers with ``trust_remote_code=True``; bertcompress can't be imported
    stock          Transformers as it is; bertcompress can't be imported
    onnxruntime    ONNX Runtime and tokenizers; bertcompress, torch and Transformers can't be
    openvino       OpenVINO, told to compute in FP32, and tokenizers; as before
    prune-heads    makes instead of answers: what Transformers 4 writes after ``prune_heads``; TEXTS
                   is the JSON of its argument, OUT the folder

Exit code 5: the library of that route is not installed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

BATCH, LONGEST = 16, 128
CLASSES = {
    "text-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
}
FORBIDDEN = {
    "bertcompress": (),
    "trust": ("bertcompress",),
    "stock": ("bertcompress",),
    "prune-heads": ("bertcompress",),
    "onnxruntime": ("bertcompress", "torch", "transformers"),
    "openvino": ("bertcompress", "torch", "transformers"),
}
Batch = dict[str, Any]
Answer = Callable[[Batch], Any]


def main(route: str, task: str, folder: str, texts: str, out: str) -> int:
    """Answers, writes, and says what is missing."""
    for name in FORBIDDEN[route]:
        sys.modules[name] = None  # type: ignore[assignment]  # importing it fails from here on
    try:
        if route == "prune-heads":
            prune_heads(task, folder, json.loads(texts), out)
            return 0
        graph = route in ("onnxruntime", "openvino")
        batches = graph_batches if graph else transformers_batches
        answer = OPENERS[route](task, folder)
    except ModuleNotFoundError as error:
        print(f"{error.name} is not installed", file=sys.stderr)
        return 5
    rows = []
    for batch in batches(folder, json.loads(Path(texts).read_text(encoding="utf-8"))):
        logits = np.asarray(answer(batch), dtype=np.float32)
        lengths = np.asarray(batch["attention_mask"]).sum(axis=1)
        whole = logits.ndim == 2
        rows += [row if whole else row[:n] for row, n in zip(logits, lengths, strict=True)]
    np.save(out, np.concatenate([row.ravel() for row in rows]))
    return 0


def transformers_batches(folder: str, texts: list[str]) -> Iterator[Batch]:
    """Yields batches as the folder's tokenizer makes them."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    for start in range(0, len(texts), BATCH):
        some = texts[start : start + BATCH]
        yield dict(
            tokenizer(some, padding=True, truncation=True, max_length=LONGEST, return_tensors="pt")
        )


def graph_batches(folder: str, texts: list[str]) -> Iterator[Batch]:
    """Yields the same batches without Transformers."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
    tokenizer.enable_truncation(LONGEST)
    tokenizer.enable_padding(pad_id=tokenizer.token_to_id("[PAD]"))
    for start in range(0, len(texts), BATCH):
        some = tokenizer.encode_batch(texts[start : start + BATCH])
        columns = {
            "input_ids": [one.ids for one in some],
            "attention_mask": [one.attention_mask for one in some],
            "token_type_ids": [one.type_ids for one in some],
        }
        yield {name: np.asarray(values, dtype=np.int64) for name, values in columns.items()}


def open_transformers(task: str, folder: str, *, trust: bool = False) -> Answer:
    """Opens the folder with the task's ``AutoModel`` class."""
    import torch
    import transformers

    settings: dict[str, Any] = {"trust_remote_code": True} if trust else {}
    model = getattr(transformers, CLASSES[task]).from_pretrained(folder, **settings).eval()

    def answer(batch: Batch) -> Any:
        with torch.inference_mode():
            return model(**batch).logits.numpy()

    return answer


def open_registered(task: str, folder: str) -> Answer:
    """Opens the folder after the import that registers its class."""
    import bertcompress  # noqa: F401

    return open_transformers(task, folder)


def open_onnxruntime(task: str, folder: str) -> Answer:
    """Opens the folder's graph in ONNX Runtime."""
    import onnxruntime

    del task
    session = onnxruntime.InferenceSession(
        str(Path(folder) / "onnx" / "model.onnx"), providers=["CPUExecutionProvider"]
    )
    return lambda batch: session.run(["logits"], batch)[0]


def open_openvino(task: str, folder: str) -> Answer:
    """Opens the folder's graph in OpenVINO."""
    import openvino

    del task
    path = Path(folder) / "onnx" / "model.onnx"
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = openvino.Core().compile_model(path, "CPU", settings)
    return lambda batch: compiled(batch)["logits"]


def prune_heads(task: str, folder: str, heads: dict[str, list[int]], out: str) -> None:
    """Writes the folder again with heads pruned, in the way that Transformers 4 had."""
    import transformers

    model = getattr(transformers, CLASSES[task]).from_pretrained(folder)
    model.prune_heads({int(layer): numbers for layer, numbers in heads.items()})
    model.save_pretrained(out)
    transformers.AutoTokenizer.from_pretrained(folder).save_pretrained(out)


OPENERS: dict[str, Callable[[str, str], Answer]] = {
    "bertcompress": open_registered,
    "trust": lambda task, folder: open_transformers(task, folder, trust=True),
    "stock": open_transformers,
    "onnxruntime": open_onnxruntime,
    "openvino": open_openvino,
}

if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
