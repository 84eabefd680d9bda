"""Shows a training or pretraining run on standard error."""

import sys
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple, Self

from swiss_training.events import Evaluated, Event, Finished, Saved, Started, StepsDone
from swiss_training.interruption import Interruption
from swiss_training.observer import Observer
from swisscli.console.messages import is_colored, is_terminal
from swisscli.core.io.text import escape_control

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.spinner import Spinner

_BAR_WIDTH = 30


class _Progress(NamedTuple):
    """The progress of an activity.

    Attributes:
        what: Name of the activity.
        done: Amount that is done.
        total: Total amount; None if unknown.
        unit: Unit of the amounts.
        first: Amount that was done at the start.
        began: Time of the start.
        advanced: When so much was done.
    """

    what: str
    done: int
    total: int | None
    unit: str
    first: int
    began: float
    advanced: float

    def advance(self, done: int) -> "_Progress":
        return self._replace(done=done, advanced=monotonic())

    def left(self, now: float) -> str:
        """Return the time that is left at the mean speed; empty until the speed is known."""
        if self.total is None or self.done <= self.first:
            return ""
        each = (self.advanced - self.began) / (self.done - self.first)
        ahead = self.total - self.done
        # Counts down while one more is done, however long that takes.
        seconds = ahead * each - min(now - self.advanced, each) if ahead else 0.0
        return f"{timedelta(seconds=round(seconds))} left"


class TrainingDisplay(Observer):
    """Shows a training run on standard error: live on a terminal, a line per event elsewhere.

    What is shown live is read from the attributes a few times a second, so that a step costs the
    setting of one.
    """

    def __init__(self) -> None:
        self._live: Live | None = None
        self._spinner: Spinner | None = None
        self._stop: Interruption | None = None
        self._steps: _Progress | None = None
        self._activity: _Progress | None = None
        self._rate = ""
        self._saved = 0
        self._rows: dict[str, dict[str, float]] = {}
        self._dev: dict[str, float] = {}

    def __enter__(self) -> Self:
        if is_terminal(sys.stderr):
            from rich.console import Console
            from rich.live import Live
            from rich.spinner import Spinner

            console = Console(
                stderr=True, color_system="standard" if is_colored(sys.stderr) else None
            )
            if not console.is_dumb_terminal:
                self._spinner = Spinner("dots")
                self._live = Live(
                    get_renderable=self._render,
                    console=console,
                    refresh_per_second=4,
                    redirect_stdout=False,
                )
                self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end_live()

    def end_live(self) -> None:
        """End the live part, and leave it on the terminal."""
        if self._live:
            self._spinner = self._activity = None  # what stays is the table and how far it came
            self._live.stop()
            self._live = None

    def line(self, message: str) -> None:
        """Print a line, above the live part on a terminal."""
        if self._live:
            from rich.text import Text

            self._live.console.print(Text(escape_control(message)), soft_wrap=True)
        else:
            print(escape_control(message), file=sys.stderr, flush=True)  # noqa: T201

    def follow(self, stop: Interruption) -> None:
        """Also show what Ctrl-C does, and that it was pressed."""
        self._stop = stop

    def on_activity(
        self, what: str, done: int = 0, total: int | None = None, unit: str = ""
    ) -> None:
        """Show an activity before or between the steps."""
        if not self._live:
            return
        before = self._activity
        if before and before.what == what:
            self._activity = before.advance(done)
        else:
            self._activity = _begin(what, done, total, unit)
        if self._activity.began == self._activity.advanced or done == total:
            self._live.refresh()  # it may be over before the next frame

    def on_step(self, step: int) -> None:
        """Move the bar."""
        self._activity = None
        if self._steps:
            self._steps = self._steps.advance(step)

    def show(self, event: Event) -> None:
        """Show an event, unless it says nothing new."""
        self._activity = None
        match event:
            case Started():
                self._start(event)
            case StepsDone():
                self._log(event)
            case Evaluated():
                self._dev = event.evaluation.figures
                named = "  ".join(f"{name} {value:.4f}" for name, value in self._dev.items())
                mark = "  best so far" if event.best else ""
                self.line(f"step {event.step}  dev {named}{mark}")
            case Saved():
                self._saved = event.step
            case Finished(stopped_early=True):
                self.line(f"stopped early at step {event.step}")

    def _start(self, event: Started) -> None:
        self.line(f"{event.data}; {event.num_steps:,} steps on {event.device} in {event.precision}")
        for note in event.notes:
            self.line(note)
        self._saved = event.step
        self._steps = _begin("training", event.step, event.num_steps, "steps")

    def _log(self, event: StepsDone) -> None:
        assert self._steps
        for task, loss in event.losses.items():
            self._rows.setdefault(task, {}).update(loss=loss)
        for task, weight in event.weights.items():
            self._rows.setdefault(task, {}).update(weight=weight)
        self._steps = self._steps._replace(what=f"epoch {event.epoch}")
        self._rate = f"{event.sequences_per_second:,.0f} sequences/s"
        if not self._live:
            left = self._steps.left(monotonic())
            factors = {task: f" (x{weight:.3f})" for task, weight in event.weights.items()}
            tasks = "  ".join(
                f"{t} {loss:.4f}{factors.get(t, '')}" for t, loss in event.losses.items()
            )
            self.line(
                f"step {event.step}/{self._steps.total}  epoch {event.epoch}"
                f"  lr {event.learning_rate:.2e}  {self._rate}  {left}  loss: {tasks}"
            )

    def _render(self) -> "RenderableType":
        """Return the live part; called in another thread than the one that trains."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        parts: list[RenderableType] = []
        if rows := list(self._rows.items()):
            losses = Table(box=None, pad_edge=False)
            for name in ("task", "loss", "weight", "dev"):
                losses.add_column(name, justify="left" if name == "task" else "right")
            for task, row in rows:
                values = (row.get("loss"), row.get("weight"), self._dev.get(task))
                numbers = ("" if value is None else f"{value:.4f}" for value in values)
                losses.add_row(Text(escape_control(task)), *numbers)
            parts.append(losses)
        bars = Table.grid(padding=(0, 1))
        for no_wrap in (True, False, False, True, True):  # a long name and the bar give way
            bars.add_column(no_wrap=no_wrap)
        steps, activity, now = self._steps, self._activity, monotonic()
        if steps:  # their time stands still while something else is done
            paused = activity.began if activity else now
            bars.add_row(self._spinner or "", *_render_progress(steps, paused, self._rate))
        if activity:
            bars.add_row(self._spinner or "", *_render_progress(activity, now))
        parts.append(bars)
        if self._spinner and self._stop:
            parts.append(Text(self._describe_saving(self._stop), "dim"))
        return Group(*parts)

    def _describe_saving(self, stop: Interruption) -> str:
        if not self._steps:
            return "Ctrl-C stops"
        if stop.requested:
            return "stopping: the run is saved after this step; Ctrl-C again stops at once"
        if self._saved:
            return f"saved at step {self._saved:,}; Ctrl-C saves and stops"
        return "the first checkpoint comes within a minute; Ctrl-C saves and stops"


def _begin(what: str, done: int, total: int | None, unit: str) -> _Progress:
    now = monotonic()
    return _Progress(what, done, total, unit, first=done, began=now, advanced=now)


def _render_progress(progress: _Progress, now: float, rate: str = "") -> "list[RenderableType]":
    """Return a bar if the end is known, a count if something is counted, and the time left."""
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    bar: RenderableType = ""
    count, more = f"{progress.done:,}", rate
    is_ahead = progress.total is not None and progress.done < progress.total
    if progress.total is not None and (is_ahead or rate):
        bar = ProgressBar(total=progress.total, completed=progress.done, width=_BAR_WIDTH)
        count += f"/{progress.total:,}"
        more = "  ".join(filter(None, (rate, progress.left(now))))
    named = Text(escape_control(progress.what), no_wrap=True, overflow="ellipsis")
    return [named, bar, Text(f"{count} {progress.unit}" if progress.unit else ""), Text(more)]
