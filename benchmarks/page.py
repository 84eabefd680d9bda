"""What the pages of results share: the machine that measured, and tables."""

import platform
from collections.abc import Iterable, Iterator, Sequence

from swisscli.core.processor import processor


def machine(
    commands: Iterable[str],
    dates: Iterable[str],
    loads: Sequence[float],
    *,
    cores: str,
    packages: str,
) -> Iterator[str]:
    """Yield the table of how, when and where something was measured.

    Args:
        commands: Command of each measurement.
        dates: Day of each.
        loads: Load of the machine before each.
        cores: The cores that were used.
        packages: The packages, with their versions.
    """
    name, instruction_sets = processor()
    yield "| | |"
    yield "| --- | --- |"
    for command in dict.fromkeys(commands):
        yield f"| command | `{command}` |"
    yield f"| date | {', '.join(sorted(set(dates)))} |"
    yield f"| processor | {name or platform.machine()} ({', '.join(instruction_sets)}) |"
    yield f"| cores | {cores} |"
    yield f"| load before each measurement | {min(loads):.1f} to {max(loads):.1f} processes |"
    yield f"| packages | {packages} |"


def table(heads: Sequence[str], num_left: int, rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield a table whose first columns are aligned to the left, the others to the right."""
    yield f"| {' | '.join(heads)} |"
    yield f"|{' --- |' * num_left}{' ---: |' * (len(heads) - num_left)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
