"""Writes the same weights in the format of each contender.

    python -m benchmarks.models ENCODER FOLDER PRECISION...

This runs as a separate process, so that its memory does not count in the measurements. The
encoder's weights are real and the heads random, which does not change the speed: no operator takes
longer for other numbers.
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch

from swiss_export import bundle
from swiss_export.builder import OPSET
from swiss_export.calibration import channel_ranges
from swiss_export.graph import build_graph
from swiss_export.verify import parity_batches
from swiss_training.checkpoint import save_tensors
from swiss_training.families.bert import BERT
from swiss_training.families.pretrained import load_pretrained
from swiss_training.multitask.config import TrainConfig
from swiss_training.multitask.metrics import Metrics
from swiss_training.multitask.model import MultitaskModel, save_model
from swisscli.core.model.directory import GRAPH, ModelDirectory
from swisscli.core.model.graph import Precision
from swisscli.core.model.model_config import ModelConfig
from swisscli.core.model.schema import write_json
from swisscli.core.tasks import TASKS
from swisscli.core.tokenization import Tokenizer

TASK_NAMES = ("sentiment", "paraphrase")
MAX_LENGTH = 512
_HEAD_SCALE = 0.2
"""Standard deviation of the heads' weights: answers then differ from text to text."""


def main() -> None:
    """Build everything."""
    encoder, folder, *precisions = sys.argv[1:]
    build(encoder, Path(folder), cast(Sequence[Precision], precisions))


def build(encoder: str, folder: Path, precisions: Sequence[Precision]) -> None:
    """Write a run, its graphs, and a Hugging Face directory per task.

    Args:
        encoder: A directory or Hub name of a BERT.
        folder: Where to write `run`, `swiss-PRECISION` and `hugging-face/TASK`.
        precisions: Precisions of the graphs.
    """
    pretrained = load_pretrained(encoder)
    shape = pretrained.encoder.config
    if shape.model_type != "bert":
        sys.exit(f"{encoder}: the benchmark compares BERT encoders, this is {shape.model_type}")
    config = ModelConfig(
        encoder=shape,
        # Hugging Face's classifier reads the first token through the pooler.
        pooling="cls",
        max_length=min(MAX_LENGTH, shape.longest_input),
        tasks=tuple(TASKS[name] for name in TASK_NAMES),
    )
    torch.manual_seed(0)
    model = MultitaskModel(config).eval()
    model.encoder.load_state_dict(pretrained.encoder.state_dict())
    for head in model.heads.parameters():
        torch.nn.init.normal_(head, std=_HEAD_SCALE)
    run = folder / "run"
    save_model(run, model, pretrained.tokenizer, TrainConfig(), Metrics(seed=0), pretrained.source)
    for precision in precisions:
        _export(run, model, precision, folder / f"swiss-{precision}")
    for name in TASK_NAMES:
        _write_hugging_face(model, pretrained.tokenizer, name, folder / "hugging-face" / name)


def _export(run: Path, model: MultitaskModel, precision: Precision, output: Path) -> None:
    """Write a graph as `swiss export --output` does.

    `swiss export` refuses a graph that is less accurate than torch, which random heads can be. The
    benchmark compares the contenders' logits instead.
    """
    config = model.config
    directory = ModelDirectory.open(run)
    tokenizer = Tokenizer.of(directory)
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    is_int8 = precision == "int8"
    ranges = channel_ranges(model, parity_batches(tokenizer, config, {})) if is_int8 else {}
    graph = build_graph(config, weights, precision, ranges)
    manifest = bundle.describe(directory.manifest, {"precision": precision, "opset": OPSET})
    with tempfile.TemporaryDirectory(dir=output.parent) as staging:
        path = Path(staging) / GRAPH
        path.write_bytes(graph.SerializeToString(deterministic=True))
        bundle.write_directory(output, run, path, manifest, Metrics(seed=0))


def _write_hugging_face(
    model: MultitaskModel, tokenizer: Path, task_name: str, output: Path
) -> None:
    """Write a `BertForSequenceClassification`."""
    config, task = model.config, TASKS[task_name]
    output.mkdir(parents=True, exist_ok=True)
    encoder = BERT.names.to_hugging_face(model.encoder.state_dict())
    tensors = {f"bert.{name}": tensor for name, tensor in encoder.items()}
    for part in ("weight", "bias"):
        tensors[f"classifier.{part}"] = model.get_parameter(f"heads.{task_name}.linear.{part}")
    save_tensors(output / "model.safetensors", tensors, {"format": "pt"})
    labels = [f"LABEL_{index}" for index in range(task.num_outputs)]
    settings = {
        **config.encoder.to_json(),
        "architectures": ["BertForSequenceClassification"],
        "model_type": "bert",
        "id2label": dict(enumerate(labels)),
        "label2id": {label: index for index, label in enumerate(labels)},
    }
    write_json(output / "config.json", settings)
    (output / "tokenizer.json").write_bytes(tokenizer.read_bytes())
    vocabulary = json.loads(tokenizer.read_text(encoding="utf-8"))["model"]["vocab"]
    special = {
        f"{name}_token": token
        for name in ("pad", "unk", "cls", "sep", "mask")
        if (token := f"[{name.upper()}]") in vocabulary
    }
    settings = {
        # Takes tokenizer.json as it is, so that all contenders read the same tokens.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": config.max_length,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        **special,
    }
    write_json(output / "tokenizer_config.json", settings)


if __name__ == "__main__":
    main()
