"""`swiss download`: fetch data and encoders ahead of time, list, verify and remove them."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swisscli import console
from swisscli.commands.extras import requires_extra
from swisscli.core.errors import ConfigurationError, DataError, OutputError
from swisscli.core.io.text import escape_control

if TYPE_CHECKING:
    from swiss_training.downloads.remote_file import RemoteFile

_USUAL_ENCODER = "bert-base-uncased"


def download(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="data|encoder NAME",
            help="The data of the CS224N project; encoders by their name on the Hub, followed by"
            " @REVISION for another revision than the usual one. Default: what swiss train --awl"
            f" needs, the data and {_USUAL_ENCODER}.",
            show_default=False,
        ),
    ] = None,
    list_: Annotated[
        bool, typer.Option("--list", help="Show what is in the cache; fetch nothing.")
    ] = False,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Compare the files in the cache with their hashes again."),
    ] = False,
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove the named data and encoders from the cache.")
    ] = False,
) -> None:
    """Fetch the training data and encoders into a cache, ahead of time.

    \b
    swiss download
    swiss download data
    swiss download encoder bert-base-uncased sentence-transformers/all-mpnet-base-v2
    swiss download --list
    swiss download --remove encoder bert-base-uncased

    swiss train fetches missing files itself. For a machine without a network, run swiss download
    on another one, copy the cache folder, and set the variable SWISS_CACHE to the copy. Files are
    verified, and interrupted transfers resume.

    --list and --verify write a line per item to standard output: kind, name, revision, files,
    megabytes, state and folder; the cache folder comes first. State is whole, incomplete or, with
    --verify, damaged.

    Exit status: 0 success; 2 wrong usage; 3 data is missing or damaged, or the cache cannot be
    written to; 4 an encoder cannot be fetched; 5 the extra is not installed.
    """  # noqa: D301
    if sum((list_, verify, remove)) > 1:
        raise ConfigurationError(
            "--list, --verify and --remove contradict each other", hint="give one of them"
        )
    data, encoders = _parse(what or [])
    with requires_extra("train"):
        from swiss_training.downloads import course_data, hub
        from swiss_training.downloads.needs import Needs
        from swisscli.commands.fetching import fetch

    if remove:
        _remove(data, encoders)
    elif list_ or verify:
        _show(data, encoders, everything=not what, verify=verify)
    else:
        if not what:
            data, encoders = True, [_USUAL_ENCODER]
        files = tuple(file.name for file in course_data.missing_files()) if data else ()
        missing = tuple(name for name in encoders if not hub.is_cached(name))
        fetch(Needs(files, missing))
        for item in _items(data, encoders):
            typer.echo(f"{item.kind}\t{escape_control(item.name)}\t{item.revision}\t{item.folder}")


def _parse(words: list[str]) -> tuple[bool, list[str]]:
    """Parse the arguments: whether the data is named, and the encoders.

    Raises:
        ConfigurationError: if a word is neither, or no name follows `encoder`.
    """
    data, encoders = False, list[str]()
    rest = iter(words)
    for word in rest:
        if word == "data":
            data = True
        elif word == "encoder":
            encoders += rest
            if not encoders:
                raise ConfigurationError(
                    "encoder: the name is missing",
                    hint=f"type for example: swiss download encoder {_USUAL_ENCODER}",
                )
        else:
            raise ConfigurationError(
                f"{word!r} is neither data nor encoder NAME",
                hint=f"type: swiss download data, or: swiss download encoder {word}",
            )
    return data, encoders


@dataclass(frozen=True)
class _Item:
    """An entry of the cache."""

    kind: str
    name: str
    revision: str
    folder: Path
    files: "list[RemoteFile]"

    @property
    def present(self) -> "list[RemoteFile]":
        return [file for file in self.files if (self.folder / file.name).is_file()]

    @property
    def num_bytes(self) -> int:
        return sum((self.folder / file.name).stat().st_size for file in self.present)

    def find_damaged(self) -> list[Path]:
        paths = ((file, self.folder / file.name) for file in self.present)
        return [path for file, path in paths if not file.matches(path)]


def _items(data: bool, encoders: list[str], *, everything: bool = False) -> Iterator[_Item]:
    """Return the entries of the cache that are named."""
    from swiss_training.downloads import course_data, hub

    folder = course_data.folder()
    if (data or everything) and folder.is_dir():
        yield _Item("data", "cs224n", course_data.REVISION, folder, course_data.files())
    names = [hub.split_name(name) for name in encoders]
    for found in hub.cached_revisions():
        wanted = (
            found.repository == repository and found.commit.startswith(revision)
            for repository, revision in names
        )
        if everything or any(wanted):
            files = found.remote_files()
            yield _Item("encoder", found.repository, found.commit, found.folder, files)


def _show(data: bool, encoders: list[str], *, everything: bool, verify: bool) -> None:
    from swiss_training.downloads.cache import cache_folder

    typer.echo(f"cache\t{cache_folder()}")
    damaged = []
    for item in _items(data, encoders, everything=everything):
        num_files, size = len(item.present), f"{item.num_bytes / 1e6:.1f} MB"
        state = "whole" if num_files == len(item.files) else "incomplete"
        if verify and (found := item.find_damaged()):
            damaged += found
            state = "damaged"
        count = f"{num_files} of {len(item.files)} files"
        name = escape_control(item.name)
        columns = (item.kind, name, item.revision, count, size, state, str(item.folder))
        typer.echo("\t".join(columns))
    if damaged:
        raise DataError(
            f"{len(damaged)} files differ from their hashes:",
            hint="fetch them again with: swiss download",
            details=list(map(str, damaged)),
        )


def _remove(data: bool, encoders: list[str]) -> None:
    if not (data or encoders):
        raise ConfigurationError(
            "--remove needs the names of what to remove",
            hint="type for example: swiss download --remove data encoder bert-base-uncased;"
            " swiss download --list shows the cache",
        )
    items = list(_items(data, encoders))
    for item in items:
        try:
            shutil.rmtree(item.folder)
        except OSError as error:
            raise OutputError(
                f"{error.filename or item.folder}: cannot be removed: {error.strerror}"
            ) from None
        console.status(f"removed {item.folder}")
    if not items:
        console.status("none of these is in the cache")
