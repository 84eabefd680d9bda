"""The prediction files of the CS224N default project's leaderboard.

The bytes equal those of the course's starter code: a header with a TAB between spaces, rows with a
comma between spaces, a space before each line end, ids in lower case, and a misspelled column.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from swiss_evaluation.data import PredictedRows
from swisscli.core.tasks import Split, TaskSpec
from swisscli.inference.decoding import Decoded


class _Layout(NamedTuple):
    """How the course writes a task: suffix of the file name, column and value."""

    suffix: str
    column: str
    value: Callable[[Decoded], str]


def _class(decoded: Decoded) -> str:
    return str(decoded.class_index)


def _name(decoded: Decoded) -> str:
    return str(decoded.label)


def _rounded_sigmoid(decoded: Decoded) -> str:
    return f"{decoded.class_index:.1f}"


def _score(decoded: Decoded) -> str:
    return str(np.float32(decoded.score))


_COURSE = {
    "sentiment": _Layout("output", "Predicted_Sentiment", _class),
    "paraphrase": _Layout("output", "Predicted_Is_Paraphrase", _rounded_sigmoid),
    "similarity": _Layout("output", "Predicted_Similiary", _score),
    "cfimdb": _Layout("out", "Predicted_Sentiment", _class),
}


def _layout(task: TaskSpec) -> _Layout:
    """Return the course's layout; a task that the course lacks has one in the same style."""
    value = _name if task.own and task.labels else _class if task.labels else _score
    return _COURSE.get(task.name) or _Layout("output", f"Predicted_{task.name.title()}", value)


def file_name(task: TaskSpec, split: Split) -> str:
    """Return a file's name, such as `sst-dev-output.csv`."""
    return f"{next(iter(task.aliases), task.name)}-{split}-{_layout(task).suffix}.csv"


def file_names(tasks: Iterable[TaskSpec], splits: Sequence[Split]) -> list[str]:
    """Return the names of all files of some tasks."""
    return [file_name(task, split) for task in tasks for split in splits]


def content(predicted: PredictedRows) -> str:
    """Return a file's content, with a line for each row that has an id."""
    layout = _layout(predicted.task)
    lines = [f"id \t {layout.column} \n"]
    for row, decoded in zip(predicted.rows.rows, predicted.decode(), strict=True):
        if row.id:
            lines.append(f"{row.id.lower()} , {layout.value(decoded)} \n")
    return "".join(lines)
