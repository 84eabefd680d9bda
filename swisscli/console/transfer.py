"""Shows files that are fetched on standard error."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from swisscli.console.messages import is_colored, is_terminal, status
from swisscli.core.io.text import escape_control


class ShowTransfer(Protocol):
    """Shows the progress of a file."""

    def __call__(self, name: str, number: int, count: int, done: int, size: int | None) -> None:
        """Show the progress.

        Args:
            name: Name of the file.
            number: Number of the file, from 1.
            count: Number of files.
            done: Bytes fetched so far.
            size: Size of the file in bytes; None if unknown.
        """


@contextmanager
def transfer(folder: Path) -> Iterator[ShowTransfer]:
    """Show files that are fetched: a bar on a terminal, elsewhere a line for each.

    Args:
        folder: Folder that they are fetched into, which is shown once.
    """
    if not is_terminal(sys.stderr):
        yield _TransferLines(folder)
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.text import Text

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=Console(stderr=True, color_system="standard" if is_colored(sys.stderr) else None),
        transient=True,
    )
    with bar:
        tasks: dict[int, TaskID] = {}

        def show(name: str, number: int, count: int, done: int, size: int | None) -> None:
            if not tasks:
                bar.console.print(
                    Text(escape_control(_describe_transfer(count, folder))), soft_wrap=True
                )
            if number not in tasks:
                for before in tasks.values():  # one bar is enough
                    bar.update(before, visible=False)
                title = escape(escape_control(f"fetching {number}/{count} {name}"))
                tasks[number] = bar.add_task(title, total=size)
            bar.update(tasks[number], completed=done, total=size)

        yield show


def _describe_transfer(count: int, folder: Path) -> str:
    return f"fetching {count} {'file' if count == 1 else 'files'} into {folder}"


class _TransferLines:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0

    def __call__(self, name: str, number: int, count: int, done: int, size: int | None) -> None:
        if number != self._number:
            if not self._number:
                status(_describe_transfer(count, self._folder))
            self._number = number
            about = "" if size is None else f", {size / 1e6:.1f} MB"
            status(f"fetching {number}/{count} {name}{about}")
