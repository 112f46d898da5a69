"""What most people write: FastAPI, and a Transformers model that answers one request at a time.

python fastapi_transformers.py CHECKPOINT PORT THREADS
"""

from __future__ import annotations

import sys

import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer

folder, port, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(threads)
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
app = FastAPI()


class Body(BaseModel):
    """The request."""

    inputs: str


@app.post("/predict")
def predict(body: Body) -> dict[str, object]:
    """Answers one text."""
    with torch.inference_mode():
        found = model(
            **tokenizer(body.inputs, truncation=True, max_length=128, return_tensors="pt")
        )
    scores = found.logits.softmax(-1)[0].tolist()
    best = max(range(len(scores)), key=scores.__getitem__)
    return {"label": model.config.id2label[best], "score": scores[best]}


uvicorn.run(app, port=port, log_level="warning")
