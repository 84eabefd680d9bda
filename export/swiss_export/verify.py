"""Verifies that a graph computes the same as the trained model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, cycle
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from swiss_export.sentences import make_texts
from swiss_training.multitask.data import TaskDataset
from swiss_training.multitask.evaluation import predict_logits
from swiss_training.multitask.metrics import score
from swiss_training.multitask.model import MultitaskModel
from swisscli.core.errors import VerificationError
from swisscli.core.model.graph import Precision
from swisscli.core.model.model_config import ModelConfig
from swisscli.core.tasks import TaskSpec
from swisscli.core.tokenization import Encoding, Int64, Tokenizer, pad
from swisscli.inference.session import Session

TOLERANCE = 1e-4
"""Largest absolute difference of a float32 graph's logit from torch's."""
BATCH_SIZES = (1, 2, 3, 5, 8, 13)
SAMPLED_ROWS = 200
"""Number of dev rows per task whose logits are compared, from the shortest to the longest."""

Inputs = tuple[Int64, Int64, Int64]


@dataclass(frozen=True)
class DevFigure:
    """A task's dev metric.

    Attributes:
        metric: Name of the metric.
        rows: Number of dev rows.
        graph: Value of the graph.
        torch: Value of the float32 model; None if it was not measured.
    """

    metric: str
    rows: int
    graph: float
    torch: float | None

    @property
    def drop(self) -> float:
        """How far the graph falls below torch."""
        return 0.0 if self.torch is None else self.torch - self.graph

    def to_json(self) -> dict[str, Any]:
        """Return the fields that have a value."""
        return {key: value for key, value in asdict(self).items() if value is not None}


def parity_batches(
    tokenizer: Tokenizer, config: ModelConfig, dev: Mapping[str, TaskDataset]
) -> list[Inputs]:
    """Make batches of built-in text and dev rows, of mixed lengths and so with padding.

    If the two texts of a pair are encoded separately, every batch has an even number of sequences,
    so that the heads of pairs can read it too.

    Returns:
        `input_ids`, `attention_mask` and `token_type_ids` of each batch, (S, T).
    """
    sequences = 1 if config.pair_encoding else 2
    reads_pairs = not config.pair_encoding or config.encoder.tells_pairs_apart
    built_in = [item for item in make_texts(config.max_length) if len(item) == 1 or reads_pairs]
    examples = tokenizer.encode_examples(built_in, config.pair_encoding)
    for dataset in dev.values():
        order = np.argsort(dataset.lengths, kind="stable")
        sampled = np.linspace(0, len(order) - 1, min(SAMPLED_ROWS, len(order))).astype(int)
        examples += [dataset.encodings[index] for index in order[sampled]]
    encodings = list(chain.from_iterable(examples))
    shuffled = [encodings[i] for i in np.random.default_rng(0).permutation(len(encodings))]
    batches = _batches(shuffled, sequences)
    return [pad(batch, config.encoder.pad_token_id) for batch in batches]


def _batches(encodings: Sequence[Encoding], sequences: int) -> Iterator[Sequence[Encoding]]:
    start, end = 0, len(encodings) - len(encodings) % sequences
    for size in cycle(BATCH_SIZES):
        if start >= end:
            return
        yield encodings[start : min(start + size * sequences, end)]
        start += size * sequences


def compare(model: MultitaskModel, session: Session, batches: Sequence[Inputs]) -> dict[str, float]:
    """Compare the logits of all heads with torch in float32.

    Returns:
        The largest absolute difference per task; of scores as if they were from 0 to 5.

    Raises:
        VerificationError: if a logit is not finite.
    """
    parity = dict.fromkeys(model.heads, 0.0)
    for inputs in batches:
        with torch.inference_mode():
            pooled_SD = model.pool(*map(torch.from_numpy, inputs))
            expected = {task: model.logits(task, pooled_SD).numpy() for task in model.heads}
        for task, expected_BC in expected.items():
            spec = model.config.task(task)
            difference = np.abs(_logits(session, spec, inputs) - expected_BC).max()
            parity[task] = max(parity[task], float(difference / spec.score_unit[1]))
    return parity


def check_parity(parity: Mapping[str, float], precision: Precision) -> None:
    """Check a float32 graph against the tolerance. `check_dev` checks the other precisions.

    Raises:
        VerificationError: if the largest difference of a task exceeds it; lists all tasks.
    """
    if precision != "fp32" or all(value <= TOLERANCE for value in parity.values()):
        return
    raise VerificationError(
        f"the graph's logits differ from torch's; at most {TOLERANCE:g} is allowed:",
        hint="nothing was written; please report this with the model's config.json",
        details=[
            f"{task}: {value:.2e}{_mark(value > TOLERANCE)}" for task, value in parity.items()
        ],
    )


def graph_logits(session: Session, dataset: TaskDataset) -> npt.NDArray[np.float32]:
    """The graph's logits of every example in order, (N, C).

    Raises:
        VerificationError: if one is not finite.
    """
    task = dataset.task
    logits_NC = np.empty((len(dataset), task.num_outputs), dtype=np.float32)
    for indices, batch in dataset.by_length():
        inputs = [tensor.numpy() for tensor in batch.inputs]
        logits_NC[indices] = _logits(session, task, (inputs[0], inputs[1], inputs[2]))
    return logits_NC


def score_dev(
    model: MultitaskModel, session: Session, dataset: TaskDataset, precision: Precision
) -> DevFigure:
    """Measure a task's dev metric with the graph and, unless the graph is float32, with torch.

    Raises:
        VerificationError: if a logit of the graph is not finite.
    """
    task = dataset.task
    graph = score(task, graph_logits(session, dataset), dataset.targets)
    reference = None
    if precision != "fp32":
        exact = torch.autocast("cpu", enabled=False)
        expected_NC = predict_logits(model, dataset, exact)
        reference = score(task, expected_NC, dataset.targets).value
    return DevFigure(graph.metric, graph.rows, graph.value, reference)


def check_dev(figures: Mapping[str, DevFigure], precision: Precision, max_drop: float) -> None:
    """Check a graph's dev metrics against those of the model it was exported from.

    Raises:
        VerificationError: if a metric drops by more than `max_drop`; lists all tasks.
    """
    # The last bits of a score are rounding noise: a drop of 0.005 passes a limit of 0.005.
    limit = max_drop + 1e-9
    if all(figure.drop <= limit for figure in figures.values()):
        return
    raise VerificationError(
        f"the {precision} graph falls behind the trained model; at most {max_drop:g} is allowed:",
        hint="nothing was written; use `precision=fp32`, or allow more with `max_drop`",
        details=[
            f"{task}: {figure.metric} {figure.torch:.4f} -> {figure.graph:.4f},"
            f" drop {figure.drop:.4f} on {figure.rows} rows{_mark(figure.drop > limit)}"
            for task, figure in figures.items()
        ],
    )


def _mark(failed: bool) -> str:
    return "  <- too much" if failed else ""


def _logits(session: Session, task: TaskSpec, inputs: Inputs) -> npt.NDArray[np.float32]:
    logits_BC = session.run(task.output, *inputs)
    if not np.isfinite(logits_BC).all():
        raise VerificationError(
            f"the graph's logits for {task.name} are not finite, for a batch of shape"
            f" {inputs[0].shape}",
            hint="nothing was written; use `precision=fp32`",
        )
    return logits_BC
