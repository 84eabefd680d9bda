"""The training loop of every objective: steps, evaluations and checkpoints, as events."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import nn

from swiss_training import checkpoint, fingerprint
from swiss_training.checkpoint import Checkpoint
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
from swiss_training.observer import NOBODY, Observer
from swiss_training.run_folder import RunFolder
from swiss_training.step import schedule_factor, take_step
from swisscli.core.errors import DivergedError, ModelError

FIRST_SAVE_SECONDS = 60.0
"""Longest time before a run's first checkpoint."""


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
        observer: Receives the progress of the run.
    """

    def __init__(
        self,
        objective: Objective,
        folder: RunFolder,
        stop: Interruption | None = None,
        observer: Observer = NOBODY,
    ) -> None:
        self.objective = objective
        self.folder = folder
        self.stop = stop or Interruption()
        self.observer = observer
        self.progress = Progress()
        self.notes = list(objective.notes)
        observer.on_activity("hashing what the run reads")
        self._fingerprint = fingerprint.compute(objective)
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
        with self.folder.report_write_errors(self.folder.path):
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
            with self.stop.obey_at_once():
                baseline = objective.baseline()
            if baseline:
                yield Evaluated(0, baseline, best=False)
        clock = _Clock()
        while not self._is_over() and not self._must_stop(clock):
            if self._save_by_time and self._has_unsaved():
                yield self._save()
            elif self._evaluation_is_due():  # also after an interrupted evaluation
                with clock.pause():
                    yield from self._evaluate()
                yield self._save()
            elif progress.step % objective.config.save_every == 0 and self._has_unsaved():
                yield self._save()
            else:
                began = time.perf_counter()
                examples = take_step(objective, progress.step)
                clock.count(examples, time.perf_counter() - began)
                progress.step += 1
                self.observer.on_step(progress.step)
                if progress.step % objective.config.log_every == 0 or self._is_last():
                    yield self._log(clock.rate())

    def _must_stop(self, clock: "_Clock") -> bool:
        """Agree with the other ranks on stopping, and on saving because of the time.

        A checkpoint is due before the time is up if what comes next would end after it.
        """
        # In an evaluation an example takes no longer than in a step.
        rows = sum(self.objective.dev_rows.values()) if self._evaluation_is_due() else None
        ends = time.monotonic() - self._saved_at + clock.seconds_for(rows)
        by_time = bool(self._save_seconds) and ends >= self._save_seconds
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

    def _has_unsaved(self) -> bool:
        return self.progress.step not in (0, self._saved_step)

    def _log(self, sequences_per_second: float) -> StepsDone:
        objective, step = self.objective, self.progress.step
        losses = objective.losses.take()
        for name, loss in losses.items():
            if not math.isfinite(loss):
                raise self._divergence_error(f"the loss of {name} is")
        return StepsDone(
            step=step,
            epoch=objective.epochs_done(step - 1) + 1,
            losses=losses,
            weights=objective.weights(),
            learning_rate=objective.config.learning_rate * schedule_factor(objective, step - 1),
            sequences_per_second=sequences_per_second,
        )

    def _evaluate(self) -> Iterator[Event]:
        """Evaluate the model; write it if it is the best so far, or without dev data."""
        objective, progress = self.objective, self.progress
        objective.settle()
        self._check_finite()
        with self.stop.obey_at_once():
            measured = ranks.from_first(objective.evaluate())
        if measured and not math.isfinite(measured.selection_score):
            raise self._divergence_error("the score on the dev data is")
        best = progress.best
        is_best = (
            measured is None or best is None or measured.selection_score > best.selection_score
        )
        if is_best:
            self.observer.on_activity("writing the model")
            if ranks.is_first():
                with self.folder.report_write_errors(self.folder.path):
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
        self.observer.on_activity("writing a checkpoint")
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
            raise self._divergence_error("the model's weights are")

    def _divergence_error(self, what: str) -> DivergedError:
        return DivergedError(
            f"step {self.progress.step}: {what} not finite",
            hint="lower `learning_rate`, or use `precision=fp32`",
        )


class _Clock:
    """Examples per second, without the time of evaluations, and how long the last step took."""

    def __init__(self) -> None:
        self._since, self._examples = time.perf_counter(), 0
        self._last, self._last_seconds = 0, 0.0

    def count(self, examples: int, seconds: float) -> None:
        """Count the examples of a step."""
        self._examples += examples
        self._last, self._last_seconds = examples, seconds

    def seconds_for(self, examples: int | None = None) -> float:
        """The seconds that so many examples take, or a step, as the last step took them."""
        whole = self._last if examples is None else examples
        return whole * self._last_seconds / max(self._last, 1)

    def rate(self) -> float:
        """Return the rate since the last call."""
        seconds, examples = time.perf_counter() - self._since, self._examples
        self._since, self._examples = time.perf_counter(), 0
        return examples / seconds

    @contextmanager
    def pause(self) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self._since += time.perf_counter() - began
