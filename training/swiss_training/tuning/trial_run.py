"""One trial: trains it, stops it if it is worse than others, and says what came of it."""

import shutil
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import Any

from swiss_training import ledger, log
from swiss_training.events import Evaluated, Event, Finished, Started
from swiss_training.interruption import Interruption
from swiss_training.multitask import objective
from swiss_training.multitask.config import TrainConfig
from swiss_training.multitask.metrics import Evaluation, Metrics
from swiss_training.observer import NOBODY, Observer
from swiss_training.run_folder import RunFolder
from swiss_training.tuning import optimizer
from swiss_training.tuning.search_folder import SearchFolder
from swiss_training.tuning.space import Values
from swiss_training.tuning.trial import State, Trial
from swisscli.core.errors import ConfigurationError, DataError, DivergedError, SwissError
from swisscli.core.model.directory import METRICS
from swisscli.core.model.schema import Place


class TrialRun:
    """A trial that runs.

    Args:
        folder: The search's folder.
        trials: The trials that have ended.
        number: Its number.
        values: Its values.

    Attributes:
        number: Its number.
        values: Its values.
        state: How it ended; None until it has.
    """

    def __init__(
        self, folder: SearchFolder, trials: Sequence[Trial], number: int, values: Values
    ) -> None:
        self.number, self.values = number, values
        self.state: State | None = None
        self._search, self._trials = folder.search, trials
        self._config = folder.config_of(number, values)
        self._folder = RunFolder(folder.folder_of(number), TrainConfig)
        self._reason = ""

    def events(self, stop: Interruption, observer: Observer = NOBODY) -> Iterator[Event]:
        """Train to the end, or until a request to stop, or until others are better.

        What the trial's own values are to blame for is the trial's failure.

        Args:
            stop: Request to stop.
            observer: Receives the progress of the run.

        Raises:
            SwissError: if anything else fails.
        """
        num_steps = 0
        try:
            with closing(self._train(stop, observer)) as events:
                for event in events:
                    yield event
                    match event:
                        case Started():
                            num_steps = event.num_steps
                            self._check_rows(event)
                        case Evaluated() if self._search.prune and event.step < num_steps:
                            if optimizer.is_worse(self._search, self._trials, self._scores()):
                                self.state = "pruned"
                                return
                        case Finished():
                            self.state = "complete"
        except (ConfigurationError, DivergedError) as error:
            self.state, self._reason = "failed", "; ".join(error.summaries)

    def _train(self, stop: Interruption, observer: Observer) -> Generator[Event, None, None]:
        """Resume the run if what an earlier process left of it is whole; else begin it."""
        events = self._resumed(stop, observer)
        if events is None:
            shutil.rmtree(self._folder.path, ignore_errors=True)
            events = objective.fit(self._config, stop, observer)
        yield from events

    def _resumed(self, stop: Interruption, observer: Observer) -> Iterator[Event] | None:
        if self._folder.config.is_file():
            with suppress(SwissError):  # what is not the folder's fault ends a new run as well
                begun = TrainConfig.read(self._folder.config)
                if not ledger.differences(ledger.settings(begun), self._config):
                    return objective.resume(self._folder.path, stop, observer)
        return None

    def _check_rows(self, started: Started) -> None:
        """Refuse to compare scores on different data."""
        for trial in self._trials:
            before = (trial.train_rows, trial.dev_rows)
            if trial.train_rows and before != (started.train_rows, started.dev_rows):
                raise DataError(
                    f"the data has changed since trial {trial.number}: its rows were"
                    f" {trial.train_rows} and {trial.dev_rows}, are now {started.train_rows} and"
                    f" {started.dev_rows}",
                    hint="restore the data, or search in another `output=DIR`",
                )

    def _scores(self) -> list[float]:
        """Return the metric at each evaluation, also at those before it was interrupted."""
        place = Place(self._folder.path / log.FILE)
        evaluations = [
            Evaluation.from_json(entry["evaluation"], place)
            for entry in log.read(self._folder.path)
            if entry["event"] == Evaluated.__name__
        ]
        return [evaluation.figures[self._search.metric] for evaluation in evaluations]

    def result(self, command: str) -> Trial:
        """Return what came of it, from its folder.

        Args:
            command: The command that started it.
        """
        assert self.state
        entries = log.read(self._folder.path)
        started: dict[str, Any] = next((e for e in entries if e["event"] == Started.__name__), {})
        best = None
        if self.state != "failed":
            best = Metrics.read(self._folder.path / METRICS).train
        return Trial(
            number=self.number,
            state=self.state,
            values=self.values,
            score=best.dev.figures[self._search.metric] if best else None,
            metrics=best.dev if best else None,
            scores=self._scores(),
            steps=entries[-1]["step"] if entries else 0,
            best_step=best.step if best else 0,
            seconds=log.seconds(entries),
            reason=self._reason,
            train_rows=started.get("train_rows", {}),
            dev_rows=started.get("dev_rows", {}),
            device=started.get("device", ""),
            precision=started.get("precision", ""),
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            command=command,
        )
