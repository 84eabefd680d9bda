"""Predictions as a table for a terminal."""

from collections.abc import Sequence
from itertools import zip_longest

from swisscli import console
from swisscli.core.records import Prediction, Predictions, failure_of
from swisscli.core.tasks import TaskSpec
from swisscli.inference.writers import column_names, result_names, row_of

_SCORE_WIDTH = len("0.1234")


class TableWriter:
    """A table for a terminal, printed piece by piece with fixed column widths.

    Args:
        tasks: The tasks.
        with_texts: Whether to repeat the texts.
        colored: Whether to colour labels and errors.
    """

    def __init__(self, tasks: Sequence[TaskSpec], *, with_texts: bool, colored: bool) -> None:
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
        self._layout = console.TableLayout(columns, colored)

    def header(self) -> str:
        """The column names and a rule."""
        return self._layout.header()

    def rows(self, records: Sequence[Predictions]) -> str:
        """The predictions of records; a long text is wrapped."""
        return self._layout.rows([self._cells(item) for item in records])

    def _cells(self, predictions: Predictions) -> list[tuple[str, str]]:
        cells = row_of(predictions, self._tasks, with_texts=self._with_texts)
        error = failure_of(predictions)
        if error and self._with_texts:
            cells[-1] = f"{error.code}: {error.message}"
        styles = [""] * len(cells)
        column = 0
        for prediction, task in zip(predictions, self._tasks, strict=True):
            styles[column] = _style(prediction, task)
            if prediction.error:
                cells[column] = "error"
            column += len(result_names(task))
        return list(zip(cells, styles, strict=True))


def _style(prediction: Prediction, task: TaskSpec) -> str:
    if prediction.error:
        return "bold red"
    if prediction.class_index is None:
        return ""
    side = 2 * prediction.class_index - (len(task.labels) - 1)
    return "red" if side < 0 else "green" if side > 0 else ""
