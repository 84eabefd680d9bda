"""The steps of an evaluation: a generator of events. It prints nothing and needs no torch."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from swiss_evaluation import leaderboard
from swiss_evaluation.backends import Backend
from swiss_evaluation.data import Advance, EvaluationInput, EvaluationSource, read_input
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

    source: EvaluationSource
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


def prepare(request: Request) -> EvaluationInput:
    """Read everything that an evaluation needs, before any long work.

    Raises:
        SwissError: one that lists everything that is wrong: a prediction file that may not be
            written, a damaged model, missing or unreadable data.
    """
    problems = Problems()
    model = inputs = None
    with problems.collected():
        model = ModelDirectory.open(request.source.model)
    with problems.collected():
        # Without a model any task may be its, and any file may be in the way.
        tasks = model.config.tasks if model else tuple(TASKS.values())
        leaderboard.check_folder(request.output, tasks, force=request.force)
    with problems.collected():
        inputs = read_input(request.source, model, _SPLITS)
    problems.check()
    assert inputs is not None
    return inputs


def evaluate(request: Request, inputs: EvaluationInput, advance: Advance) -> Iterator[Event]:
    """Measure a model on its dev rows, and write its predictions for dev and test.

    Args:
        request: What to do.
        inputs: What `prepare` read for it.
        advance: Called after each batch with the number of its rows.

    Raises:
        ModelError: if the model is damaged.
        DeviceError: if the device asked for is missing.
        ConfigurationError: if a prediction file cannot be written.
    """
    backend = inputs.open()
    yield Opened(backend)
    for message in (*backend.notes, *inputs.notes):
        yield Note(message)
    scores, contents, files = {}, {}, {}
    for split, tasks in inputs.rows.items():
        for name, rows in tasks.items():
            predicted = inputs.predict(backend, rows, advance)
            if split == "dev":
                scores[name] = predicted.score()
            if not any(row.id for row in rows.rows):
                yield Note(f"{name}: no {split} row has an id, so no predictions are written")
                continue
            file = leaderboard.file_name(resolve_task(name), split)
            contents[file] = leaderboard.content(predicted)
            files[request.output / file] = contents[file].count("\n") - 1
    leaderboard.write(request.output, contents)
    yield Evaluated(Evaluation(scores), files)
