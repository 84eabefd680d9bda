"""Texts beyond the longest input: splits them into parts, and merges the parts' answers."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt

from swisscli.core.tasks import TaskSpec
from swisscli.core.tokenization import Encoding
from swisscli.inference.decoding import probabilities

_SMALLEST = 1e-30

Sequences = tuple[Encoding, ...]
"""What the encoder reads at once for one example: a sequence, or one for each text."""
Parts = tuple[Sequences, ...]
"""What it reads one after the other: one, or several of a text that is read in chunks."""


def flatten(examples: Sequence[Parts]) -> list[Sequences]:
    """Return the parts of all examples, in order."""
    return list(chain.from_iterable(examples))


def merge(
    tasks: Sequence[TaskSpec], examples: Sequence[Parts], logits_PK: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Merge the logits of each example's parts.

    Probabilities are averaged, not logits: one part that is very sure must not outvote the others.
    The measurement is in training/README.md.

    Args:
        tasks: The tasks, in the order of their logits.
        examples: The parts of each example.
        logits_PK: The logits of all parts, (P, K).

    Returns:
        (N, K), such that softmax and sigmoid give the averages.
    """
    if len(logits_PK) == len(examples):
        return logits_PK
    counts = [len(parts) for parts in examples]
    starts = np.cumsum([0, *counts[:-1]])
    logits_NK = logits_PK[starts]
    for index, (start, count) in enumerate(zip(starts, counts, strict=True)):
        if count > 1:
            logits_NK[index] = _average(tasks, logits_PK[start : start + count])
    return logits_NK


def _average(
    tasks: Sequence[TaskSpec], logits_PK: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64]:
    averages = []
    start = 0
    for task in tasks:
        logits_PC = logits_PK[:, start : start + task.num_outputs].astype(np.float64)
        start += task.num_outputs
        if task.score_range is not None:
            averages.append(logits_PC.mean(axis=0))
            continue
        log_C = np.log(np.maximum(probabilities(task, logits_PC).mean(axis=0), _SMALLEST))
        averages.append(log_C if task.kind == "multiclass" else log_C[1:] - log_C[:1])
    return np.concatenate(averages)
