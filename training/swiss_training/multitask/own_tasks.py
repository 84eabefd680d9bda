"""Derives a custom task from its training files. Needs no torch."""

import math
from collections import Counter

from swiss_training.multitask.config import TrainConfig
from swiss_training.multitask.labels import DataFile, draft_task
from swiss_training.multitask.rows import table_rows
from swiss_training.observer import NOBODY, Observer
from swisscli.core.errors import ConfigurationError, DataError
from swisscli.core.io.text import is_blank
from swisscli.core.tasks import MAX_LABELS, TaskSpec, label_problem, own_task

_MAX_SHOWN = 40


def find_task(config: TrainConfig, name: str, observer: Observer = NOBODY) -> TaskSpec:
    """Derive a custom task from the columns and labels of its training files.

    It has two texts where two columns are chosen or a header has the names of a pair. Labels that
    are numbers with a fraction are scores, and so are whole numbers if the configuration says
    `regression` or a file has a `range`. All others are names of classes, in order.

    Args:
        config: The run's configuration.
        name: The task.
        observer: Receives the file that is read.

    Raises:
        DataError: naming file and line of what cannot be a label, or if there are fewer classes
            than two or more than can be, or all scores are the same.
        ConfigurationError: if a file lacks a column that was chosen.
    """
    texts = config.named_files("train", name)
    _check_regular(config.parse_file(texts[0], draft_task(name, texts[0])))
    arity = _find_arity(config, name, texts[0])
    places: dict[str, str] = {}
    counts: Counter[str] = Counter()
    bounds: list[float] = []
    for text in texts:
        draft = draft_task(name, text, arity)
        file = config.parse_file(text, draft)
        _check_regular(file)
        bounds += file.bounds or ()
        observer.on_activity(f"reading the labels of {file}")
        for label, place in _read_labels(draft, file):
            places.setdefault(label, place)
            counts[label] += 1
    where = ", ".join(text.partition("?")[0] for text in texts)
    if not counts:
        raise DataError(
            f"{where}: no labelled example of {name}",
            hint="every example is a row with a text and a label",
        )
    numbers = {label: value for label in counts if (value := _number(label)) is not None}
    _refuse_not_finite(name, places, numbers)
    if bounds or config.regression or _are_scores(counts, numbers):
        for label, place in places.items():
            if label not in numbers:
                raise DataError(f"{place}: the label {_quote(label)} of {name} is not a number")
        bounds += numbers.values()
        if not min(bounds) < max(bounds):
            raise DataError(f"{where}: every score of {name} is {min(bounds):g}")
        return own_task(name, arity, score_range=(min(bounds), max(bounds)))
    return own_task(name, arity, _order_classes(name, where, counts, places, numbers))


def _check_regular(file: DataFile) -> None:
    if file.path.exists() and not file.path.is_file():
        raise DataError(
            f"{file}: is not a regular file, but the file of a task of your own is read several"
            " times",
            hint="save the rows as a file first",
        )


def _find_arity(config: TrainConfig, name: str, text: str) -> int:
    """Return the number of texts per row, by the chosen columns or the header of the first file."""
    file = config.parse_file(text, draft_task(name, text))
    if len(file.texts) > 2:
        raise ConfigurationError(
            f"{', '.join(file.texts)}: a row has one text or two, not {len(file.texts)}",
            hint="choose them with `text_columns=A,B`",
        )
    if file.texts:
        return len(file.texts)
    try:
        next(table_rows(draft_task(name, text, 2), file), None)
    except (DataError, ConfigurationError):
        return 1  # other mistakes are reported when the rows are read
    return 2


def _read_labels(draft: TaskSpec, file: DataFile) -> list[tuple[str, str]]:
    """Return the labels of a file's examples, mapped by its options, each with its place.

    Raises:
        DataError: naming file and line of a label that can be no class's name.
    """
    found: list[tuple[str, str]] = []
    first_of_headless = None
    for row in table_rows(draft, file):
        label, place = row.label.strip(), f"{file}:{row.line}"
        if not label or any(map(is_blank, row.texts)):
            continue
        if file.labels:
            try:
                target = file.target(draft, label)
            except ValueError as error:
                raise DataError(f"{place}: the label is {_quote(label)}, {error}") from None
            classes = target if isinstance(target, tuple) else (int(target),)
            found += [(draft.labels[index], place) for index in classes]
            continue
        if problem := label_problem(label):
            raise DataError(
                f"{place}: column {row.label_name!r} has the label {_quote(label)}: {problem}",
                hint="correct it, or choose the column of the labels with `label_column=NAME`",
            )
        if not row.names and not found:
            first_of_headless = label, place
        found.append((label, place))
    if first_of_headless and [label for label, _ in found].count(first_of_headless[0]) == 1:
        label, place = first_of_headless
        raise DataError(
            f"{place}: {_quote(label)} labels only this row: is it the name of a column?",
            hint="choose the columns by their names: `text_columns=NAME`, `label_column=NAME`",
        )
    return found


def _number(label: str) -> float | None:
    try:
        return float(label)
    except ValueError:
        return None


def _refuse_not_finite(name: str, places: dict[str, str], numbers: dict[str, float]) -> None:
    """Refuse `nan` among numbers, which marks a missing one; among names, remove it."""
    odd = [label for label, value in numbers.items() if not math.isfinite(value)]
    if odd and len(numbers) == len(places) > len(odd):
        raise DataError(
            f"{places[odd[0]]}: the label {_quote(odd[0])} of {name} is not a number, and all"
            " others are",
            hint="leave a label that is missing empty: its row is skipped",
        )
    for label in odd:
        del numbers[label]


def _are_scores(counts: Counter[str], numbers: dict[str, float]) -> bool:
    """Whether all labels are numbers and some have a fraction."""
    return len(numbers) == len(counts) and not all(map(float.is_integer, numbers.values()))


def _order_classes(
    name: str,
    where: str,
    counts: Counter[str],
    places: dict[str, str],
    numbers: dict[str, float],
) -> tuple[str, ...]:
    """Return the names of the classes in order: numbers by value, others alphabetically."""
    if len(numbers) == len(counts):
        names = tuple(str(value) for value in sorted({int(value) for value in numbers.values()}))
    else:
        names = tuple(sorted(counts))
    if len(names) < 2:
        raise DataError(
            f"{where}: all {counts.total():,} labels of {name} are {_quote(names[0])}: a task has"
            " two classes or more",
            hint="add rows of another class, or choose the column with `label_column=NAME`",
        )
    if len(names) > MAX_LABELS or (len(names) > 20 and len(names) > counts.total() / 2):
        first = names[0] if len(numbers) == len(counts) else next(iter(counts))
        raise DataError(
            f"{where}: {counts.total():,} rows of {name} have {len(names):,} different labels, such"
            f" as {_quote(first)} ({places.get(first, where)}); at most {MAX_LABELS:,} are classes,"
            " and most rows must share theirs",
            hint="choose the column of the labels with `label_column=NAME`; numbers are scores with"
            " `regression=True`",
        )
    return names


def _quote(label: str) -> str:
    return repr(label if len(label) <= _MAX_SHOWN else f"{label[:_MAX_SHOWN]}...")
