"""Small runs and their graphs for the export tests."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from swiss_export.builder import Array
from swiss_export.calibration import channel_ranges
from swiss_export.graph import build_graph
from swiss_export.precision.backend import Precision
from swiss_export.verify import Inputs, parity_batches
from swiss_training.families.pretrained import read_encoder_config
from swiss_training.multitask.config import TrainConfig
from swiss_training.multitask.data import TaskDataset
from swiss_training.multitask.examples import read_files
from swiss_training.multitask.labels import DataFile
from swiss_training.multitask.metrics import Evaluation, Metrics, Score, TrainMetrics
from swiss_training.multitask.model import MultitaskModel, save_model
from swisscli.core.model.model_config import ModelConfig, Pooling
from swisscli.core.tasks import DEFAULT_TASKS, TASKS
from swisscli.core.tokenization import Tokenizer
from swisscli.inference.session import Session

ASSETS = Path(__file__).parent / "assets"
DATA = ASSETS / "tiny-data"
ENCODERS = {"bert": ASSETS / "tiny-encoder", "mpnet": ASSETS / "tiny-mpnet"}
TOKENIZER = ENCODERS["bert"] / "tokenizer.json"
MAX_LENGTH = 64
METRICS = Metrics(0, TrainMetrics(1, Evaluation({"sentiment": Score("accuracy", 0.5, 30)})))


def make_model(
    pooling: Pooling = "mean", activation: str = "gelu", family: str = "bert"
) -> MultitaskModel:
    """A random model of two layers whose logits differ from text to text."""
    torch.manual_seed(0)
    encoder = read_encoder_config(ENCODERS[family] / "config.json")
    config = ModelConfig(
        encoder=replace(encoder, hidden_act=activation, initializer_range=0.2),
        pooling=pooling,
        max_length=encoder.longest_input,
        tasks=tuple(TASKS[name] for name in DEFAULT_TASKS),
    )
    model = MultitaskModel(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.2)
    return model.eval()


def dev_rows(task: str) -> TaskDataset:
    examples = read_files(TASKS[task], [DataFile(DATA / TASKS[task].file_name("dev"))])
    return TaskDataset(examples, Tokenizer(TOKENIZER, MAX_LENGTH), pad_token_id=0)


def make_fitted_model() -> MultitaskModel:
    """A random encoder whose similarity head is the best linear one on the dev rows."""
    model = make_model()
    rows = dev_rows("similarity")
    batch = rows.batch(range(len(rows)))
    head = model.heads["similarity"].linear
    with torch.no_grad():
        pooled_BD = model.pool(*batch.inputs)
        features_BE = torch.cat([pooled_BD, torch.ones(len(rows), 1)], dim=1)
        solution_E1 = torch.linalg.lstsq(features_BE, batch.targets_B[:, None]).solution
        head.weight.copy_(solution_E1[:-1].T)
        head.bias.copy_(solution_E1[-1])
    return model


def write_run(run: Path, model: MultitaskModel, data: Path | str = DATA) -> Path:
    """A run folder as training leaves it."""
    config = TrainConfig(data=str(data), output=str(run))
    source = {"name": "random", "sha256": ""}
    tokenizer = ENCODERS[model.config.encoder.model_type] / "tokenizer.json"
    save_model(run, model, tokenizer, config, METRICS, source)
    return run


def weights_of(model: MultitaskModel) -> dict[str, Array]:
    return {name: tensor.numpy() for name, tensor in model.state_dict().items()}


def text_batches(family: str = "bert") -> list[Inputs]:
    config = make_model(family=family).config
    tokenizer = Tokenizer(ENCODERS[family] / "tokenizer.json", config.max_length)
    return parity_batches(tokenizer, config, {})


def graph_of(model: MultitaskModel, precision: Precision) -> onnx.ModelProto:
    family = model.config.encoder.model_type
    ranges = channel_ranges(model, text_batches(family)) if precision == "int8" else {}
    return build_graph(model.config, weights_of(model), precision, ranges)


def session_of(graph: onnx.ModelProto, folder: Path) -> Session:
    path = folder / "model.onnx"
    onnx.save(graph, path)
    return Session(path, DEFAULT_TASKS, device="cpu")


def constants_of(graph: onnx.ModelProto) -> Mapping[str, Array]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.graph.initializer}


def torch_logits(model: MultitaskModel, task: str, inputs: Inputs) -> Array:
    with torch.inference_mode():
        logits_BC: Array = model(task, *map(torch.from_numpy, inputs)).numpy()
    return logits_BC


def random_inputs(num_rows: int, num_tokens: int, seed: int = 0, pad_token_id: int = 0) -> Inputs:
    """Random ids, with padding on the right of every row but the first."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, num_tokens + 1, num_rows)
    lengths[0] = num_tokens
    mask_BT = (np.arange(num_tokens) < lengths[:, None]).astype(np.int64)
    ids_BT = np.where(mask_BT, rng.integers(pad_token_id + 1, 164, mask_BT.shape), pad_token_id)
    types_BT = (np.arange(num_tokens) > lengths[:, None] // 2).astype(np.int64) * mask_BT
    return ids_BT, mask_BT, types_BT


def spoil(graph: onnx.ModelProto, name: str, factor: float) -> onnx.ModelProto:
    """Multiply one constant of a graph."""
    for tensor in graph.graph.initializer:
        if tensor.name == name:
            array = numpy_helper.to_array(tensor) * np.float32(factor)
            tensor.CopyFrom(numpy_helper.from_array(array.astype(np.float32), name))
            return graph
    raise KeyError(name)
