"""Measures dev metrics during training."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch

from swiss_training.distributed import ranks
from swiss_training.multitask.data import TaskDataset
from swiss_training.multitask.metrics import Evaluation, score
from swiss_training.multitask.model import MultitaskModel
from swiss_training.observer import NOBODY, Observer


def predict_logits(
    model: MultitaskModel,
    dataset: TaskDataset,
    autocast: torch.amp.autocast_mode.autocast,
    observer: Observer = NOBODY,
) -> npt.NDArray[np.float32]:
    """Compute the logits of all examples in order, (N, C), without dropout.

    Each of several ranks computes some of the batches; the batches are those of one rank, so the
    logits are the same.
    """
    device = next(model.parameters()).device
    model.eval()
    logits_NC = np.zeros((len(dataset), dataset.task.num_outputs), dtype=np.float32)
    what, done = f"evaluating {dataset.task.name}", 0
    observer.on_activity(what, done, len(dataset), "rows")
    with torch.inference_mode(), autocast:
        for indices, batch in dataset.by_length(ranks.rank(), ranks.size()):
            logits_BC = model(dataset.task.name, *batch.to(device).inputs)
            logits_NC[indices] = logits_BC.float().cpu().numpy()
            done += len(indices) * ranks.size()
            observer.on_activity(what, min(done, len(dataset)), len(dataset), "rows")
    ranks.add_up(torch.from_numpy(logits_NC))  # a row's logits, and zeros from the other ranks
    return logits_NC


def evaluate(
    model: MultitaskModel,
    datasets: Mapping[str, TaskDataset],
    autocast: torch.amp.autocast_mode.autocast,
    observer: Observer = NOBODY,
) -> Evaluation:
    """Evaluate every task."""
    scores = {}
    for name, dataset in datasets.items():
        logits_NC = predict_logits(model, dataset, autocast, observer)
        scores[name] = score(dataset.task, logits_NC, dataset.targets)
    return Evaluation(scores)
