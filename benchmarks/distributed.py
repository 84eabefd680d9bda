"""Measures what several ranks cost, and predicts what they would cost on a network.

    python -m benchmarks.distributed

The ranks are processes of this machine that `torchrun` starts; the steps are those of `swiss
train`. Every measurement is added to `distributed.json` as it comes, and one that it has is not
repeated, so the command can be stopped and typed again, also with other sizes. `DISTRIBUTED.md` is
written at the end.
"""

import argparse
import datetime
import json
import os
import random
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.distributed_report import Results, page

DATA, PAGE = "distributed.json", "DISTRIBUTED.md"
ROOT = Path(__file__).resolve().parent.parent
SHAPES = {
    "bert-tiny": (128, 2, 2, 512),
    "minilm-l6": (384, 6, 12, 1536),
    "bert-base": (768, 12, 12, 3072),
}
"""Width, layers, attention heads and feed-forward width of each size; the vocabulary is BERT's."""
MOST_TASKS = 5
ROWS = 64
"""Rows of each task's file."""
SUM_BYTES = (*(4**power for power in range(2, 13)), 25 * 2**20)
"""Sizes of single all-reduces, from 16 bytes to the size of a bucket."""
MEMORY_TASKS = 3


def write_encoder(folder: Path, size: str) -> None:
    """Write an encoder of a size with random weights and the packaged tokenizer."""
    import torch

    from swiss_training.checkpoint import save_tensors
    from swiss_training.families import make_encoder
    from swiss_training.families.bert import BERT
    from swisscli.core.model.directory import TOKENIZER, packaged_model
    from swisscli.core.model.encoder_config import EncoderConfig
    from swisscli.core.model.schema import write_json

    tokenizer = (packaged_model() / TOKENIZER).read_bytes()
    vocabulary = json.loads(tokenizer)["model"]["vocab"]
    width, layers, heads, inner = SHAPES[size]
    config = EncoderConfig(len(vocabulary), width, layers, heads, inner, 512)
    torch.manual_seed(0)
    folder.mkdir()
    write_json(folder / "config.json", config.to_json())
    state = make_encoder(config).state_dict()
    save_tensors(folder / "model.safetensors", BERT.names.to_hugging_face(state))
    (folder / "tokenizer.json").write_bytes(tokenizer)


def write_texts(folder: Path, num_tokens: int) -> dict[str, str]:
    """Write the files of the tasks: texts of equal length, of words drawn evenly."""
    from swisscli.core.model.directory import TOKENIZER, packaged_model

    text = (packaged_model() / TOKENIZER).read_text(encoding="utf-8")
    words = [
        word for word in json.loads(text)["model"]["vocab"] if word.isalpha() and len(word) > 3
    ]
    draw = random.Random(1)
    files = {}
    for number in range(MOST_TASKS):
        path = folder / f"task{number}.tsv"
        rows = (
            f"{' '.join(draw.choices(words, k=num_tokens - 2))}\t{'yes' if row % 2 else 'no'}\n"
            for row in range(ROWS)
        )
        path.write_text("text\tlabel\n" + "".join(rows), encoding="utf-8")
        files[f"task{number}"] = str(path)
    return files


def run(plan: dict[str, Any], ranks: int, folder: Path) -> list[dict[str, Any]]:
    """Run a plan on some ranks; returns its results.

    Raises:
        subprocess.CalledProcessError: if a rank fails.
    """
    given, results = folder / "plan.json", folder / "results.json"
    given.write_text(json.dumps(plan))
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks))
    paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    program = ("-m", "benchmarks.distributed_rank", str(given), str(results))
    subprocess.run(
        [sys.executable, *(launcher if ranks > 1 else ()), *program],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        check=True,
    )
    found: list[dict[str, Any]] = json.loads(results.read_text())
    return found


def measure(
    options: argparse.Namespace, done: Results, folder: Path
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Measure everything that is not done; yields a kind and its measurements."""
    files = write_texts(folder, options.tokens)
    common = {"train_files": files, "batch": options.batch, "rounds": options.rounds}
    about = {"batch": options.batch, "tokens": options.tokens}

    def measured(what: str, size: str, ranks: int, **plan: Any) -> list[dict[str, Any]]:
        note = {
            "size": size,
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "load": round(os.getloadavg()[0], 1),
        }
        print(f"{what}, {size or 'all-reduce'}, ranks: {ranks}", flush=True)
        plan |= {"what": what, "encoder": str(folder / size)}
        return [entry | note | about for entry in run(common | plan, ranks, folder)]

    for ranks in options.ranks:
        if ranks > 1 and not any(entry["ranks"] == ranks for entry in done.sums):
            yield "sums", measured("sums", "", ranks, sum_bytes=SUM_BYTES)
    for size in options.sizes:
        write_encoder(folder / size, size)
        for ranks in options.ranks:
            has = {(one["size"], one["ranks"], one["tasks"]) for one in done.steps}
            tasks = [count for count in options.tasks if (size, ranks, count) not in has]
            if tasks:
                yield "steps", measured("steps", size, ranks, tasks=tasks)
        for ranks in options.memory_ranks:
            for method in ("none", "pcgrad"):
                case = (size, ranks, method)
                if case not in {(e["size"], e["ranks"], e["aggregation"]) for e in done.memory}:
                    plan = {"tasks": [MEMORY_TASKS], "aggregation": method}
                    yield "memory", measured("memory", size, ranks, **plan)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and write after every measurement."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", nargs="+", choices=SHAPES, default=list(SHAPES))
    counts = range(1, MOST_TASKS + 1)
    parser.add_argument("--tasks", nargs="+", type=int, choices=counts, default=[1, 3, 5])
    parser.add_argument("--ranks", nargs="+", type=int, default=[1, 2, 4], help="1 and 2 needed")
    parser.add_argument("--memory-ranks", nargs="*", type=int, default=[2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=4, help="examples of a task on a rank")
    parser.add_argument("--tokens", type=int, default=32, help="of each example")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent)
    options = parser.parse_args(arguments)
    if not {1, 2} <= set(options.ranks):
        parser.error("--ranks: the model is made from 1 rank and 2")
    given = sys.argv[1:] if arguments is None else arguments
    command = shlex.join(["python", "-m", "benchmarks.distributed", *given])
    data = options.output / DATA
    done = Results.read(data) if data.is_file() else Results()
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for kind, entries in measure(options, done, Path(folder)):
            done.add(kind, [entry | {"command": command} for entry in entries])
            data.write_text(done.to_json() + "\n", encoding="utf-8")
    (options.output / PAGE).write_text("\n".join(page(done)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
