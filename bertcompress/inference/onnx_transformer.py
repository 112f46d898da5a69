"""A graph's folder as the first module of a `sentence_transformers.SentenceTransformer`.

Version 6 of that library runs graphs through optimum-onnx, which can't be installed beside it. This
module needs neither:

    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

    modules = [bc.OnnxTransformer(folder), Pooling.load(folder, subfolder="1_Pooling"), Normalize()]
    SentenceTransformer(modules=modules).encode(texts)

Of a folder that was exported with ``--pooled`` it is the only module. Prompts are the caller's:
give `SentenceTransformer` the ``prompts`` and ``default_prompt_name`` of the original.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch

from bertcompress.artifacts.model_config import INPUT_NAMES
from bertcompress.errors import UsageError
from bertcompress.inference.predictor import Predictor
from bertcompress.tasks.base import Feature, pad
from bertcompress.tasks.encoding import encode_texts, lowercased, prompt_length
from bertcompress.tasks.sentence_embedding import SentenceEmbedding

_NAMES = {"last_hidden_state": "token_embeddings", "sentence_embedding": "sentence_embedding"}
"""What the library calls the outputs of a graph."""


class OnnxTransformer(torch.nn.Module):
    """Runs an exported or quantized folder where Sentence Transformers runs a Transformer.

    Args:
        folder: Of a model for feature extraction.
        runtime: As in `Predictor.open`.
        threads: Threads of a run; None for all.

    Raises:
        UsageError: The folder is of another task, or there is no such runtime.
        LoadError: It can't be loaded.
    """

    modalities = ("text",)

    def __init__(
        self, folder: str | Path, *, runtime: str = "auto", threads: int | None = None
    ) -> None:
        super().__init__()
        self._opened = Predictor.open(folder, runtime=runtime, threads=threads)
        task = self._opened.task
        if not isinstance(task, SentenceEmbedding):
            raise UsageError(
                f"{folder} is for {task.name}, and Sentence Transformers takes feature-extraction; "
                "give the folder of an embedding model"
            )
        self._task = task
        self.max_seq_length = self._opened.max_length
        self.config_keys: list[str] = []

    @property
    def tokenizer(self) -> Any:
        """The folder's tokenizer."""
        return self._opened.tokenizer

    def preprocess(
        self, inputs: Sequence[str], prompt: str | None = None, **options: object
    ) -> dict[str, Any]:
        """Returns a batch, int64 ``[batch, sequence]`` each, padded on the right.

        Args:
            inputs: The texts.
            prompt: Put before each of them.
            options: What the library says to all its modules; none changes a text here.
        """
        tokenizer = self._opened.tokenizer
        if self._task.texts.lower_case:
            tokenizer = lowercased(tokenizer)
        texts = [(prompt or "") + text for text in inputs]
        rows = encode_texts(tokenizer, texts, max_length=self.max_seq_length)
        features = [Feature(at, row.inputs) for at, row in enumerate(rows)]
        batch: dict[str, Any] = {
            name: torch.from_numpy(values)
            for name, values in pad(features, pad_token_id=self._opened.pad_token_id).items()
        }
        if prompt:
            batch["prompt_length"] = prompt_length(
                tokenizer, prompt, max_length=self.max_seq_length
            )
        return batch

    def forward(self, features: dict[str, Any]) -> dict[str, Any]:
        """Adds ``token_embeddings``, or of a pooled graph ``sentence_embedding``."""
        feed = {name: features[name].cpu().numpy() for name in INPUT_NAMES}
        outputs = self._opened.run_batch(feed)
        device = features["input_ids"].device
        for name, values in outputs.items():
            features[_NAMES[name]] = torch.from_numpy(values).to(device)
        return features

    def get_embedding_dimension(self) -> int:
        """Returns the size of the vectors."""
        batch = self.forward(self.preprocess(["a"]))
        vectors = batch.get("sentence_embedding", batch.get("token_embeddings"))
        return int(cast("torch.Tensor", vectors).shape[-1])

    get_word_embedding_dimension = get_embedding_dimension

    def save(self, output_path: str, *arguments: object, **options: object) -> None:
        """Refuses: the folder is the model.

        Raises:
            UsageError: Always.
        """
        raise UsageError(
            f"{self._opened.folder} is saved already and nothing in it changes; copy that folder"
        )
