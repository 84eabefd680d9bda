"""Examples of every bucket, and the files that they are written to."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count, zip_longest
from pathlib import Path
from typing import NamedTuple

from swiss_training.multitask.examples import Examples
from swiss_training.multitask.labels import Target
from swiss_training.synthesis import buckets  # noqa: F401  # registers them
from swiss_training.synthesis.draw import Draw
from swiss_training.synthesis.example import (
    NEGATIVE,
    POSITIVE,
    TARGET_COLUMN,
    TASK_OF,
    ContrastSet,
    Example,
    Grain,
)
from swiss_training.synthesis.registry import BUCKETS, Bucket
from swiss_training.synthesis.scene import Scene
from swiss_training.synthesis.source import Part
from swisscli.core.errors import ConfigurationError
from swisscli.core.io import atomic
from swisscli.core.io.tsv import format_tsv
from swisscli.core.tasks import TaskSpec

_ATTEMPTS = 200  # sets in a row that bring nothing new, until a bucket counts as exhausted
_HELD_OUT_ROWS = 0.25
_POLARITIES: dict[tuple[int, ...], float] = {(0, 1): NEGATIVE, (3, 4): POSITIVE}


class Made(NamedTuple):
    """A contrast set and the name of its bucket."""

    bucket: str
    examples: ContrastSet


def choose_buckets(names: Sequence[str], tasks_to_rewrite: Iterable[str] = ()) -> list[Bucket]:
    """Choose buckets by name.

    Args:
        names: Names of buckets; empty for all that can be made.
        tasks_to_rewrite: The tasks that have rows to rewrite.

    Raises:
        ConfigurationError: if a bucket is unknown or lacks its rows, or no bucket rewrites the
            rows of a task.
    """
    readable = {None, *tasks_to_rewrite}
    known = {each.reads for each in BUCKETS.values()}
    for task in readable - known:
        raise ConfigurationError(
            f"no bucket rewrites rows of {task}",
            hint=f"give rows of: {', '.join(sorted(filter(None, known)))}",
        )
    for name in names:
        if name not in BUCKETS:
            raise ConfigurationError(
                f"unknown bucket {name!r}", hint=f"choose from: {', '.join(BUCKETS)}"
            )
        reads = BUCKETS[name].reads
        if reads not in readable:
            raise ConfigurationError(
                f"the bucket {name} rewrites rows of {reads}, and none are given",
                hint=f"add `from={reads}=FILE`",
            )
    return [
        each
        for each in BUCKETS.values()
        if each.reads in readable and each.name in (names or BUCKETS)
    ]


def generate(
    chosen: Iterable[Bucket],
    *,
    seed: int,
    per_bucket: int,
    part: Part,
    rows: Mapping[str, Examples] | None = None,
) -> Iterator[Made]:
    """Make contrast sets, bucket by bucket, always the same ones for the same arguments.

    Args:
        chosen: The buckets.
        seed: Seed of all random choices.
        per_bucket: Maximum number of examples per bucket. A bucket may have fewer, and a contrast
            set is never divided.
        part: Which templates, words and rows are used.
        rows: Rows to rewrite by task.

    Yields:
        The sets with the names of their buckets.
    """
    for bucket in chosen:
        seen: set[tuple[Grain, tuple[str, ...]]] = set()
        made = failed = 0
        for examples in _sets(bucket, seed, part, rows or {}):
            keys = [(example.grain, example.texts) for example in examples]
            if made + len(keys) > per_bucket:
                break
            if _is_usable(examples) and seen.isdisjoint(keys):
                seen.update(keys)
                made += len(keys)
                failed = 0
                yield Made(bucket.name, examples)
            elif bucket.compose and (failed := failed + 1) == _ATTEMPTS:
                break


def _is_usable(examples: ContrastSet) -> bool:
    """Whether a set holds something, nothing twice, and no pair of a text with itself."""
    distinct = {(example.grain, example.texts) for example in examples}
    repeats = [len({*each.texts}) < len(each.texts) for each in examples]
    return len(distinct) == len(examples) > 0 and not any(repeats)


def _sets(
    bucket: Bucket, seed: int, part: Part, rows: Mapping[str, Examples]
) -> Iterator[ContrastSet]:
    if bucket.compose:
        for number in count():
            yield bucket.compose(Scene(Draw(seed, bucket.name, part, number), part))
    elif bucket.rewrite and bucket.reads:
        for row in _rows(rows[bucket.reads], seed, part):
            yield bucket.rewrite(Scene(Draw(seed, bucket.name, part, *row.texts), part), row)


def _rows(examples: Examples, seed: int, part: Part) -> Iterator[Example]:
    """Yield the rows of one part in random order, the classes in turn.

    Only a row's texts decide to which part it belongs. A row is left out if its label allows
    several classes, other than all negative or all positive ones.
    """
    by_label: dict[tuple[Grain, float], list[Example]] = {}
    for texts, target in zip(examples.texts, examples.targets, strict=True):
        is_held_out = Draw("part", *texts).chance(_HELD_OUT_ROWS)
        label = _label(examples.task, target)
        if label and is_held_out == (part == "heldout"):
            grain, value = label
            by_label.setdefault(label, []).append(Example(grain, texts, value))
    orders = [Draw(seed, "rows", *label).shuffle(by_label[label]) for label in sorted(by_label)]
    for turn in zip_longest(*orders):
        yield from filter(None, turn)


def _label(task: TaskSpec, target: Target) -> tuple[Grain, float] | None:
    """What an example made from such a row says; None where it would say too little."""
    if isinstance(target, float):
        return ("paraphrase" if task.name == "paraphrase" else "sentiment"), target
    polarity = _POLARITIES.get(target)
    return None if polarity is None else ("sentiment-coarse", polarity)


def check_output(folder: Path, *, force: bool) -> None:
    """Check that the files can be written and replace nothing unasked.

    Raises:
        ConfigurationError: as `atomic.check_files` does.
    """
    atomic.check_files(folder, map(_file, TASK_OF), force=force)


def _file(grain: Grain) -> str:
    return f"{grain}.tsv"


def write_files(folder: Path, made: Iterable[Made]) -> dict[str, int]:
    """Write a file per grain, such as `paraphrase.tsv`; all of them, or none.

    Returns:
        The number of rows of each file by its name; a grain without examples has no file.

    Raises:
        OutputError: if the folder cannot be created or a file cannot be written.
    """
    tables: dict[Grain, list[list[str]]] = {grain: [] for grain in TASK_OF}
    for number, (bucket, examples) in enumerate(made):
        for each in examples:
            row = [*map(_cell, each.texts), f"{each.label:g}", bucket, str(number)]
            tables[each.grain].append(row)
    written = {grain: table for grain, table in tables.items() if table}
    atomic.write_files(
        folder, {_file(grain): _tsv(grain, table).encode() for grain, table in written.items()}
    )
    return {_file(grain): len(table) for grain, table in written.items()}


def _cell(text: str) -> str:
    return " ".join(text.split())


def _tsv(grain: Grain, table: Iterable[list[str]]) -> str:
    texts = ["sentence"] if TASK_OF[grain].arity == 1 else ["sentence1", "sentence2"]
    return format_tsv([[*texts, TARGET_COLUMN[grain], "bucket", "set"], *table])
