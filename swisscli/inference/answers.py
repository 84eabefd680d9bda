"""Turns a chunk of records and its logits into predictions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from swisscli.core.records import Prediction, Predictions, Record, RecordError
from swisscli.core.tasks import TaskSpec
from swisscli.inference.decision import Decision
from swisscli.inference.decoding import Decoded, decode
from swisscli.inference.long_text import Parts

_NOT_FINITE = RecordError("not_finite", "the model's output for this record is not a number")


@dataclass(frozen=True, slots=True)
class PreparedChunk:
    """A chunk, tokenized for tasks that read its texts in the same order.

    Attributes:
        tasks: The tasks.
        chunk: Records of the chunk.
        rows: For each record, the index of its texts in `texts`, or the reason why it is skipped;
            None for a record that failed.
        texts: Distinct texts.
        out_of_domain: Whether each of the texts is one that the model cannot judge.
        examples: What the encoder reads of each of the texts.
    """

    tasks: Sequence[TaskSpec]
    chunk: Sequence[Record]
    rows: list[int | str | None]
    texts: list[tuple[str, ...]]
    out_of_domain: list[bool]
    examples: list[Parts]


def merge_by_task(
    tasks: Sequence[TaskSpec], parts: Sequence[list[Predictions]]
) -> list[Predictions]:
    """Merge each record's predictions from several parts, in the order of the tasks."""
    joined: list[Predictions] = []
    for answer_record in zip(*parts, strict=True):
        by_task = {item.task: item for predictions in answer_record for item in predictions}
        joined.append(tuple(by_task[task.name] for task in tasks))
    return joined


def answer(
    prepared: PreparedChunk, logits_UK: npt.NDArray[np.float32], decision: Decision
) -> list[Predictions]:
    """Turn the logits of a chunk's distinct texts into predictions for its records."""
    tasks = prepared.tasks
    columns: list[list[Decoded | None]] = []
    start = 0
    for task in tasks:
        logits_UC = logits_UK[:, start : start + task.num_outputs].astype(np.float64)
        start += task.num_outputs
        is_finite_U = np.isfinite(logits_UC).min(axis=1).tolist()
        rows = zip(decode(task, logits_UC, decision), is_finite_U, strict=True)
        columns.append([decoded if is_finite else None for decoded, is_finite in rows])
    sizes = [
        (
            sum(len(encoding) for sequences in parts for encoding in sequences),
            any(encoding.truncated for sequences in parts for encoding in sequences),
        )
        for parts in prepared.examples
    ]

    def answer_record(record: Record, row: int | str | None) -> Predictions:
        if not isinstance(row, int):
            outside = row == "out_of_domain"
            return tuple(
                Prediction(record, task.name, skipped=row, out_of_domain=outside) for task in tasks
            )
        return tuple(
            _make_prediction(record, task, column[row], *sizes[row], prepared.out_of_domain[row])
            for task, column in zip(tasks, columns, strict=True)
        )

    return list(map(answer_record, prepared.chunk, prepared.rows))


def _make_prediction(
    record: Record,
    task: TaskSpec,
    decoded: Decoded | None,
    num_tokens: int,
    truncated: bool,
    out_of_domain: bool,
) -> Prediction:
    """Return a record's prediction; without a decoded row, its logits are not finite."""
    if decoded is None:
        failed = replace(record, error=_NOT_FINITE)
        return Prediction(failed, task.name, num_tokens=num_tokens, truncated=truncated)
    return Prediction(
        record,
        task.name,
        decoded.label,
        decoded.class_index,
        decoded.probabilities,
        decoded.score,
        num_tokens,
        truncated,
        out_of_domain=out_of_domain,
    )
