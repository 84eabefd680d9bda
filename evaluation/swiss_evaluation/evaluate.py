"""Runs an evaluation as a generator of events. It prints nothing and needs no torch."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from swiss_evaluation import leaderboard
from swiss_evaluation.data import EvaluationInput, EvaluationSource, read_input
from swiss_training.multitask.metrics import Evaluation
from swisscli.core.errors import Problems
from swisscli.core.events import Advance, Note, Step
from swisscli.core.io import atomic
from swisscli.core.model.directory import ModelDirectory
from swisscli.core.tasks import TASKS, Split

_SPLITS: tuple[Split, ...] = ("dev", "test")


@dataclass(frozen=True)
class EvaluationRequest:
    """What to evaluate.

    Attributes:
        source: The model and its data.
        output: Folder for the prediction files.
        force: Whether to replace existing prediction files.
    """

    source: EvaluationSource
    output: Path = Path("predictions")
    force: bool = False


@dataclass(frozen=True)
class EvaluationDone:
    """The evaluation is complete and its files are written.

    Attributes:
        evaluation: Dev metrics.
        files: Number of rows of each prediction file.
    """

    evaluation: Evaluation
    files: dict[Path, int]


Event = Step | Note | EvaluationDone


def prepare(request: EvaluationRequest) -> EvaluationInput:
    """Check and read everything that an evaluation needs, before any long work.

    Raises:
        SwissError: if a prediction file may not be written, the model is damaged, or data is
            missing or unreadable. One error lists everything.
    """
    problems = Problems()
    model = inputs = None
    with problems.collect():
        model = ModelDirectory.open(request.source.model)
    with problems.collect():
        # The tasks of a model that cannot be opened are unknown, so check the files of all tasks.
        tasks = model.config.tasks if model else tuple(TASKS.values())
        names = leaderboard.file_names(tasks, _SPLITS)
        atomic.check_files(request.output, names, force=request.force)
    with problems.collect():
        inputs = read_input(request.source, model, _SPLITS)
    problems.check()
    assert inputs is not None
    return inputs


def evaluate(
    request: EvaluationRequest, inputs: EvaluationInput, advance: Advance
) -> Iterator[Event]:
    """Measure a model on its dev rows, and write its predictions for dev and test.

    Args:
        request: What to evaluate.
        inputs: Result of `prepare`.
        advance: Called after each batch with its number of rows.

    Raises:
        ModelError: if the model is damaged.
        DeviceError: if the device is not available.
        ConfigurationError: if a prediction file cannot be written.
    """
    backend = inputs.open()
    yield from inputs.announce(backend)
    scores, contents, files = {}, {}, {}
    for split, tasks in inputs.rows.items():
        for name, rows in tasks.items():
            predicted = inputs.predict(backend, rows, advance)
            if split == "dev":
                scores[name] = predicted.score()
            if not any(row.id for row in rows.rows):
                yield Note(f"{name}: no {split} row has an id, so no predictions are written")
                continue
            file = leaderboard.file_name(rows.task, split)
            contents[file] = leaderboard.content(predicted).encode("utf-8")
            files[request.output / file] = contents[file].count(b"\n") - 1
    atomic.write_files(request.output, contents)
    yield EvaluationDone(Evaluation(scores), files)
