"""The training loop of every objective, as a generator of events. It prints nothing."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from swiss_training import checkpoint, fingerprint, log, optim
from swiss_training.checkpoint import Checkpoint
from swiss_training.config import RunConfig
from swiss_training.distributed import ranks
from swiss_training.distributed.ranks import LostRankError
from swiss_training.events import (
    Evaluated,
    Event,
    Finished,
    Interrupted,
    Measurement,
    Saved,
    Started,
    StepsDone,
)
from swiss_training.interruption import Interruption
from swiss_training.objective import Objective
from swiss_training.run_folder import RunFolder, folder_of
from swiss_training.tracking import find_tracker, tracked
from swisscli.core.errors import ConfigurationError, DataError, ModelError, SwissError

FIRST_SAVE_SECONDS = 60.0
"""Longest time before a run's first checkpoint."""


C = TypeVar("C", bound=RunConfig)


def fit(
    make_objective: Callable[[C], Objective], config: C, stop: Interruption | None = None
) -> Iterator[Event]:
    """Train a new run into `config.output`.

    Several ranks train together what one process would with a batch of all theirs; that is the
    batch size which the run records.

    Args:
        make_objective: Function that reads data and encoder.
        config: The configuration.
        stop: Request to stop, checked after each step.

    Raises:
        SwissError: if data or encoder are bad, the device or the tracker's library is missing, a
            loss is not finite, or the folder is not writable or in use.
    """
    folder = RunFolder(Path(config.output), type(config))
    config = replace(config, batch_size=config.batch_size * ranks.size())
    if ranks.is_first():
        folder.check_new()
    find_tracker(config.track)
    return _events(Run(make_objective(config), folder, stop))


def resume(
    make_objective: Callable[[C], Objective],
    kind: type[C],
    path: Path,
    stop: Interruption | None = None,
) -> Iterator[Event]:
    """Resume a run from a checkpoint, or from step 0 if it has none yet.

    Args:
        make_objective: Function that reads data and encoder.
        kind: Class of the run's configuration.
        path: Run folder, whose last checkpoint is used, or one of its checkpoints.
        stop: Request to stop, checked after each step.

    Raises:
        ConfigurationError: if the folder has no run or is in use, or configuration, data or encoder
            differ from those that the run began with.
        DataError: if the data is missing.
        ModelError: if the checkpoint is damaged.
    """
    folder = RunFolder(folder_of(path), kind)
    if not folder.config.is_file():
        raise ConfigurationError(
            f"{folder.path}: no run to resume, {folder.config.relative_to(folder.path)} is missing",
            hint=f"start one: {kind.command} `output=DIR`",
        )
    try:
        if ranks.is_first():
            folder.lock()
            folder.clean()
        config = kind.read(folder.config, output=str(folder.path))
        find_tracker(config.track)
        state = folder.load(None if folder.path == path else path)
        run = Run(make_objective(config), folder, stop)
        if state:
            run.restore(state)
    except DataError as error:
        folder.release()
        hint = "resume it in the folder where it began, with the data it had"
        raise DataError(error.summary, hint=hint, details=error.details) from None
    except BaseException:
        folder.release()
        raise
    return _events(run)


def _events(run: "Run") -> Iterator[Event]:
    """Yield the events of a run after writing each to its log."""
    try:
        run.begin()
        events = run.events()
        if ranks.is_first():  # the one rank that writes
            tracked_events = tracked(events, run.folder.path, run.objective.config)
            events = log.logged(run.folder, tracked_events)
        yield from events
    finally:
        run.folder.release()


def take_step(objective: Objective, step: int) -> int:
    """Take an optimizer step.

    Args:
        objective: The objective.
        step: Number of steps taken before, which decides learning rate and data.

    Returns:
        The number of examples in the step, of all ranks.
    """
    config = objective.config
    ranks.seed(config.seed, step)
    objective.optimizer.zero_grad(set_to_none=True)
    examples = objective.backward(step)
    if config.max_grad_norm:
        optim.clip_gradients(objective.model.parameters(), config.max_grad_norm)
    optim.set_learning_rate(objective.optimizer, _factor(objective, step))
    objective.optimizer.step()
    objective.after_step()
    return examples


def _factor(objective: Objective, step: int) -> float:
    config = objective.config
    return optim.schedule_factor(step, objective.num_steps, config.warmup_ratio, config.schedule)


@dataclass
class Progress:
    """The progress of a run. Everything else in a run's state follows from the step.

    Attributes:
        step: Optimizer steps taken.
        evaluated: Last step after which the dev data was evaluated.
        best: Best evaluation so far; None before the first, or without dev data.
        best_step: Step after which the model was last written.
        evaluations_since_best: Evaluations since then.
    """

    step: int = 0
    evaluated: int = 0
    best: Measurement | None = None
    best_step: int = 0
    evaluations_since_best: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the progress as a JSON object."""
        return {**vars(self), "best": self.best and self.best.to_json()}


class Run:
    """A run in memory: an objective, its folder and its progress.

    Args:
        objective: The objective.
        folder: The run's folder.
        stop: Request to stop, checked after each step; None for a run that nothing interrupts.
    """

    def __init__(
        self, objective: Objective, folder: RunFolder, stop: Interruption | None = None
    ) -> None:
        self.objective = objective
        self.folder = folder
        self.stop = stop or Interruption()
        self.progress = Progress()
        self.notes = list(objective.notes)
        self._fingerprint = fingerprint.of(objective)
        fingerprint.check_same(self._fingerprint)
        if ranks.size() > 1:
            whole = objective.config.batch_size
            self.notes.append(f"{ranks.size()} ranks share each batch of {whole}")
        self._stopping = self._save_by_time = False
        self._saved_step: int | None = None
        self._saved_at = time.monotonic()
        seconds = 60 * objective.config.save_minutes
        self._save_seconds = min(seconds, FIRST_SAVE_SECONDS) if seconds else FIRST_SAVE_SECONDS

    def restore(self, state: Checkpoint) -> None:
        """Restore the state of a checkpoint.

        Raises:
            ConfigurationError: if configuration, data or encoder differ from the checkpoint's.
            ModelError: if the checkpoint does not fit the objective.
        """
        objective, where = self.objective, self.folder.resumed_from
        try:
            recorded = state.record["fingerprint"]
            fingerprint.check(self.folder.path, recorded, self._fingerprint)
            self.notes += fingerprint.warnings(recorded, self._fingerprint)
            self.progress = self._read_progress(state.record["progress"])
            checkpoint.restore(
                state.tensors, self._modules(), objective.optimizer, objective.device
            )
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise ModelError(f"{where}: does not fit the run: {error}") from None
        objective.seek(self.progress.step)
        self._saved_step = self.progress.step

    def _read_progress(self, values: dict[str, Any]) -> Progress:
        best = values["best"]
        progress = Progress(**{**values, "best": best and self.objective.read_measurement(best)})
        counts = [getattr(progress, f.name) for f in fields(Progress) if f.name != "best"]
        if not all(type(count) is int and count >= 0 for count in counts):
            raise ValueError(f"its progress is {values}")
        if max(progress.evaluated, progress.best_step) > progress.step:
            raise ValueError(f"its progress is {values}")
        if progress.best and not math.isfinite(progress.best.selection_score):
            raise ValueError(f"its progress is {values}")
        if progress.step > self.objective.num_steps:
            raise ValueError(
                f"it was written after step {progress.step}, the run ends at"
                f" {self.objective.num_steps}"
            )
        return progress

    def _modules(self) -> dict[str, nn.Module]:
        return {**self.objective.modules(), "losses": self.objective.losses}

    def begin(self) -> None:
        """Create the folder of a new run, and compute what the first step needs."""
        if ranks.is_first() and not self.folder.config.is_file():
            self.folder.begin(self.objective.config)
        with self.folder.writing(self.folder.path):
            self.objective.prepare(self.folder.path)

    def events(self) -> Iterator[Event]:
        """Train to the end, or until a request to stop."""
        objective, progress = self.objective, self.progress
        self.stop.deferring = True
        self._saved_at = time.monotonic()
        try:
            yield Started(
                num_steps=objective.num_steps,
                step=progress.step,
                data=objective.data,
                train_rows=objective.train_rows,
                dev_rows=objective.dev_rows,
                device=str(objective.device),
                precision=objective.precision,
                notes=self.notes,
            )
            try:
                yield from self._steps()
            except KeyboardInterrupt:
                if self.stop.insisted or not self.stop.requested:
                    raise
                self._stopping = True
            except LostRankError:  # the state is that of the last whole step
                if progress.step and self._saved_step != progress.step:
                    yield self._save()
                if not (self.stop.requested and self._evaluation_is_due()):
                    raise
                self._stopping = True
            if self._stopping and not self._is_over():
                if self._saved_step != progress.step:
                    yield self._save()
                yield Interrupted(progress.step)
            else:
                yield Finished(
                    step=progress.step,
                    best=progress.best,
                    best_step=progress.best_step,
                    stopped_early=progress.step < objective.num_steps,
                )
        finally:
            self.stop.deferring = False

    def _is_over(self) -> bool:
        progress, patience = self.progress, self.objective.config.patience
        if self._evaluation_is_due():
            return False
        out_of_patience = bool(patience) and progress.evaluations_since_best >= patience
        return progress.step >= self.objective.num_steps or out_of_patience

    def _steps(self) -> Iterator[Event]:
        """Take the remaining steps. The run can stop between two steps."""
        objective, progress = self.objective, self.progress
        if progress.step == 0:
            with self.stop.at_once():
                baseline = objective.baseline()
            if baseline:
                yield Evaluated(0, baseline, best=False)
        clock = _Clock()
        while not self._is_over() and not self._must_stop():
            if self._evaluation_is_due():  # also after an interrupted evaluation
                with clock.paused():
                    yield from self._evaluate()
                yield self._save()
            elif self._save_is_due():
                yield self._save()
            else:
                clock.count(take_step(objective, progress.step))
                progress.step += 1
                if progress.step % objective.config.log_every == 0 or self._is_last():
                    yield self._log(clock.rate())

    def _must_stop(self) -> bool:
        """Agree with the other ranks on stopping, and on saving because of the time."""
        waited = time.monotonic() - self._saved_at
        by_time = bool(self._save_seconds) and waited >= self._save_seconds
        self._stopping, self._save_by_time = ranks.any_of(self.stop.requested, by_time)
        return self._stopping

    def _is_last(self) -> bool:
        return self.progress.step == self.objective.num_steps

    def _evaluation_is_due(self) -> bool:
        step, every = self.progress.step, self.objective.config.eval_every
        if step == self.progress.evaluated:
            return False
        epoch_ends = self.objective.epochs_done(step) > self.objective.epochs_done(step - 1)
        return self._is_last() or (step % every == 0 if every else epoch_ends)

    def _save_is_due(self) -> bool:
        step = self.progress.step
        if step in (0, self._saved_step):
            return False
        return self._save_by_time or step % self.objective.config.save_every == 0

    def _log(self, sequences_per_second: float) -> StepsDone:
        objective, step = self.objective, self.progress.step
        losses = objective.losses.take()
        for name, loss in losses.items():
            if not math.isfinite(loss):
                raise self._diverged(f"the loss of {name} is")
        return StepsDone(
            step=step,
            epoch=objective.epochs_done(step - 1) + 1,
            losses=losses,
            weights=objective.weights(),
            learning_rate=objective.config.learning_rate * _factor(objective, step - 1),
            sequences_per_second=sequences_per_second,
        )

    def _evaluate(self) -> Iterator[Event]:
        """Evaluate the model; write it if it is the best so far, or without dev data."""
        objective, progress = self.objective, self.progress
        objective.settle()
        self._check_finite()
        with self.stop.at_once():
            measured = ranks.from_first(objective.evaluate())
        if measured and not math.isfinite(measured.selection_score):
            raise self._diverged("the score on the dev data is")
        best = progress.best
        is_best = (
            measured is None or best is None or measured.selection_score > best.selection_score
        )
        if is_best:
            if ranks.is_first():
                with self.folder.writing(self.folder.path):
                    objective.write(self.folder.path, progress.step, measured)
            progress.best, progress.best_step = measured, progress.step
            progress.evaluations_since_best = 0
        else:
            progress.evaluations_since_best += 1
        progress.evaluated = progress.step
        if measured:
            yield Evaluated(progress.step, measured, is_best)

    def _save(self) -> Saved:
        """Write a checkpoint; every rank saves, the first writes. Ranks need not wait for it."""
        self._check_finite()
        objective = self.objective
        if ranks.is_first():
            tensors = checkpoint.collect(self._modules(), objective.optimizer, objective.device)
            record = {"progress": self.progress.to_json(), "fingerprint": self._fingerprint}
            self.folder.save(Checkpoint(tensors, record))
        self._saved_step, self._saved_at = self.progress.step, time.monotonic()
        self._save_seconds = 60 * objective.config.save_minutes
        return Saved(self.progress.step)

    def _check_finite(self) -> None:
        """Refuse to evaluate or save a state that is not finite."""
        if not all(bool(torch.isfinite(p).all()) for p in self.objective.model.parameters()):
            raise self._diverged("the model's weights are")

    def _diverged(self, what: str) -> SwissError:
        return SwissError(
            f"step {self.progress.step}: {what} not finite",
            hint="lower `learning_rate`, or use `precision=fp32`",
        )


class _Clock:
    """Examples per second, without the time of evaluations."""

    def __init__(self) -> None:
        self._since, self._examples = time.perf_counter(), 0

    def count(self, examples: int) -> None:
        self._examples += examples

    def rate(self) -> float:
        """Return the rate since the last call."""
        seconds, examples = time.perf_counter() - self._since, self._examples
        self._since, self._examples = time.perf_counter(), 0
        return examples / seconds

    @contextmanager
    def paused(self) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self._since += time.perf_counter() - began
