"""Fetches the files that a run needs and this machine lacks, or lists them in one error."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import httpx2
from filelock import FileLock, Timeout

from swiss_training.config import RunConfig
from swiss_training.downloads import course_data, hub
from swiss_training.downloads.cache import OFFLINE_VARIABLE, cache_folder, is_offline
from swiss_training.downloads.remote_file import RemoteFile
from swiss_training.downloads.transfer import TransferError, fetch, make_client, report_write_errors
from swiss_training.multitask.config import TrainConfig
from swisscli.core.errors import DataError, ModelError, SwissError
from swisscli.core.model.directory import PACKAGED
from swisscli.core.tasks import TASKS, Split

_SPLITS: tuple[Split, ...] = ("train", "dev")


@dataclass(frozen=True)
class Needs:
    """The files that are missing.

    Attributes:
        data: Names of files of the course's data.
        encoders: Names of encoders on the Hub.
    """

    data: tuple[str, ...] = ()
    encoders: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.data or self.encoders)

    def __add__(self, other: "Needs") -> "Needs":
        data = dict.fromkeys(self.data + other.data)
        return Needs(tuple(data), tuple(dict.fromkeys(self.encoders + other.encoders)))

    def lines(self) -> list[str]:
        """Return the missing files, one line each."""
        lines = [f"data: {', '.join(self.data)} of the CS224N project"] if self.data else []
        return lines + [f"encoder: {name}" for name in self.encoders]

    def error(self, reason: str) -> SwissError:
        """Return the error: the missing files, why they cannot be fetched, and every remedy."""
        words = ["data"] * bool(self.data)
        words += ["encoder", *self.encoders] if self.encoders else []
        ways = [
            f"fetch it where there is a network, with: swiss download {' '.join(words)}; then copy"
            f" the cache folder that swiss download `list=True` names to {cache_folder()}"
        ]
        if self.data:
            ways.append("name the folder with the data files with `data=DIR`")
        if self.encoders:
            ways.append(
                "begin from the encoder inside the package with `encoder=packaged`, or from a"
                f" directory with {', '.join(hub.FILES)} with `encoder=DIR`"
            )
        kind = DataError if self.data else ModelError
        return kind(
            f"{reason}, and this is missing:", hint="; or ".join(ways), details=self.lines()
        )


def of_encoder(config: RunConfig) -> Needs:
    """Return the encoder of a configuration, if it is on the Hub and not on this machine."""
    name = config.encoder
    if name == PACKAGED or Path(name).is_dir() or hub.find(name):
        return Needs()
    return Needs(encoders=(name,))


def use_cached_data(config: TrainConfig) -> TrainConfig:
    """Take the course's data from the cache, if the data folder has no file that the run reads.

    Only for a run without a named data folder.
    """
    names = _find_names(config)
    if not names or any((Path(config.data) / name).is_file() for name in names):
        return config
    return replace(config, data=str(course_data.folder()))


def of_cached_data(config: TrainConfig) -> Needs:
    """The data files that are missing from the cache, of a run that reads them there.

    They are the train, dev and test files of the run's tasks.
    """
    names = _find_names(config)
    if not names or Path(config.data) != course_data.folder():
        return Needs()
    return Needs(data=tuple(file.name for file in course_data.missing_files(names)))


def of_begun(config: RunConfig) -> Needs:
    """Return what a run that has begun needs and the cache has lost."""
    data = of_cached_data(config) if isinstance(config, TrainConfig) else Needs()
    return data + of_encoder(config)


def _find_names(config: TrainConfig) -> list[str]:
    """Return the files of the course's data that belong to the run's tasks."""
    tasks = [
        task
        for task in config.tasks
        if task in TASKS and any(task not in getattr(config, f"{split}_files") for split in _SPLITS)
    ]
    return [name for task in tasks for _, name in TASKS[task].files if name in course_data.FILES]


@dataclass(frozen=True)
class FetchProgress:
    """The progress of fetching.

    Attributes:
        name: Name of the file.
        number: Number of the file, from 1.
        count: Number of files.
        done: Bytes of the file fetched so far.
        size: Bytes of the file; None if not known.
    """

    name: str
    number: int
    count: int
    done: int
    size: int | None


def _show_nothing(progress: FetchProgress) -> None:
    """Show no progress."""


def fetch_needs(
    needs: Needs,
    show: Callable[[FetchProgress], None] = _show_nothing,
    *,
    offline: bool = False,
    wait: Callable[[], None] = lambda: None,
) -> None:
    """Fetch what is missing.

    Args:
        needs: The files to fetch; files that the cache has are not fetched again.
        show: Called as bytes come.
        offline: Whether nothing may be fetched; `HF_HUB_OFFLINE` says the same.
        wait: Called if another process is fetching, before this one waits for it.

    Raises:
        DataError: if data is missing and cannot be fetched; it lists everything that is missing.
        ModelError: the same if no data is missing; or if an encoder's name is wrong.
        OutputError: if the cache cannot be written to.
    """
    if not needs:
        return
    if offline or is_offline():
        switch = "`offline`" if offline else f"the variable {OFFLINE_VARIABLE}"
        raise needs.error(f"{switch} forbids fetching")
    from huggingface_hub.constants import HF_HUB_DOWNLOAD_TIMEOUT

    with make_client(HF_HUB_DOWNLOAD_TIMEOUT) as client:
        try:
            revisions = [hub.resolve(client, name) for name in needs.encoders]
            with _lock_cache(wait):
                _fetch_files(client, needs.data, revisions, show)
        except TransferError as error:
            raise needs.error(str(error)) from None


def _fetch_files(
    client: httpx2.Client,
    data: Sequence[str],
    revisions: Sequence[hub.Revision],
    show: Callable[[FetchProgress], None],
) -> None:
    jobs: list[tuple[RemoteFile, Path, dict[str, str]]] = []
    if data:
        jobs += [(file, course_data.folder(), {}) for file in course_data.missing_files(data)]
    for revision in revisions:
        with report_write_errors(revision.folder):
            revision.write_record()
        jobs += [
            (file, revision.folder, hub.request_headers()) for file in revision.missing_files()
        ]
    for number, (file, folder, headers) in enumerate(jobs, start=1):
        report = partial(_report, show, file.name, number, len(jobs))
        report(0, file.size)
        fetch(client, file, folder / file.name, report, headers)


def _report(
    show: Callable[[FetchProgress], None],
    name: str,
    number: int,
    count: int,
    done: int,
    size: int | None,
) -> None:
    show(FetchProgress(name, number, count, done, size))


@contextmanager
def _lock_cache(wait: Callable[[], None]) -> Iterator[None]:
    """Lock the cache against other processes that fetch."""
    folder = cache_folder()
    with report_write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            wait()
            lock.acquire()
    try:
        yield
    finally:
        lock.release()
