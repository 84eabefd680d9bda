"""Predictions as a table for a terminal."""

from collections.abc import Sequence
from itertools import zip_longest

from swisscli import console
from swisscli.core.records import Prediction, Predictions, failure_of
from swisscli.core.tasks import TaskSpec
from swisscli.inference.readers import RecordStream
from swisscli.inference.writers.cells import column_names, result_names, row_of

_SCORE_WIDTH = len("0.1234")
_SKIPPED = {"empty": "blank", "out_of_domain": "not English", "no_match": "no match"}


class TableWriter:
    """A table for a terminal, printed piece by piece with fixed column widths.

    Args:
        tasks: The tasks.
        with_texts: Whether to repeat the texts.
        colored: Whether to colour labels and errors.
        max_lines: Maximum number of lines of a text; None shows all of it.
    """

    def __init__(
        self,
        tasks: Sequence[TaskSpec],
        *,
        with_texts: bool,
        colored: bool,
        max_lines: int | None,
    ) -> None:
        self._tasks = tasks
        self._with_texts = with_texts
        names = column_names(tasks, with_texts=with_texts)
        widths = [
            max(map(len, task.labels)) if name == "label" else _SCORE_WIDTH
            for task in tasks
            for name in result_names(task)
        ]
        fixed = [max(width, len(name)) for width, name in zip(widths, names, strict=False)]
        columns = tuple(zip_longest(names, fixed))
        self._layout = console.TableLayout(columns, colored, max_lines)
        self._has_begun = False

    def begin(self, records: RecordStream) -> bytes:
        """Return the column names and a rule, once."""
        header = "" if self._has_begun else self._layout.header()
        self._has_begun = True
        return header.encode()

    def rows(self, records: Sequence[Predictions]) -> bytes:
        """Return the predictions of records; a long text is wrapped."""
        return self._layout.rows([self._cells(item) for item in records]).encode("utf-8", "replace")

    def end(self) -> bytes:
        """Return nothing: the table has no end."""
        return b""

    def _cells(self, predictions: Predictions) -> list[tuple[str, str]]:
        cells = row_of(predictions, self._tasks, with_texts=self._with_texts)
        error = failure_of(predictions)
        if error and self._with_texts:
            cells[-1] = f"{error.code}: {error.message}"
        styles = [""] * len(cells)
        column = 0
        for prediction, task in zip(predictions, self._tasks, strict=True):
            styles[column] = _choose_style(prediction, task)
            if prediction.error:
                cells[column] = "error"
            elif prediction.skipped:
                cells[column] = _SKIPPED.get(prediction.skipped, prediction.skipped)
            column += len(result_names(task))
        return list(zip(cells, styles, strict=True))


def _choose_style(prediction: Prediction, task: TaskSpec) -> str:
    if prediction.error:
        return "bold red"
    if prediction.skipped:
        return "dim"
    if prediction.class_index is None:
        return ""
    side = 2 * prediction.class_index - (len(task.labels) - 1)
    return "red" if side < 0 else "green" if side > 0 else ""
