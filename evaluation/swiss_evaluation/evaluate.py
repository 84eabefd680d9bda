"""The steps of an evaluation: a generator of events. It prints nothing and needs no torch."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from swiss_evaluation import leaderboard
from swiss_evaluation.backends import Backend
from swiss_evaluation.source import Advance, Gathered, Source, gather
from swiss_training.multitask.metrics import Evaluation
from swisscli.core.errors import Problems
from swisscli.core.model.directory import ModelDirectory
from swisscli.core.tasks import TASKS, Split, resolve_task

_SPLITS: tuple[Split, ...] = ("dev", "test")


@dataclass(frozen=True)
class Request:
    """What to evaluate.

    Attributes:
        source: The model and its data.
        output: Folder for the prediction files.
        force: Whether prediction files may be replaced.
    """

    source: Source
    output: Path = Path("predictions")
    force: bool = False


@dataclass(frozen=True)
class Note:
    """What the user should know."""

    message: str


@dataclass(frozen=True)
class Opened:
    """The data is read and the model is open."""

    backend: Backend


@dataclass(frozen=True)
class Evaluated:
    """All is measured and written.

    Attributes:
        evaluation: The dev metrics.
        files: The prediction files, with the number of their rows.
    """

    evaluation: Evaluation
    files: dict[Path, int]


Event = Note | Opened | Evaluated


def evaluate(request: Request, problems: Problems, advance: Advance) -> Iterator[Event]:
    """Measure a model on its dev files, and write its predictions for dev and test.

    Args:
        request: What to do.
        problems: What the caller has found already; raised with all that is found here.
        advance: Told how many more rows are predicted.

    Raises:
        ConfigurationError: if a prediction file may not be written.
        ModelError: if the model is missing, damaged or of an unknown format.
        DataError: if there is no dev file, or one cannot be read.
        DeviceError: if the device asked for is not there.
    """
    model = None
    with problems.collected():
        model = ModelDirectory.open(request.source.model)
    with problems.collected():
        # Without a model any task may be its, and any file may be in the way.
        tasks = model.config.tasks if model else tuple(TASKS.values())
        leaderboard.check_folder(request.output, tasks, force=request.force)
    gathered = gather(request.source, model, _SPLITS, problems)
    backend = gathered.open()
    yield Opened(backend)
    for message in (*backend.notes, *gathered.notes):
        yield Note(message)
    yield from _measure(request, gathered, backend, advance)


def _measure(
    request: Request, gathered: Gathered, backend: Backend, advance: Advance
) -> Iterator[Event]:
    scores, contents, files = {}, {}, {}
    for split, tasks in gathered.rows.items():
        for name, rows in tasks.items():
            answered = gathered.answer(backend, rows, advance)
            if split == "dev":
                scores[name] = answered.score()
            if not any(row.id for row in rows.rows):
                yield Note(f"{name}: no {split} row has an id, so no predictions are written")
                continue
            file = leaderboard.file_name(resolve_task(name), split)
            contents[file] = leaderboard.content(answered)
            files[request.output / file] = contents[file].count("\n") - 1
    leaderboard.write(request.output, contents)
    yield Evaluated(Evaluation(scores), files)
