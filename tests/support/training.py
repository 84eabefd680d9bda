"""Small models, configurations and runs of training."""

from dataclasses import replace
from pathlib import Path

import torch

from swiss_training.multitask.config import TrainConfig
from swiss_training.multitask.data import TaskDataset
from swiss_training.multitask.examples import read_files
from swiss_training.multitask.labels import DataFile
from swiss_training.multitask.metrics import Evaluation, Metrics, Score, TrainMetrics
from swiss_training.multitask.model import MultitaskModel, save_model
from swisscli.core.model.encoder_config import read_encoder_config
from swisscli.core.model.model_config import ModelConfig, Pooling
from swisscli.core.tasks import DEFAULT_TASKS, TASKS
from swisscli.core.tokenization import Tokenizer
from tests.support.paths import DATA, ENCODER, ENCODERS

METRICS = Metrics(0, TrainMetrics(1, Evaluation({"sentiment": Score("accuracy", 0.5, 30)})))


def tiny_config(output: Path, **values: object) -> TrainConfig:
    """A run of a second: all tasks, twelve steps."""
    defaults = {
        "encoder": str(ENCODER),
        "data": str(DATA),
        "output": str(output),
        "batch_size": 16,
        "learning_rate": 1e-3,
        "epochs": 2,
        "log_every": 2,
        "precision": "fp32",
        "device": "cpu",
        "weighting": "awl",
    }
    return TrainConfig(**(defaults | values))  # type: ignore[arg-type]


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
    return TaskDataset(examples, Tokenizer(ENCODER / "tokenizer.json", 64), pad_token_id=0)


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
