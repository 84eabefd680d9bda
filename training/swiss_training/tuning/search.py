"""What is searched for, and how."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from swiss_training import ledger
from swiss_training.experiments.paper_tables import OVERALL
from swiss_training.tuning.space import Range, Space
from swisscli.core.errors import ConfigurationError, Problems

Algorithm = Literal["tpe", "random", "grid"]
"""How the values of trials are chosen."""


@dataclass(frozen=True)
class Search:
    """A search.

    Attributes:
        space: The options and their values.
        metric: The task whose dev metric is searched for, or `OVERALL`.
        algorithm: How values are chosen.
        prune: Whether trials that are worse than others are stopped early.
    """

    space: Space
    metric: str = OVERALL
    algorithm: Algorithm = "tpe"
    prune: bool = False

    def __post_init__(self) -> None:
        """Check the choices.

        Raises:
            ConfigurationError: if any is wrong; lists all problems.
        """
        tasks, problems = self.space.base.tasks, Problems()
        if self.metric not in (OVERALL, *tasks):
            problems.add(
                ConfigurationError(
                    f"metric is {self.metric!r}, not {OVERALL} or one of the tasks:"
                    f" {', '.join(tasks)}"
                )
            )
        if self.algorithm not in get_args(Algorithm):
            problems.add(
                ConfigurationError(
                    f"algorithm is {self.algorithm!r}, not {' or '.join(get_args(Algorithm))}"
                )
            )
        real = [d for d in self.space.dimensions if isinstance(d, Range) and d.all_values is None]
        if self.algorithm == "grid" and real:
            problems.add(
                ConfigurationError(
                    f"a grid has no ranges of real numbers: {', '.join(d.text for d in real)}",
                    hint=f"list values, for example {real[0].key}={real[0].low},{real[0].high}",
                )
            )
        problems.check()

    def definition(self) -> dict[str, Any]:
        """What must stay the same when the search resumes."""
        searched = {dimension.key for dimension in self.space.dimensions}
        base = self.space.base
        settings = {k: v for k, v in ledger.settings(base).items() if k not in searched}
        return {
            "search": [dimension.text for dimension in self.space.dimensions],
            "metric": self.metric,
            "algorithm": self.algorithm,
            "prune": self.prune,
            "seed": base.seed,
            **settings,
        }
