"""Predictions as TSV, CSV and JSON lines, and where they are written to."""

import contextlib
import csv
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from swisscli import console
from swisscli.contract.records import Prediction
from swisscli.contract.tasks import TaskSpec
from swisscli.errors import ConfigurationError

_WHITESPACE = str.maketrans({"\t": r"\t", "\n": r"\n", "\r": r"\r"})


class OutputFormat(StrEnum):
    """How predictions are written."""

    TABLE = "table"
    TSV = "tsv"
    CSV = "csv"
    JSONL = "jsonl"


class Writer(Protocol):
    """Turns predictions into text."""

    def header(self) -> str:
        """What comes before the first prediction."""
        ...

    def rows(self, predictions: Sequence[Prediction]) -> str:
        """The predictions, each ending with a newline."""
        ...


def column_names(task: TaskSpec, *, with_texts: bool) -> list[str]:
    """The columns of a row, as `row_of` fills them."""
    results = ["label", "score"] if task.labels else ["score"]
    texts = ["text"] if task.arity == 1 else ["text_a", "text_b"]
    return results + (texts if with_texts else [])


def row_of(prediction: Prediction, task: TaskSpec, *, with_texts: bool) -> list[str]:
    """One prediction as cells.

    A failed record has `error:CODE` in the first and nothing in the other result columns, a
    skipped one nothing in either.
    """
    score = "" if prediction.score is None else f"{prediction.score:.4f}"
    results = [prediction.label or "", score] if task.labels else [score]
    if prediction.error:
        results = [f"error:{prediction.error.code}"] + [""] * (len(results) - 1)
    texts: list[str] = []
    if with_texts:
        known = prediction.record.texts[: task.arity]
        texts = [*known, *[""] * (task.arity - len(known))]
    return results + [text.translate(_WHITESPACE) for text in texts]


class TsvWriter:
    """Tab-separated rows without header or quoting, for `cut`, `sort` and `grep`.

    Args:
        task: The task.
        with_texts: Whether to repeat the texts.
        clean: Applied to every cell.
    """

    def __init__(self, task: TaskSpec, *, with_texts: bool, clean: Callable[[str], str]) -> None:
        self._task = task
        self._with_texts = with_texts
        self._clean = clean

    def header(self) -> str:
        """Nothing."""
        return ""

    def rows(self, predictions: Sequence[Prediction]) -> str:
        """One line per prediction."""
        return "".join("\t".join(self._cells(item)) + "\n" for item in predictions)

    def _cells(self, prediction: Prediction) -> list[str]:
        cells = row_of(prediction, self._task, with_texts=self._with_texts)
        return [self._clean(cell) for cell in cells]


class CsvWriter(TsvWriter):
    """Comma-separated rows with a header and csv quoting, one line each."""

    def header(self) -> str:
        """The column names."""
        return self._format([column_names(self._task, with_texts=self._with_texts)])

    def rows(self, predictions: Sequence[Prediction]) -> str:
        """One line per prediction."""
        return self._format([self._cells(item) for item in predictions])

    @staticmethod
    def _format(rows: Sequence[Sequence[str]]) -> str:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(rows)
        return text.getvalue()


class JsonlWriter:
    """One JSON object per line.

    Args:
        task: The task.
        with_texts: Whether to repeat the texts.
        clean: Applied to every line.
        file: The input's name, to tell several inputs apart.
    """

    def __init__(
        self,
        task: TaskSpec,
        *,
        with_texts: bool,
        clean: Callable[[str], str],
        file: str | None = None,
    ) -> None:
        self._task = task
        self._with_texts = with_texts
        self._clean = clean
        self._file = file

    def header(self) -> str:
        """Nothing."""
        return ""

    def rows(self, predictions: Sequence[Prediction]) -> str:
        """One line per prediction."""
        return "".join(
            self._clean(json.dumps(self._values(item), ensure_ascii=False, allow_nan=False)) + "\n"
            for item in predictions
        )

    def _values(self, prediction: Prediction) -> dict[str, Any]:
        record = prediction.record
        values: dict[str, Any] = {"line": record.line}
        if self._file is not None:
            values["file"] = self._file
        if record.error:
            values["error"] = {"code": record.error.code, "message": record.error.message}
            return values
        if record.id is not None:
            values["id"] = record.id
        values["task"] = prediction.task
        probabilities = prediction.probabilities
        if self._task.labels:
            values["label"] = prediction.label
            values["class"] = prediction.class_index
            values["probabilities"] = probabilities and [round(p, 6) for p in probabilities]
        elif prediction.skipped:
            values["label"] = None
        values["score"] = None if prediction.score is None else round(prediction.score, 6)
        values["num_tokens"] = prediction.num_tokens
        values["truncated"] = prediction.truncated
        if prediction.skipped:
            values["skipped"] = prediction.skipped
        if self._with_texts:
            names = ("text",) if self._task.arity == 1 else ("text_a", "text_b")
            values.update(zip(names, record.texts, strict=True))
        return values


class TableWriter:
    """A table for a terminal, printed piece by piece with fixed column widths.

    Args:
        task: The task.
        with_texts: Whether to repeat the texts.
        colored: Whether to colour labels and errors.
    """

    def __init__(self, task: TaskSpec, *, with_texts: bool, colored: bool) -> None:
        self._task = task
        self._with_texts = with_texts
        widths = {"label": max(map(len, task.labels), default=0), "score": 6}
        names = column_names(task, with_texts=with_texts)
        columns = tuple((name, widths.get(name)) for name in names)
        self._layout = console.TableLayout(columns, colored)

    def header(self) -> str:
        """The column names and a rule."""
        return self._layout.header()

    def rows(self, predictions: Sequence[Prediction]) -> str:
        """The predictions; a long text is wrapped."""
        return self._layout.rows([self._cells(item) for item in predictions])

    def _cells(self, prediction: Prediction) -> list[tuple[str, str]]:
        cells = row_of(prediction, self._task, with_texts=self._with_texts)
        if prediction.error:
            cells[0] = "error"
            if self._with_texts:
                cells[-1] = f"{prediction.error.code}: {prediction.error.message}"
        return [(cells[0], self._style(prediction)), *((cell, "") for cell in cells[1:])]

    def _style(self, prediction: Prediction) -> str:
        if prediction.error:
            return "bold red"
        if prediction.class_index is None:
            return ""
        side = 2 * prediction.class_index - (len(self._task.labels) - 1)
        return "red" if side < 0 else "green" if side > 0 else ""


def check_output(path: Path | None, *, force: bool, inputs: Sequence[str]) -> None:
    """Refuse an output that would destroy something, before any work is done.

    Args:
        path: The file to write; None is standard output.
        force: Whether an existing file may be replaced.
        inputs: The input paths, `-` for standard input.

    Raises:
        ConfigurationError: if it exists, is an input, or its folder does not exist.
    """
    for name in inputs:
        if name != "-" and _is_same_file(path, Path(name)):
            raise ConfigurationError(
                f"{name}: is the input and the output", hint="write to another file"
            )
    if path is None:
        return
    if path.exists() and not path.is_file():
        raise ConfigurationError(f"{path}: is not a regular file", hint="name a file to write")
    if path.exists() and not force:
        raise ConfigurationError(f"{path}: exists already", hint="add --force to replace it")
    if not path.parent.is_dir():
        raise ConfigurationError(f"{path.parent}: no such directory", hint="make it first")


def _is_same_file(output: Path | None, name: Path) -> bool:
    try:
        if output is not None:
            return output.samefile(name)
        return name.is_file() and os.path.samestat(name.stat(), os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError, AttributeError):  # the output is not there, or no real file
        return False


@contextlib.contextmanager
def open_output(path: Path | None) -> Iterator[Callable[[str], None]]:
    """Open where predictions go; yields the function that writes text as UTF-8.

    A file is written beside its target and renamed when the block ends well; otherwise nothing
    is left of it.

    Args:
        path: The file to write; None is standard output.

    Raises:
        ConfigurationError: if it cannot be written.
    """
    if path is None:
        if sys.stdout is None:
            raise ConfigurationError("standard output is closed", hint="add --output FILE")
        yield _writing_to(sys.stdout.buffer)
        return
    with open_beside(path) as stream:
        yield _writing_to(stream)


@contextlib.contextmanager
def open_beside(path: Path) -> Iterator[BinaryIO]:
    """Open a file to write beside its target; it is renamed when the block ends well.

    Raises:
        ConfigurationError: if it cannot be written.
    """
    target = path.resolve()  # behind a link, the file and not the link is replaced
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        stream = partial.open("xb")
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be written: {error.strerror}") from None
    try:
        with stream:
            yield stream
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _writing_to(stream: BinaryIO) -> Callable[[str], None]:
    def write(text: str) -> None:
        # Lone surrogates, which JSON can spell, have no UTF-8.
        stream.write(text.encode("utf-8", "replace"))
        stream.flush()

    return write
