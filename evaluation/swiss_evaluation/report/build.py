"""Builds a report as a generator of events. It prints nothing."""

import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from swiss_evaluation.attention.reader import AttentionReader, read_size
from swiss_evaluation.backends import Backend
from swiss_evaluation.data import (
    EvaluationInput,
    EvaluationSource,
    TaskRows,
    read_input,
)
from swiss_evaluation.report import attention_views
from swiss_evaluation.report.analysis import LabelledPredictions
from swiss_evaluation.report.attention_views import AttentionChoice
from swiss_evaluation.report.page import Page, Section, render
from swiss_evaluation.report.sections import (
    architecture_section,
    label_section,
    task_section,
    training_section,
)
from swiss_training import log
from swiss_training.multitask.metrics import Evaluation, Metrics, Score
from swisscli import __version__
from swisscli.core.errors import DataError, ModelError, Problems, SwissError
from swisscli.core.events import Advance, Note, Step
from swisscli.core.io.atomic import check_output, open_beside
from swisscli.core.model.directory import GRAPH, METRICS, WEIGHTS, ModelDirectory

_VERSIONS = ("torch", "onnxruntime-gpu", "onnxruntime", "numpy", "tokenizers", "matplotlib")


@dataclass(frozen=True)
class ReportRequest:
    """What to report.

    Attributes:
        source: The model and its data.
        output: HTML file to write.
        force: Whether to replace an existing file.
        choice: Attention to show.
        num_errors: Number of rows in each table of worst errors.
    """

    source: EvaluationSource
    output: Path
    force: bool = False
    choice: AttentionChoice = field(default_factory=AttentionChoice)
    num_errors: int = 10


@dataclass(frozen=True)
class Written:
    """The page is written; `num_bytes` is its size."""

    path: Path
    num_bytes: int


Event = Step | Note | Written


@dataclass(frozen=True)
class ReportInput:
    """Everything that is read before the model runs.

    Attributes:
        inputs: The model and its data.
        log: Entries of the run's log; empty without a log.
        without_weights: Reason why attention cannot be shown; None if it can.
    """

    inputs: EvaluationInput
    log: list[dict[str, Any]]
    without_weights: str | None


def prepare(request: ReportRequest) -> ReportInput:
    """Check and read everything that a report needs, before any long work.

    Raises:
        SwissError: if the page may not be written, a layer or head does not exist, the model is
            damaged, or data is missing or unreadable. One error lists everything.
    """
    source, choice = request.source, request.choice
    problems = Problems()
    with problems.collect():
        check_output(request.output, force=request.force, inputs=())
    model = inputs = without_weights = None
    with problems.collect():
        model = ModelDirectory.open(source.model)
    if model is not None:
        try:
            choice.check(read_size(model))
        except ModelError as error:
            without_weights = error.message
            if choice.is_given:
                problems.add(error)
        except SwissError as error:
            problems.add(error)
    entries: list[dict[str, Any]] = []
    with problems.collect():
        entries = _read_log(source.model)
    with problems.collect():
        inputs = read_input(source, model, ("dev", "train"))
    problems.check()
    assert inputs is not None
    return ReportInput(inputs, entries, without_weights)


def report(request: ReportRequest, prepared: ReportInput, advance: Advance) -> Iterator[Event]:
    """Measure a model on its dev rows and write the page.

    Args:
        request: What to report.
        prepared: Result of `prepare`.
        advance: Called after each batch with its number of rows.

    Raises:
        ModelError: if the model is damaged.
        DeviceError: if the device is not available.
        ConfigurationError: if the encoder cannot read a pair, or the page cannot be written.
    """
    inputs, choice = prepared.inputs, request.choice
    source, without_weights = inputs.source, prepared.without_weights
    backend = inputs.open()
    # Read the weights before predicting, so that a damaged file fails in seconds, not minutes.
    reader = AttentionReader(inputs.model) if without_weights is None else None
    if reader is not None:
        for texts in choice.texts:
            reader.check(texts)
    facts = _facts(inputs, backend)
    yield from inputs.announce(backend)

    scores: dict[str, Score] = {}
    tasks: list[Section] = []
    for name, rows in inputs.rows["dev"].items():
        predicted = inputs.predict(backend, rows, advance)
        scores[name] = predicted.score()
        labelled = LabelledPredictions.of(predicted)
        tasks.append(task_section(labelled, scores[name], request.num_errors))
    yield Step("computing attention and drawing")
    dev_rows = list(inputs.rows["dev"].values())
    attention, data = _attention_section(reader, choice, dev_rows, without_weights)
    page = Page(
        title=f"Report on {source.model.resolve().name}",
        scores=_score_rows(scores),
        facts=facts,
        notes=inputs.notes,
        sections=[
            architecture_section(inputs.model.config),
            training_section(prepared.log),
            label_section(inputs),
            *tasks,
        ],
        attention=attention,
        attention_data=data,
    )
    content = render(page).encode("utf-8", "replace")
    with open_beside(request.output) as stream:
        stream.write(content)
    yield Written(request.output, len(content))


def _read_log(model: Path) -> list[dict[str, Any]]:
    try:
        return log.read(model)
    except OSError as error:
        raise DataError(
            f"{model / log.FILE}: cannot be read: {error.strerror}",
            hint="move the file away to report without the training curves",
        ) from None


def _attention_section(
    reader: AttentionReader | None,
    choice: AttentionChoice,
    rows: Sequence[TaskRows],
    without_weights: str | None,
) -> tuple[Section, dict[str, Any] | None]:
    if reader is None:
        intro = f"Attention cannot be shown: {without_weights}."
        return Section("attention", "Attention", intro), None
    return attention_views.section(reader, choice, rows)


def _score_rows(scores: Mapping[str, Score]) -> list[tuple[str, str, str, str]]:
    lines = [line for name, score in scores.items() for line in score.lines(name)]
    rows = [(name, metric, value, f"{int(rows):,}") for name, metric, value, rows in lines]
    return [*rows, ("overall", "mean", f"{Evaluation(dict(scores)).overall:.4f}", "")]


def _facts(inputs: EvaluationInput, backend: Backend) -> list[tuple[str, str]]:
    """Return the facts that a reader needs to repeat the measurement."""
    model, config = inputs.model, inputs.model.config
    manifest = model.manifest
    used = GRAPH if backend.name == "onnx" else WEIGHTS
    metrics = _metrics(model)
    trained = "unknown"
    if metrics and metrics.train:
        trained = f"seed {metrics.seed}, best step {metrics.train.step}"
    versions = {"swissbert": __version__, "python": platform.python_version()}
    versions |= {name: found for name in _VERSIONS if (found := _version(name))}
    encoder = manifest.source_encoder
    return [
        ("model", str(model.path)),
        ("run by", "the ONNX graph" if backend.name == "onnx" else "torch"),
        ("precision, device", f"{backend.precision}, {backend.device}"),
        (f"sha256 of {used}", manifest.files[used].sha256),
        ("encoder", f"{encoder.get('name', 'unknown')} {encoder.get('sha256', '')[:12]}".strip()),
        (
            "pooling, longest input",
            f"{config.pooling}, {config.max_length} tokens",
        ),
        ("trained", trained),
        ("data", inputs.source.data.data or "the files that the run was trained with"),
        ("split", "dev, the rows with a label"),
        ("date", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")),
        ("versions", ", ".join(f"{name} {found}" for name, found in versions.items())),
    ]


def _metrics(model: ModelDirectory) -> Metrics | None:
    return Metrics.read(model.file(METRICS)) if model.has(METRICS) else None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except ModuleNotFoundError:
        return None
