"""Measures the time of each operator of a graph over the mix, on one thread of a CPU.

    python -m benchmarks.operators MODEL [MODEL ...] [--data DATA] [--share 4]

The graphs run one after the other, three times; the fastest of the three rounds counts.
"""

import argparse
import json
import tempfile
from collections import Counter
from pathlib import Path

import onnxruntime

from benchmarks.workloads import Texts, load
from swisscli.core.model.directory import GRAPH, ModelDirectory
from swisscli.core.model.graph import INPUTS
from swisscli.core.tokenization import Int64, Tokenizer, pad
from swisscli.inference.batching import Batching

_ROUNDS = 3

Batches = list[tuple[Int64, Int64, Int64]]


def main() -> None:
    """Print a column per model, in milliseconds and as shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL")
    parser.add_argument("--data", type=Path, help="as of python -m benchmarks")
    parser.add_argument("--share", type=int, default=4, help="keep every so many-th record (4)")
    options = parser.parse_args()
    (workload,) = load(["mix"], options.data, options.share)
    batches = [batches_of(model, workload.texts) for model in options.models]
    rounds = [
        [
            _profile(model / GRAPH, workload.task, of_model)
            for model, of_model in zip(options.models, batches, strict=True)
        ]
        for _ in range(_ROUNDS)
    ]
    best = [min(column, key=Counter.total) for column in zip(*rounds, strict=True)]
    operators = sorted(set().union(*best), key=lambda name: -max(c[name] for c in best))
    print("| operator | " + " | ".join(str(model) for model in options.models) + " |")
    print("| --- |" + " ---: |" * len(best))
    for name in [*operators, "all"]:
        cells = []
        for column in best:
            spent, total = column.total() if name == "all" else column[name], column.total()
            cells.append(f"{spent / 1000:,.0f} ms ({spent / total:.1%})" if spent else "")
        print(f"| {name} | " + " | ".join(cells) + " |")


def batches_of(model: Path, texts: Texts, max_tokens: int | None = None) -> Batches:
    """Make the batches that prediction on a CPU makes of pairs: `INPUTS` of each, (B, T)."""
    directory = ModelDirectory.open(model)
    config, tokenizer = directory.config, Tokenizer.of(directory)
    encodings = [item[0] for item in tokenizer.encode_examples(texts, pair_encoding=True)]
    lengths = [len(encoding) for encoding in encodings]
    batching = Batching.for_device("cpu", config.max_length, max_tokens)
    return [
        pad([encodings[index] for index in batch.items], config.encoder.pad_token_id, batch.length)
        for batch in batching.batches(lengths, 1, range(len(lengths)))
    ]


def _profile(graph: Path, task: str, batches: Batches) -> Counter[str]:
    """Measure the microseconds of each operator."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        for batch in batches:
            session.run([task], dict(zip(INPUTS, batch, strict=True)))
        events = json.loads(Path(session.end_profiling()).read_text())
    spent: Counter[str] = Counter()
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            spent[event["args"]["op_name"]] += event["dur"]
    return spent


if __name__ == "__main__":
    main()
