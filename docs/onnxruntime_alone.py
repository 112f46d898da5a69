"""Answers texts with nothing but onnxruntime, tokenizers and numpy: FOLDER TEXT [TEXT ...]."""

import sys

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

folder, texts = sys.argv[1], sys.argv[2:]
tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
tokenizer.enable_padding(pad_id=tokenizer.token_to_id("[PAD]"))
encoded = tokenizer.encode_batch(texts)
columns = {
    "input_ids": [one.ids for one in encoded],
    "attention_mask": [one.attention_mask for one in encoded],
    "token_type_ids": [one.type_ids for one in encoded],
}
session = onnxruntime.InferenceSession(f"{folder}/onnx/model.onnx")
feed = {one.name: np.array(columns[one.name], dtype=np.int64) for one in session.get_inputs()}
outputs = session.run(None, feed)
print(outputs[0])
