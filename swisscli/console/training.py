"""A training or pretraining run, as it is shown on standard error."""

import sys
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING, Self

from swiss_training.events import Evaluated, Event, Finished, Started, StepsDone
from swisscli.console.messages import is_colored, is_terminal
from swisscli.core.io.text import visible

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.progress import Progress


class TrainingDisplay:
    """Shows a training run on standard error: live on a terminal, a line per event elsewhere."""

    def __init__(self) -> None:
        self._live: Live | None = None
        self._bar: Progress | None = None
        self._num_steps = self._first_step = 0
        self._began = 0.0
        self._rows: dict[str, dict[str, float]] = {}
        self._dev: dict[str, float] = {}

    def __enter__(self) -> Self:
        if is_terminal(sys.stderr):
            from rich.console import Console
            from rich.live import Live
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
            )
            console = Console(
                stderr=True, color_system="standard" if is_colored(sys.stderr) else None
            )
            self._live = Live(get_renderable=self._render, console=console, refresh_per_second=4)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def line(self, message: str) -> None:
        """Print a line; on a terminal above the live part."""
        if self._live:
            from rich.text import Text

            self._live.console.print(Text(visible(message)))
        else:
            print(visible(message), file=sys.stderr, flush=True)  # noqa: T201

    def show(self, event: Event) -> None:
        """Show an event; those that say nothing new to a person are passed over."""
        match event:
            case Started():
                self._start(event)
            case StepsDone():
                self._steps(event)
            case Evaluated():
                self._dev = event.evaluation.figures
                named = "  ".join(f"{name} {value:.4f}" for name, value in self._dev.items())
                mark = "  best so far" if event.best else ""
                self.line(f"step {event.step}  dev {named}{mark}")
            case Finished(stopped_early=True):
                self.line(f"stopped early at step {event.step}")

    def _start(self, event: Started) -> None:
        self.line(f"{event.data}; {event.num_steps:,} steps on {event.device} in {event.precision}")
        for note in event.notes:
            self.line(note)
        self._num_steps, self._first_step = event.num_steps, event.step
        self._began = monotonic()
        if self._bar:
            self._bar.add_task("training", total=event.num_steps, completed=event.step, rate="")

    def _steps(self, event: StepsDone) -> None:
        steps_left, steps_done = self._num_steps - event.step, event.step - self._first_step
        left = timedelta(seconds=round(steps_left * (monotonic() - self._began) / steps_done))
        rate = f"{event.sequences_per_second:,.0f} sequences/s  {left} left"
        for task, loss in event.losses.items():
            self._rows.setdefault(task, {}).update(loss=loss)
        for task, weight in event.weights.items():
            self._rows.setdefault(task, {}).update(weight=weight)
        if self._bar:
            self._bar.update(
                self._bar.task_ids[0],
                completed=event.step,
                rate=rate,
                description=f"epoch {event.epoch}",
            )
        else:
            factors = {task: f" (x{weight:.3f})" for task, weight in event.weights.items()}
            tasks = "  ".join(
                f"{t} {loss:.4f}{factors.get(t, '')}" for t, loss in event.losses.items()
            )
            self.line(
                f"step {event.step}/{self._num_steps}  epoch {event.epoch}"
                f"  lr {event.learning_rate:.2e}  {rate}  loss: {tasks}"
            )

    def _render(self) -> "RenderableType":
        from rich.console import Group
        from rich.table import Table

        assert self._bar
        table = Table(box=None, pad_edge=False)
        for name in ("task", "loss", "weight", "dev"):
            table.add_column(name, justify="left" if name == "task" else "right")
        for task, row in self._rows.items():
            values = (row.get("loss"), row.get("weight"), self._dev.get(task))
            table.add_row(task, *("" if value is None else f"{value:.4f}" for value in values))
        return Group(table, self._bar)
