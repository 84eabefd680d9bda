"""Divides the records of all inputs among the processes of a job array."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from swisscli.core.columns import InputColumns
from swisscli.core.errors import ConfigurationError
from swisscli.core.io.formats import ColumnChoice, InputFormat
from swisscli.core.io.lines import has_newlines
from swisscli.core.io.parquet import count_group_rows
from swisscli.core.io.parts import EveryNth, LineRange, Part, RowGroups, cut_lines
from swisscli.core.io.tables import read_table
from swisscli.inference.readers import STDIN, Source

_SHARD = re.compile(r"(\d+)/(\d+)")


@dataclass(frozen=True)
class Shard:
    """One of several shares of the input.

    Attributes:
        index: Number of the shard, from 0.
        count: Number of shards.
    """

    index: int
    count: int


def parse_shard(text: str) -> Shard:
    """Parse `i/n`.

    Raises:
        ConfigurationError: if it is no shard.
    """
    match = _SHARD.fullmatch(text)
    shard = Shard(*map(int, match.groups())) if match else Shard(0, 0)
    if shard.index >= shard.count:
        count = shard.count or 8
        raise ConfigurationError(
            f"`shard` {text!r} is not a shard: shards are counted from 0",
            hint=f"from 0/{count} to {count - 1}/{count}; in Slurm with --array=0-{count - 1}",
        )
    return shard


def shard_sources(
    sources: Sequence[Source],
    shard: Shard,
    columns: InputColumns,
    choice: ColumnChoice,
    warn: Callable[[str], None],
) -> list[Source]:
    """Reduce each source to what a shard reads of it; all shards together read each record once.

    The files that can be cut are one sequence of bytes, of which each shard takes the same share:
    the lines of text files, the row groups of Parquet that begin in it. Of all other sources a
    shard reads every n-th record.

    Args:
        sources: The inputs.
        shard: The shard.
        columns: Columns to read.
        choice: The user's choice of columns.
        warn: Called with a message about a source that cannot be cut.

    Raises:
        DataError: if a source cannot be read.
    """
    can_cut = [is_divisible(source) for source in sources]
    sizes = [
        source.size() or 0 if is_cut else 0 for source, is_cut in zip(sources, can_cut, strict=True)
    ]
    total = sum(sizes)
    start, stop = (total * (shard.index + more) // shard.count for more in (0, 1))
    starts = accumulate(sizes, initial=0)
    parts: list[Source] = []
    for number, (source, is_cut, size, base) in enumerate(
        zip(sources, can_cut, sizes, starts, strict=False)
    ):
        part: Part
        if is_cut:
            offsets = [min(max(0, offset - base), size) for offset in (start, stop)]
            (part,) = cut(source, offsets, columns, choice)
        else:
            part = EveryNth((shard.index - number) % shard.count, shard.count)
        parts.append(replace(source, part=part))
    if uncut := [s.name for s, can in zip(sources, can_cut, strict=True) if not can]:
        more = f" and {len(uncut) - 1:,} more" if len(uncut) > 1 else ""
        warn(
            f"{uncut[0]}{more}: cannot be cut, so each shard reads all of it and answers one record"
            f" in {shard.count:,}"
        )
    return parts


def is_divisible(source: Source) -> bool:
    """Whether a source is a file that can be read from its middle.

    Raises:
        DataError: if it cannot be read.
    """
    if source.path == STDIN or not source.is_file or source.is_pipe():
        return False
    match source.format:
        case InputFormat.JSON:
            return False
        case InputFormat.PARQUET:
            return True
    with source.open() as stream:
        return has_newlines(stream, source.name, has_quotes=source.format.is_delimited)


def cut(
    source: Source, offsets: Sequence[int], columns: InputColumns, choice: ColumnChoice
) -> Sequence[LineRange | RowGroups]:
    """Cut a source that is divisible at the records that begin at or behind some bytes.

    Args:
        source: A source that `is_divisible`.
        offsets: Where to cut, in rising order.
        columns: Columns to read.
        choice: The user's choice of columns.

    Returns:
        A part between each two offsets.

    Raises:
        DataError: if the source cannot be read.
    """
    size = source.size() or 0
    with source.open() as stream:
        if source.format is InputFormat.PARQUET:
            return _cut_row_groups(count_group_rows(stream, source.name), size, offsets)

        def row_lines() -> Iterator[int]:
            stream.seek(0)
            table = read_table(stream, source.name, source.format, columns, choice)
            return (row.line for row in table)

        has_rows = source.format.is_delimited
        return cut_lines(stream, size, offsets, row_lines if has_rows else None)


def _cut_row_groups(num_rows: Sequence[int], size: int, offsets: Sequence[int]) -> list[RowGroups]:
    """Cut between row groups, which stand in the file as if all rows had the same size."""
    before = list(accumulate(num_rows, initial=0))
    starts = [size * rows // max(1, before[-1]) for rows in before[:-1]]
    firsts = [sum(start < offset for start in starts) for offset in offsets]
    return [RowGroups(first, stop) for first, stop in pairwise(firsts)]
