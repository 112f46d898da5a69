"""Loads one folder in a fresh process, with tools that know nothing of this project.

``python -I interoperability_child.py ROUTE TASK FOLDER TEXTS OUT`` answers the texts one by one (a
JSON list of texts, or of pairs) and writes all numbers of all answers as one flat float32 array.
ROUTE says how:

    optimum                ORTModelFor… of Optimum
    pipeline               a Transformers pipeline over it; the model's answers, before its scores
    sentence-transformers  ``SentenceTransformer(folder, backend="onnx")``: its embeddings
    script                 ``docs/onnxruntime_alone.py``, that very text
    openvino               OpenVINO, told to compute in FP32

Exit code 5: the library of that route is not installed.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
SCRIPT = HERE.parent / "docs" / "onnxruntime_alone.py"
CLASSES = {
    "text-classification": "ORTModelForSequenceClassification",
    "token-classification": "ORTModelForTokenClassification",
    "question-answering": "ORTModelForQuestionAnswering",
    "feature-extraction": "ORTModelForFeatureExtraction",
}
OUTPUTS = {
    "question-answering": ("start_logits", "end_logits"),
    "feature-extraction": ("last_hidden_state",),
}
FORBIDDEN = {"script": ("torch", "transformers"), "openvino": ("torch", "transformers")}
Text = str | list[str]


def main(route: str, task: str, folder: str, texts: str, out: str) -> int:
    """Answers, writes, and says what is missing."""
    for name in ("bertcompress", *FORBIDDEN.get(route, ())):
        sys.modules[name] = None  # type: ignore[assignment]  # importing it fails from here on
    given = json.loads(Path(texts).read_text(encoding="utf-8"))
    try:
        answers = [
            np.asarray(one, np.float32).ravel() for one in ROUTES[route](task, folder, given)
        ]
    except ModuleNotFoundError as error:
        print(f"{error.name} is not installed", file=sys.stderr)
        return 5
    np.save(out, np.concatenate(answers))
    return 0


def optimum(task: str, folder: str, texts: list[Text]) -> Iterator[Any]:
    """Yields the outputs of Optimum's class for the task."""
    import optimum.onnxruntime
    from transformers import AutoTokenizer

    model = getattr(optimum.onnxruntime, CLASSES[task]).from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for text in texts:
        parts = [text] if isinstance(text, str) else text
        answer = model(**tokenizer(*parts, return_tensors="pt"))
        yield from (answer[name].numpy() for name in OUTPUTS.get(task, ("logits",)))


def pipeline(task: str, folder: str, texts: list[Text]) -> Iterator[Any]:
    """Yields what the model answered while a pipeline ran over it."""
    import optimum.onnxruntime
    import transformers

    model = getattr(optimum.onnxruntime, CLASSES[task]).from_pretrained(folder)
    answers: list[Any] = []
    own = model.forward

    @functools.wraps(own)
    def forward(*given: Any, **named: Any) -> Any:
        answers.append(own(*given, **named))
        return answers[-1]

    model.forward = forward
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    run = transformers.pipeline(task, model=model, tokenizer=tokenizer)
    for text in texts:
        if isinstance(text, str):
            run(text)
        else:
            run(question=text[0], context=text[1])
    assert len(answers) == len(texts), "the pipeline split a text"
    for answer in answers:
        yield from (answer[name].numpy() for name in OUTPUTS.get(task, ("logits",)))


def sentence_transformers(task: str, folder: str, texts: list[Text]) -> Iterator[Any]:
    """Yields embeddings."""
    del task
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(folder, backend="onnx")
    yield from (model.encode([text]) for text in texts)


def script(task: str, folder: str, texts: list[Text]) -> Iterator[Any]:
    """Yields what the script of the documentation computes; it prints it too."""
    del task
    code = compile(SCRIPT.read_text(encoding="utf-8"), str(SCRIPT), "exec")
    for text in texts:
        found: dict[str, Any] = {}
        sys.argv = [str(SCRIPT), folder, str(text)]
        with contextlib.redirect_stdout(io.StringIO()):
            exec(code, found)  # that very text is what is proved
        yield from found["outputs"]


def openvino(task: str, folder: str, texts: list[Text]) -> Iterator[Any]:
    """Yields the outputs of the graph in OpenVINO, fed by tokenizers alone."""
    del task
    sys.path.insert(0, str(HERE))
    import openvino as library

    from reload_child import graph_batches

    path = Path(folder) / "onnx" / "model.onnx"
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = library.Core().compile_model(path, "CPU", settings)
    for text in texts:
        (batch,) = graph_batches(folder, [text if isinstance(text, str) else tuple(text)])
        answer = compiled(
            {one.get_any_name(): batch[one.get_any_name()] for one in compiled.inputs}
        )
        yield from (answer[at] for at in range(len(compiled.outputs)))


ROUTES = {
    "optimum": optimum,
    "pipeline": pipeline,
    "sentence-transformers": sentence_transformers,
    "script": script,
    "openvino": openvino,
}

if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
