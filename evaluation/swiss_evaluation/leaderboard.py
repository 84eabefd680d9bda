"""Writes the prediction files of the CS224N default project's leaderboard.

The bytes equal those of the course's starter code: a header with a TAB between spaces, rows with a
comma between spaces, a space before each line end, ids in lower case, and a misspelled column.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from swiss_evaluation.data import PredictedRows
from swisscli.core.errors import ConfigurationError
from swisscli.core.io import atomic
from swisscli.core.io.sink import write_error
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


def check_folder(folder: Path, tasks: Iterable[TaskSpec], *, force: bool) -> None:
    """Check that the prediction files can be written and replace nothing unasked.

    Args:
        folder: Folder of the files. It may be missing.
        tasks: Tasks of the files.
        force: Whether to replace existing files.

    Raises:
        ConfigurationError: if the folder is not a folder or not writable, or a file exists and
            `force` is not set.
    """
    atomic.check_folder(folder)
    splits: tuple[Split, ...] = ("dev", "test")
    names = [file_name(task, split) for task in tasks for split in splits]
    present = [name for name in names if (folder / name).exists()]
    if present and not force:
        raise ConfigurationError(
            f"{folder}: already holds {', '.join(present)}",
            hint="name another folder with `output=DIR`, or add `force=True`",
        )


def content(predicted: PredictedRows) -> str:
    """Return a file's content, with a line for each row that has an id."""
    layout = _layout(predicted.task)
    lines = [f"id \t {layout.column} \n"]
    for row, decoded in zip(predicted.rows.rows, predicted.decode(), strict=True):
        if row.id:
            lines.append(f"{row.id.lower()} , {layout.value(decoded)} \n")
    return "".join(lines)


def write(folder: Path, contents: Mapping[str, str]) -> None:
    """Write files by name, all or none.

    Raises:
        OutputError: if one cannot be written.
    """
    if not contents:
        return
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(str(folder), error) from None
    try:
        atomic.write_together(
            {folder / name: text.encode("utf-8") for name, text in contents.items()}
        )
    except BaseException:
        if is_new:
            folder.rmdir()
        raise
