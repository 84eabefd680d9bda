"""Builds the report's sections on architecture, training, labels and each task."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from swiss_evaluation.data import EvaluationInput, TaskRows
from swiss_evaluation.report import figures
from swiss_evaluation.report.analysis import (
    LabelledPredictions,
    by_length,
    confusion,
    distribution,
    find_worst,
)
from swiss_evaluation.report.architecture import architecture
from swiss_evaluation.report.page import Chart, Section, WrongRows
from swiss_training import log
from swiss_training.multitask.metrics import MAX_CONFUSION, Evaluation, Score
from swiss_training.multitask.reliability import reliability
from swisscli.core.model.model_config import ModelConfig
from swisscli.core.model.schema import Place
from swisscli.core.tasks import TaskSpec

Series = dict[str, tuple[list[int], list[float]]]


def architecture_section(config: ModelConfig) -> Section:
    """Draw the path of a text through the model (the paper's Figure 5)."""
    caption = f"Drawn from config.json. The longest input is {config.max_length:,} tokens."
    chart = Chart("From text to answer", caption, architecture(config))
    return Section("architecture", "Architecture", charts=[chart])


def training_section(entries: Sequence[Mapping[str, Any]]) -> Section:
    """Draw the curves of the run's log."""
    title = "Training"
    steps = [entry for entry in entries if entry["event"] == "StepsDone"]
    evaluations = [entry for entry in entries if entry["event"] == "Evaluated"]
    if not steps and not evaluations:
        missing = Chart(
            "Training curves",
            "Training curves cannot be drawn: the model directory has no log.jsonl. Only run"
            " folders have a log; exported directories do not.",
        )
        return Section("training", title, charts=[missing])
    charts = [
        _curve("loss", "Loss of each task", _task_series(steps, "losses"), "loss",
               "Mean training loss of each task since the line before"),
        _curve("weights", "Task weights", _task_series(steps, "weights"), "factor of the loss",
               "Factor that multiplies each task's loss"),
        _curve("rate", "Learning rate", _run_series(steps, "learning_rate"), "learning rate",
               "Learning rate of the model"),
        _curve("dev", "Dev metrics", _dev_series(evaluations), "metric",
               "Dev metric of each task, and their mean"),
    ]  # fmt: skip
    last = max(entry["step"] for entry in entries)
    return Section("training", title, f"From log.jsonl, up to step {last:,}.", charts)


def _curve(name: str, title: str, series: Series, ylabel: str, what: str) -> Chart:
    points = max((len(steps) for steps, _ in series.values()), default=0)
    if not points:
        return Chart(title, "The log has no values for this curve.")
    drawing = figures.svg(f"curve-{name}", title, lambda: figures.curves(series, ylabel))
    return Chart(title, f"{what}; {points:,} log lines.", drawing)


def _task_series(entries: Sequence[Mapping[str, Any]], key: str) -> Series:
    series: Series = {}
    for entry in entries:
        for task, value in entry[key].items():
            steps, values = series.setdefault(task, ([], []))
            steps.append(entry["step"])
            values.append(value)
    return series


def _run_series(entries: Sequence[Mapping[str, Any]], key: str) -> Series:
    if not entries:
        return {}
    return {key: ([entry["step"] for entry in entries], [entry[key] for entry in entries])}


def _dev_series(entries: Sequence[Mapping[str, Any]]) -> Series:
    flat = []
    for entry in entries:
        evaluation = Evaluation.from_json(entry["evaluation"], Place(log.FILE, "evaluation"))
        values = {name: score.value for name, score in evaluation.scores.items()}
        flat.append({"step": entry["step"], "dev": values | {"overall": evaluation.overall}})
    return _task_series(flat, "dev")


def label_section(inputs: EvaluationInput) -> Section:
    """Draw the label distributions of train and dev (the paper's Figure 4)."""
    charts = []
    for task in inputs.model.config.tasks:
        found = {
            split: rows
            for split in ("train", "dev")
            if (rows := inputs.rows[split].get(task.name)) is not None
        }
        charts.append(_label_chart(task, found))
    intro = "Rows by label in each split, as in the paper's Figure 4; numbers above bars are rows."
    if any(
        isinstance(row.target, tuple)
        for rows in inputs.rows.values()
        for task in rows.values()
        for row in task.rows
    ):
        intro += " Rows whose label allows several classes are omitted."
    return Section("labels", "Label distributions", intro, charts)


def _label_chart(task: TaskSpec, found: Mapping[str, TaskRows]) -> Chart:
    title = f"Labels of {task.name}"
    if not found:
        return Chart(title, f"The train and dev files of {task.name} are missing.")
    if len(task.labels) > MAX_CONFUSION:
        return Chart(title, f"{len(task.labels):,} classes are too many to draw.")
    counted = {
        split: distribution(
            task, [row.target for row in rows.rows if isinstance(row.target, float)]
        )
        for split, rows in found.items()
    }
    drawing = figures.svg(
        f"labels-{task.name}",
        title,
        lambda: figures.distributions(counted, "label" if task.labels else "score"),
    )
    parts = [f"{sum(of_split.counts):,} {split} rows" for split, of_split in counted.items()]
    absent = [f"; the {split} file is missing" for split in ("train", "dev") if split not in found]
    return Chart(title, " and ".join(parts) + "".join(absent) + ".", drawing)


def task_section(labelled: LabelledPredictions, score: Score, num_errors: int) -> Section:
    """Show what the model gets right and wrong on a task's dev rows."""
    name, rows = labelled.task.name, f"{len(labelled.truth):,} dev rows"
    if labelled.probabilities_NC is None:
        charts, length_label = [_scatter(labelled)], "mean absolute error"
    else:
        charts, length_label = [_confusion(labelled), _reliability(labelled)], "accuracy"
    bins = by_length(labelled)
    title = f"{length_label.capitalize()} by length"
    drawing = figures.svg(f"length-{name}", title, lambda: figures.by_length(bins, length_label))
    ranges = "1 range" if len(bins) == 1 else f"{len(bins)} ranges"
    caption = f"{rows} in {ranges} of length, as evenly as rows of one length allow (n: rows)."
    charts.append(Chart(title, caption, drawing))
    measured = ", ".join(f"{metric} {value}" for _, metric, value, _ in score.lines(name))
    intro = f"{measured} on {rows}."
    return Section(name, name.capitalize(), intro, charts, _worst_rows(labelled, num_errors))


def _confusion(labelled: LabelledPredictions) -> Chart:
    counts_CC, labels = confusion(labelled), labelled.task.labels
    if len(labels) > MAX_CONFUSION:
        return Chart("Confusion matrix", _describe_confused(counts_CC, labels))
    drawing = figures.svg(
        f"confusion-{labelled.task.name}",
        f"Confusion matrix of {labelled.task.name}",
        lambda: figures.confusion(counts_CC, labels),
    )
    caption = (
        f"{counts_CC.sum():,} dev rows; each cell has its rows and its share of the true class."
    )
    return Chart("Confusion matrix", caption, drawing)


def _describe_confused(counts_CC: npt.NDArray[np.int64], labels: Sequence[str]) -> str:
    """The pairs of classes that are confused most, in words: they are too many to draw."""
    off_CC = counts_CC - np.diag(counts_CC.diagonal())
    order = np.argsort(-off_CC, axis=None, kind="stable")[:10]
    pairs = [divmod(int(index), len(labels)) for index in order if off_CC.flat[index]]
    said = [f"{labels[a]} taken for {labels[b]} {off_CC[a, b]:,} times" for a, b in pairs]
    return f"{len(labels):,} classes are too many to draw. {'; '.join(said) or 'None is confused'}."


def _reliability(labelled: LabelledPredictions) -> Chart:
    assert labelled.probabilities_NC is not None
    bins, error = reliability(labelled.probabilities_NC.max(axis=1), 1 - labelled.errors)
    drawing = figures.svg(
        f"reliability-{labelled.task.name}",
        f"Reliability diagram of {labelled.task.name}",
        lambda: figures.reliability(bins),
    )
    caption = (
        f"Expected calibration error {error:.4f} on {len(labelled.truth):,} dev rows. Confidence is"
        " the probability of the predicted class; the numbers at the top are the rows of each bin."
    )
    return Chart("Reliability diagram", caption, drawing)


def _scatter(labelled: LabelledPredictions) -> Chart:
    drawn: list[int] = []

    def draw() -> Any:
        figure, count = figures.scatter(labelled)
        drawn.append(count)
        return figure

    name = labelled.task.name
    drawing = figures.svg(f"scatter-{name}", f"Scores of {name}", draw)
    sample = "" if drawn[0] == len(labelled.truth) else f"; a random {drawn[0]:,} of them are drawn"
    return Chart("Predicted over true score", f"{len(labelled.truth):,} dev rows{sample}.", drawing)


def _worst_rows(labelled: LabelledPredictions, num_errors: int) -> WrongRows:
    rows, num_wrong = find_worst(labelled, num_errors)
    of_all = f"{len(labelled.truth):,} dev rows"
    if labelled.probabilities_NC is None:
        return WrongRows(f"The {len(rows)} largest errors of {of_all}.", rows)
    if not rows:
        return WrongRows(f"None of {of_all} is wrong.", rows)
    caption = (
        f"The {len(rows)} with the highest loss of {num_wrong:,} wrong answers on {of_all}, with"
        " the probability of the true and of the predicted class."
    )
    return WrongRows(caption, rows)
