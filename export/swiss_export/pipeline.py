"""Runs an export as a generator of events. It prints nothing."""

import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import onnx

from swiss_export import bundle, verify
from swiss_export.builder import OPSET
from swiss_export.calibration import channel_ranges
from swiss_export.graph import build_graph
from swiss_export.precision import BACKENDS
from swiss_export.precision.backend import Range
from swiss_export.temperature import (
    Calibration,
    LabelledLogits,
    calibrate,
    fold_into_head,
    is_foldable,
)
from swiss_export.verify import DevFigure
from swiss_training.multitask.data import TaskDataset
from swiss_training.multitask.data_files import DataChoice, find_files
from swiss_training.multitask.examples import read_files
from swiss_training.multitask.labels import DataFile
from swiss_training.multitask.metrics import Evaluation, GraphMetrics, Metrics, Score
from swiss_training.multitask.model import MultitaskModel, load_model
from swisscli.core.errors import DataError, Problems, SwissError
from swisscli.core.events import Note, Step
from swisscli.core.io.sink import report_write_errors
from swisscli.core.model.directory import (
    CONFIG,
    GRAPH,
    METRICS,
    TOKENIZER,
    TRAIN_CONFIG,
    WEIGHTS,
    ModelDirectory,
)
from swisscli.core.model.graph import Precision
from swisscli.core.model.model_config import ModelConfig
from swisscli.core.tokenization import Tokenizer
from swisscli.inference.session import DeviceFallbackWarning, Session

SOURCES = (
    CONFIG,
    WEIGHTS,
    TOKENIZER,
    METRICS,
    TRAIN_CONFIG,
)
"""Files of a run that an export reads."""


@dataclass(frozen=True)
class ExportRequest:
    """What to export.

    Attributes:
        run: The run folder's model directory.
        precision: Precision of the encoder.
        output: Directory to write; None adds the graph to the run.
        force: Whether to replace `output`.
        max_drop: Largest allowed drop of a dev metric.
        data: Dev data to use instead of the run's.
        calibrate: Whether to fit temperatures of the classification heads, if there is dev data.
        calibration_files: Labelled files per task to fit the temperatures on as well.
    """

    run: ModelDirectory
    precision: Precision = "fp32"
    output: Path | None = None
    force: bool = False
    max_drop: float = 0.005
    data: DataChoice = field(default_factory=DataChoice)
    calibrate: bool = True
    calibration_files: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Calibrated:
    """A head has a temperature."""

    task: str
    calibration: Calibration


@dataclass(frozen=True)
class Exported:
    """The graph is verified and written.

    Attributes:
        directory: Directory that holds the graph.
        graph_bytes: Size of the graph in bytes.
        parity: Largest absolute difference of a logit from torch, per task.
        dev: Dev metrics per task; empty without dev data.
    """

    directory: Path
    graph_bytes: int
    parity: dict[str, float]
    dev: dict[str, DevFigure]


Event = Step | Note | Calibrated | Exported


def export(request: ExportRequest) -> Iterator[Event]:
    """Build, verify and write a run's graph. Only the last step changes files.

    Raises:
        ConfigurationError: if the output may not be written.
        ModelError: if the run is missing, damaged or of an unknown format.
        DataError: if dev data that is required or named cannot be read.
        VerificationError: if the graph's logits or dev metrics differ too much from torch's.
        OutputError: if the graph cannot be written.
    """
    run, precision = request.run, request.precision
    if request.output:
        bundle.check_output(request.output, request.force)
        request.output.parent.mkdir(parents=True, exist_ok=True)
    for name in SOURCES:
        run.file(name)
    config = run.config
    labelled = _find_calibration_files(request, config)
    files, note = _find_dev_files(request, config)
    if note:
        yield Note(note)

    yield Step(f"building the {precision} graph")
    model = load_model(run)
    tokenizer = Tokenizer.of(run)
    ranges: dict[str, Range] = {}
    if BACKENDS[precision].needs_ranges:
        # Only the built-in text, so that a graph depends on nothing but its model.
        text = verify.parity_batches(tokenizer, config, {})
        ranges = channel_ranges(model, text)
    target = request.output or run.path
    parent = request.output.parent if request.output else run.path
    with (
        report_write_errors(str(target)),
        tempfile.TemporaryDirectory(prefix=".export-", dir=parent) as folder,
    ):
        path = Path(folder) / GRAPH
        session = _build(config, model, precision, ranges, path)
        datasets = _read_datasets(tokenizer, config, files)
        calibrations = {}
        if request.calibrate:
            for event in _calibrate(labelled, config, tokenizer, model, session, datasets):
                if isinstance(event, Calibrated):
                    calibrations[event.task] = event.calibration
                yield event
        if calibrations:
            for name, calibration in calibrations.items():
                fold_into_head(model, name, calibration.temperature)
            session = _build(config, model, precision, ranges, path)
        yield Step(f"comparing logits with torch, the graph on {session.device}")
        batches = verify.parity_batches(tokenizer, config, datasets)
        parity = verify.compare(model, session, batches)
        verify.check_parity(parity, precision)
        figures = {}
        for name, dataset in datasets.items():
            yield Step(f"measuring {name} on {len(dataset):,} dev rows")
            figures[name] = verify.score_dev(model, session, dataset, precision)
        verify.check_dev(figures, precision, request.max_drop)

        yield Step("writing")
        size = path.stat().st_size
        calibrated = {name: item.to_json() for name, item in calibrations.items()}
        described = bundle.describe(
            run.manifest,
            {
                "precision": precision,
                "opset": OPSET,
                "device": session.device,
                "parity": parity,
                "dev": {name: figure.to_json() for name, figure in figures.items()},
                "calibration": calibrated,
            },
        )
        measured = GraphMetrics(precision, _evaluation(figures), calibrated)
        metrics = replace(Metrics.read(run.file(METRICS)), export=measured)
        if request.output:
            bundle.write_directory(request.output, run.path, path, described, metrics)
        else:
            bundle.add_to_run(run.path, path, described, metrics)
    yield Exported(target, size, parity, figures)


def open_run(run: Path, dev_tasks: Iterable[str]) -> ModelDirectory:
    """Open a run and check the tasks of the dev files, without reading the weights.

    Args:
        run: The run folder.
        dev_tasks: Tasks for which the caller names dev files.

    Returns:
        The run's model directory.

    Raises:
        SwissError: if the folder is not a run, or its model has no head for one of the tasks.
    """
    directory = ModelDirectory.open(run)
    problems = Problems()
    for task in dev_tasks:
        with problems.collect():
            directory.config.task(task)
    problems.check()
    return directory


def _find_dev_files(
    request: ExportRequest, config: ModelConfig
) -> tuple[dict[str, list[DataFile]], str | None]:
    """Find the dev files of all tasks.

    Returns:
        The files, and None; or, for a float32 graph without dev data, no files and the reason.

    Raises:
        DataError: if a file that is required or named is missing.
    """
    found = find_files(request.data.config(request.run.path), config.tasks, "dev")
    problems = Problems()
    for files in found:
        needed = [file for file in files.missing if file.path != files.default]
        if needed or not files.present:
            name = files.task.name
            wanted = next(iter(needed), files.default) or "no file is named"
            problems.add(
                DataError(
                    f"the dev data of {name} is missing: {wanted}",
                    hint=f"name it with: `dev_files={name}=FILE`, or the folder with: `data=DIR`",
                )
            )
    try:
        problems.check()
    except SwissError as error:
        if request.data.is_given or request.precision != "fp32":
            raise
        hint = f" ({error.hint})" if error.hint else ""
        return {}, f"no dev metric is measured: {'; '.join(error.details or [error.summary])}{hint}"
    return {files.task.name: files.present for files in found}, None


def _read_datasets(
    tokenizer: Tokenizer, config: ModelConfig, files: Mapping[str, Sequence[DataFile]]
) -> dict[str, TaskDataset]:
    """Read and tokenize the dev rows of every task.

    Raises:
        DataError: if a row cannot be read.
    """
    return {
        name: TaskDataset(
            read_files(config.task(name), paths),
            tokenizer,
            config.encoder.pad_token_id,
            config.pair_encoding,
        )
        for name, paths in files.items()
    }


def _build(
    config: ModelConfig,
    model: MultitaskModel,
    precision: Precision,
    ranges: Mapping[str, Range],
    path: Path,
) -> Session:
    """Build the graph of a model, write and open it."""
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    graph = build_graph(config, weights, precision, ranges)
    onnx.checker.check_model(graph, full_check=True)
    path.write_bytes(graph.SerializeToString(deterministic=True))
    return _open_session(path, [task.output for task in config.tasks], precision)


def _find_calibration_files(
    request: ExportRequest, config: ModelConfig
) -> dict[str, list[DataFile]]:
    """Find the labelled files to fit temperatures on in addition to the dev data.

    Raises:
        SwissError: if a file is missing or its labels are mapped wrongly; lists all of them.
    """
    files: dict[str, list[DataFile]] = {}
    problems = Problems()
    for name, texts in request.calibration_files.items():
        for text in texts:
            with problems.collect():
                file = DataFile.parse(text, config.task(name))
                if not file.path.exists():
                    hint = f"correct the calibration files of {name}"
                    raise DataError(f"{file}: no such file", hint=hint)
                files.setdefault(name, []).append(file)
    problems.check()
    return files


def _calibrate(
    files: Mapping[str, Sequence[DataFile]],
    config: ModelConfig,
    tokenizer: Tokenizer,
    model: MultitaskModel,
    session: Session,
    dev: Mapping[str, TaskDataset],
) -> Iterator[Event]:
    """Fit the temperature of every head that can have one, on what the graph itself answers.

    Raises:
        DataError: if a calibration file cannot be read.
        VerificationError: if a logit of the graph is not finite.
    """
    for task in config.tasks:
        named = files.get(task.name, [])
        datasets = {"dev": dev[task.name]} if task.name in dev else {}
        for file in named:
            datasets |= {
                str(file): _read_datasets(tokenizer, config, {task.name: [file]})[task.name]
            }
        if not is_foldable(model, task):
            if named or (datasets and task.score_range is None):
                yield Note(f"{task.name}: its head has no weights that could hold a temperature")
            continue
        if not datasets:
            continue
        rows = sum(map(len, datasets.values()))
        yield Step(f"fitting the temperature of {task.name} on {rows:,} rows")
        found = calibrate(
            task,
            [
                LabelledLogits(source, verify.graph_logits(session, dataset), dataset.targets)
                for source, dataset in datasets.items()
            ],
        )
        if found is not None:
            yield Calibrated(task.name, found)


def _open_session(path: Path, tasks: list[str], precision: Precision) -> Session:
    """Open a graph on the device that its precision is verified on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeviceFallbackWarning)
        device = "auto" if BACKENDS[precision].is_for_gpu else "cpu"
        return Session(path, tasks, device=device, precision=precision)


def _evaluation(figures: Mapping[str, DevFigure]) -> Evaluation | None:
    """Return the graph's dev metrics, or None without any."""
    scores = {name: Score(f.metric, f.graph, f.rows) for name, f in figures.items()}
    return Evaluation(scores) if scores else None
