"""What is fetched, as it is shown on standard error."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from swisscli.console.messages import is_colored, is_terminal, status
from swisscli.core.io.text import visible


class ShowTransfer(Protocol):
    """Shows how far a file is."""

    def __call__(self, name: str, number: int, count: int, done: int, size: int | None) -> None:
        """Show it.

        Args:
            name: The file.
            number: Which one it is, from 1.
            count: How many there are.
            done: Bytes that are there.
            size: Bytes of the whole file; None if not known.
        """


@contextmanager
def transfer() -> Iterator[ShowTransfer]:
    """Show files that are fetched: a bar on a terminal, elsewhere a line for each."""
    if not is_terminal(sys.stderr):
        yield _TransferLines()
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True, color_system="standard" if is_colored(sys.stderr) else None),
    )
    with bar:
        tasks = {}

        def show(name: str, number: int, count: int, done: int, size: int | None) -> None:
            if number not in tasks:
                title = escape(visible(f"fetching {number}/{count} {name}"))
                tasks[number] = bar.add_task(title, total=size)
            bar.update(tasks[number], completed=done, total=size)

        yield show


class _TransferLines:
    def __init__(self) -> None:
        self._number = 0

    def __call__(self, name: str, number: int, count: int, done: int, size: int | None) -> None:
        if number != self._number:
            self._number = number
            about = "" if size is None else f", {size / 1e6:.1f} MB"
            status(f"fetching {number}/{count} {name}{about}")
