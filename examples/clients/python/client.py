"""Answers from an exported model, with onnxruntime, tokenizers and numpy alone.

python client.py MODEL sentiment "I love it" "Never again"
python client.py MODEL paraphrase "How old is it?" "What is its age?"
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

folder, name, *texts = sys.argv[1:]
session = onnxruntime.InferenceSession(Path(folder) / "model.onnx")
metadata = session.get_modelmeta().custom_metadata_map
task = next(task for task in json.loads(metadata["swiss.tasks"]) if task["name"] == name)
reads = json.loads(metadata["swiss.input"])
assert reads["pair_encoding"] or task["arity"] == 1, "this client reads pairs as one sequence"

tokenizer = Tokenizer.from_file(str(Path(folder) / reads["tokenizer"]))
tokenizer.enable_truncation(reads["max_length"])
tokenizer.enable_padding(pad_id=reads["pad_token_id"])
items = texts if task["arity"] == 1 else list(zip(texts[::2], texts[1::2], strict=True))
if task["symmetric"]:
    items = [tuple(sorted(pair)) for pair in items]
encodings = tokenizer.encode_batch(items)
inputs = [[getattr(e, key) for e in encodings] for key in ("ids", "attention_mask", "type_ids")]
feed = dict(zip(reads["names"], np.array(inputs, dtype=np.int64), strict=True))
for logits in session.run([task["output"]], feed)[0]:
    if task["kind"] == "regression":
        answer = {"score": float(np.clip(logits[0], *task["score_range"]))}
    else:
        logits = np.array([0, logits[0]]) if task["kind"] == "binary" else logits
        exponentials = np.exp(logits - logits.max())
        probabilities = (exponentials / exponentials.sum()).tolist()
        answer = dict(zip(task["labels"], probabilities, strict=True))
    print(json.dumps(answer, ensure_ascii=False))  # noqa: T201
