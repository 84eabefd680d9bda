"""Reads the rows of data files, one by one. Needs no torch."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from swiss_training.multitask.held_out import choose_held_out
from swiss_training.multitask.labels import DataFile, Target
from swiss_training.observer import NOBODY, Observer
from swisscli.core.columns import InputColumns, fold_name
from swisscli.core.errors import DataError
from swisscli.core.io.formats import ColumnChoice, InputFormat, format_of
from swisscli.core.io.tables import TableRow, read_table
from swisscli.core.io.text import is_blank
from swisscli.core.tasks import TaskSpec


class DataRow(NamedTuple):
    """A row of a data file.

    Attributes:
        where: `file:line`.
        id: What its column `id` holds; empty without one.
        texts: One or two sentences; any of them may be empty.
        target: Class or score, or the classes that the label allows; None where the label or a
            text is empty, and in unlabelled files.
    """

    where: str
    id: str
    texts: tuple[str, ...]
    target: Target | None


def read_rows(task: TaskSpec, file: DataFile, *, labelled: bool = True) -> Iterator[DataRow]:
    """Read every row of a file.

    Args:
        task: The task.
        file: The file, and what its labels mean.
        labelled: Whether it must have a column with labels; without, none is looked for.

    Raises:
        DataError: as `read_files` does.
    """
    rescaled = {fold_name(name): (low, high) for name, low, high in task.columns.rescaled}
    for row in table_rows(task, file, labelled=labelled):
        yield _make_row(task, file, row, rescaled.get(fold_name(row.label_name)))


def table_rows(task: TaskSpec, file: DataFile, *, labelled: bool = True) -> Iterator[TableRow]:
    """Read every row of a file that is not blank, its label as it stands there.

    Args:
        task: The task, whose columns are read.
        file: The file.
        labelled: Whether it must have a column with labels; without, none is looked for.

    Raises:
        DataError: if the file cannot be read, lacks a column, or a row cannot be relied on.
        ConfigurationError: if it lacks a column that was chosen.
    """
    by_number = file.column.isdecimal()
    known = (*task.columns.target, *(name for name, *_ in task.columns.rescaled))
    columns = InputColumns(
        task.name,
        task.columns.texts,
        () if not labelled else (file.column,) if file.column and not by_number else known,
        remedy="name the columns so in the first row, or choose them, for numbers from 1 too:"
        " `text_columns=NAME`, `label_column=NAME`",
    )
    choice = ColumnChoice(
        chosen=file.texts,
        delimiter=file.delimiter or None,
        label=file.column if labelled and by_number else "",
    )
    layout = format_of(str(file))
    if layout in (None, InputFormat.TXT):  # lines of text have no labels: these have columns
        layout = InputFormat.CSV
    try:
        with file.path.open("rb") as stream:
            for row in read_table(stream, str(file), layout, columns, choice):
                if row.error:
                    raise _row_error(file, row)
                if row.fields:
                    yield row
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from None


def _row_error(file: DataFile, row: TableRow) -> DataError:
    assert row.error is not None
    cells = zip(row.names, row.fields, strict=False)
    place = next((f"column {name!r}: " for name, text in cells if "\ufffd" in str(text)), "")
    hint = None
    if row.error.code == "invalid_utf8":
        hint = f"convert it, for example with: iconv -f WINDOWS-1252 -t UTF-8 {file} > utf8.csv"
    return DataError(f"{file}:{row.line}: {place}{row.error.message}", hint=hint)


def read_split(
    task: TaskSpec,
    files: Sequence[DataFile],
    *,
    labelled: bool = True,
    observer: Observer = NOBODY,
) -> list[list[DataRow]]:
    """Read every row of a split, file by file.

    Args:
        task: The task.
        files: Its files. Where they are to be read in part, the rows that are held out are chosen
            of all of them together, so that duplicates stay on one side.
        labelled: As in `read_rows`.
        observer: Receives the number of rows read so far.

    Returns:
        The rows of each file; those without a label or a text count as training rows, so that they
        are reported once.

    Raises:
        DataError: as `read_rows` does, or if there are too few rows to hold any out.
    """
    rows = [
        list(observer.count(read_rows(task, file, labelled=labelled), f"reading {file}", "rows"))
        for file in files
    ]
    part = files[0].part if files else None
    if part is None:
        return rows
    usable = [row for of_file in rows for row in of_file if row.target is not None]
    classes = [None if task.score_range else row.target for row in usable]
    keys = choose_held_out([row.texts for row in usable], classes, part.seed)
    if not keys:
        raise DataError(
            f"{', '.join(map(str, files))}: too few rows to hold some out for evaluation",
            hint=f"name a file for it with `dev_files={task.name}=FILE`",
        )
    wanted = part.split == "dev"
    return [
        [row for row in of_file if (row.target is not None and row.texts in keys) == wanted]
        for of_file in rows
    ]


def _make_row(
    task: TaskSpec, file: DataFile, row: TableRow, bounds: tuple[float, float] | None
) -> DataRow:
    where = f"{file}:{row.line}"
    texts = tuple(text.strip() for text in row.texts)
    label, target = row.label.strip(), None
    if label and not any(map(is_blank, texts)):
        try:
            target = file.target(task, label, bounds)
        except ValueError as error:
            message = f"{where}: column {row.label_name!r} is {label!r}, {error}"
            raise DataError(message) from None
    return DataRow(where, "" if row.id is None else str(row.id).strip(), texts, target)
