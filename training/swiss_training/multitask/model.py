"""The multitask model: one encoder with a head per task, and its weights on disk."""

from pathlib import Path
from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from swiss_training.checkpoint import package_versions, save_tensors
from swiss_training.families import make_encoder
from swiss_training.families.encoder import pool_mean
from swiss_training.graph_weights import read_graph
from swiss_training.multitask.config import TrainConfig
from swiss_training.multitask.heads import Head, make_head
from swiss_training.multitask.metrics import Metrics
from swiss_training.weights import check_fit, read_tensors
from swisscli.core.model.directory import (
    CONFIG,
    GRAPH,
    METRICS,
    TOKENIZER,
    TRAIN_CONFIG,
    WEIGHTS,
    ModelDirectory,
    update_directory,
)
from swisscli.core.model.manifest import Manifest
from swisscli.core.model.model_config import ModelConfig
from swisscli.core.model.schema import write_json
from swisscli.core.tasks import TaskSpec


class Heads(nn.ModuleDict):
    """The heads by the names of their tasks, any of which may also be an attribute of modules."""

    def __setitem__(self, key: str, module: nn.Module) -> None:
        """Add a head."""
        self._modules[key] = module


class MultitaskModel(nn.Module):
    """The shared encoder and the heads of all tasks.

    A batch of B examples is S sequences: B for one text or for a pair that is encoded as one
    sequence, 2 B for pairs whose texts are encoded separately, the second after the first.

    Args:
        config: Encoder shape, pooling, pair encoding, tasks and their heads.
        dropout: Probability of dropping a pooled unit before a head.
    """

    def __init__(self, config: ModelConfig, dropout: float = 0.0) -> None:
        super().__init__()
        self.config = config
        self.encoder = make_encoder(config.encoder)
        hidden_size = config.encoder.hidden_size
        self.shared_layers = nn.ModuleDict()
        self.heads = Heads()
        for task in config.tasks:
            input_size = hidden_size * config.sequences(task)
            if config.heads == "layer-sharing":
                name = shared_layer(task)
                if name not in self.shared_layers:
                    self.shared_layers[name] = nn.Linear(input_size, hidden_size)
                input_size = hidden_size
            self.heads[task.name] = make_head(config.heads, input_size, task, dropout)

    def pool(
        self,
        input_ids_ST: Tensor,
        attention_mask_ST: Tensor,
        token_type_ids_ST: Tensor,
        noise_STD: Tensor | None = None,
    ) -> Tensor:
        """Compute the pooled output that every head reads, three inputs (S, T) -> (S, D)."""
        hidden_STD = self.encoder(input_ids_ST, attention_mask_ST, token_type_ids_ST, noise_STD)
        if self.config.pooling == "cls":
            return self.encoder.pool_first(hidden_STD)
        return pool_mean(hidden_STD, attention_mask_ST)

    def features(self, task: str, pooled_SD: Tensor) -> Tensor:
        """What a task's head reads, (S, D) -> (B, I): the pooled output of all its sequences.

        With layer sharing they go through the first of the two linear layers and LeakyReLU.
        """
        spec = self.config.task(task)
        features_BI = pooled_SD.reshape(-1, self.config.sequences(spec) * pooled_SD.shape[1])
        if self.config.heads != "layer-sharing":
            return features_BI
        return F.leaky_relu(self.shared_layers[shared_layer(spec)](features_BI))

    def head(self, task: str) -> Head:
        """Return the head of a task."""
        return cast(Head, self.heads[task])

    def output(
        self,
        task: str,
        input_ids_ST: Tensor,
        attention_mask_ST: Tensor,
        token_type_ids_ST: Tensor,
        noise_STD: Tensor | None = None,
    ) -> Tensor:
        """Compute the output that the loss of a task's head takes, (B, C)."""
        pooled_SD = self.pool(input_ids_ST, attention_mask_ST, token_type_ids_ST, noise_STD)
        return self.head(task)(self.features(task, pooled_SD))

    def logits(self, task: str, pooled_SD: Tensor) -> Tensor:
        """Compute a task's logits from pooled outputs, (S, D) -> (B, C)."""
        head = self.head(task)
        return head.logits(head(self.features(task, pooled_SD)))

    def forward(
        self,
        task: str,
        input_ids_ST: Tensor,
        attention_mask_ST: Tensor,
        token_type_ids_ST: Tensor,
    ) -> Tensor:
        """Compute one task's logits, (B, C)."""
        return self.logits(task, self.pool(input_ids_ST, attention_mask_ST, token_type_ids_ST))


def shared_layer(task: TaskSpec) -> str:
    """Name the first linear layer, which tasks with the same number of texts share."""
    return f"texts_{task.arity}"


def save_model(
    run: Path,
    model: MultitaskModel,
    tokenizer: Path,
    config: TrainConfig,
    metrics: Metrics,
    source_encoder: dict[str, str],
) -> None:
    """Write the model directory, without a graph, over the one in the run folder."""
    manifest = Manifest(files={}, versions=package_versions(), source_encoder=source_encoder)
    # A graph of an earlier state must not outlive its weights.
    with update_directory(run, manifest, remove=(GRAPH,)) as staging:
        write_json(staging / CONFIG, model.config.to_json())
        save_tensors(staging / WEIGHTS, model.state_dict())
        (staging / TOKENIZER).write_bytes(tokenizer.read_bytes())
        write_json(staging / METRICS, metrics.to_json())
        (staging / TRAIN_CONFIG).write_text(config.to_toml(), encoding="utf-8")


def load_model(directory: ModelDirectory) -> MultitaskModel:
    """Load the trained model of a model directory, for evaluation.

    If the directory has only a graph, the weights are read from it.

    Raises:
        ModelError: if the weights are missing or damaged, or do not fit the configuration.
    """
    from_graph = directory.has(GRAPH) and not directory.has(WEIGHTS)
    path = directory.path / GRAPH if from_graph else directory.file(WEIGHTS)
    tensors = read_graph(directory) if from_graph else read_tensors(path)
    # The graph of a model with mean pooling has no pooler, which nothing would read.
    without = ("encoder.pooler.",) if from_graph and directory.config.pooling == "mean" else ()
    check_fit(path, tensors, lambda: MultitaskModel(directory.config), optional=without)
    model = MultitaskModel(directory.config)
    model.load_state_dict(tensors, strict=not without)
    return model.eval()
