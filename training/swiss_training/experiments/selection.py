"""Selects the runs of a table of the paper: reads and checks rows, recipes and seeds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from swiss_training import ledger
from swiss_training.experiments.entry import Entry
from swiss_training.experiments.paper_tables import TABLES, Row, Table
from swiss_training.multitask.config import TrainConfig
from swisscli.core.errors import ConfigurationError, Problems

RECIPES = Path(__file__).parent.parent / "recipes"
OUTPUT = Path("runs") / "reproduce"
ON_HUB = {"data/encoders/minilm-l6": "sentence-transformers/all-MiniLM-L6-v2"}
"""What the folders with encoders that recipes name are on the Hub."""


@dataclass(frozen=True)
class Experiment:
    """One run.

    Attributes:
        row: Row that the run belongs to.
        recipe: Stem of the recipe.
        config: Configuration; its output is the run folder.
    """

    row: Row
    recipe: str
    config: TrainConfig

    @property
    def name(self) -> str:
        """Name of the run in messages."""
        return f"{self.recipe}, seed {self.config.seed}"

    @property
    def folder(self) -> Path:
        """The run folder."""
        return Path(self.config.output)


@dataclass(frozen=True)
class Selection:
    """A table's rows and seeds to run.

    Attributes:
        table: The table.
        small: Whether to use the small recipes.
        folder: Folder of the ledger and the run folders.
        rows: Rows to run.
        seeds: Number of seeds of each row.
        configs: Configuration of every recipe of the table, also of rows that are not run.
    """

    table: Table
    small: bool
    folder: Path
    rows: tuple[Row, ...]
    seeds: int
    configs: Mapping[str, TrainConfig]

    @property
    def name(self) -> str:
        """Name of the table in the ledger."""
        return full_name(self.table, self.small)

    def experiments(self) -> list[Experiment]:
        """Every run, the first seed of all rows before the second."""
        return [
            self._experiment(row, recipe, offset)
            for offset in range(self.seeds)
            for row in self.rows
            for recipe in row.recipes
        ]

    def _experiment(self, row: Row, recipe: str, offset: int) -> Experiment:
        config = self.configs[recipe]
        seed = config.seed + offset
        folder = self.folder / recipe / f"seed-{seed}"
        return Experiment(row, recipe, replace(config, seed=seed, output=str(folder)))


def full_name(table: Table, small: bool) -> str:
    """Return the name of a table, or of its small recipes."""
    return f"{table.name}-small" if small else table.name


def recipe_path(table: Table, recipe: str, small: bool) -> Path:
    """Return the file of a recipe."""
    return RECIPES.joinpath(table.name, *(["small"] if small else []), f"{recipe}.toml")


def find_table(name: str) -> Table:
    """Find a table.

    Raises:
        ConfigurationError: if the name is unknown.
    """
    if name not in TABLES:
        raise ConfigurationError(
            f"unknown table {name!r}, not one of {', '.join(TABLES)}",
            hint=f"choose one of: {', '.join(TABLES)}",
        )
    return TABLES[name]


def select(
    table: Table,
    *,
    small: bool,
    folder: Path | None,
    rows: Sequence[str],
    seeds: int,
    changes: Mapping[str, Any],
) -> Selection:
    """Read the recipes of a table.

    Args:
        table: The table.
        small: Whether to use the small recipes.
        folder: Folder for the ledger and the run folders; None for the table's default.
        rows: Slugs or numbers, from 1; empty for all.
        seeds: Number of seeds of each row.
        changes: Configuration values that override every recipe's.

    Raises:
        ConfigurationError: if rows are unknown or recipes have problems; lists all of them.
    """
    problems = Problems()
    if seeds < 1:
        problems.add(ConfigurationError(f"seeds is {seeds}, but must be at least 1"))
    numbered = {str(number): row for number, row in enumerate(table.rows, start=1) if row.recipes}
    known = numbered | {row.slug: row for row in numbered.values()}
    if unknown := [name for name in rows if name not in known]:
        slugs = ", ".join(f"{number} {row.slug}" for number, row in numbered.items())
        problems.add(
            ConfigurationError(
                f"no row {', '.join(map(repr, unknown))} to run in {table.name}, which has {slugs}"
            )
        )
    configs, wrong = {}, {}
    for recipe in (recipe for row in table.rows for recipe in row.recipes):
        path = recipe_path(table, recipe, small)
        try:
            configs[recipe] = TrainConfig.read(path, **changes)
        except ConfigurationError as error:
            wrong[recipe] = [text.removeprefix(f"{path}: ") for text in error.summaries]
    for problem in _by_recipe(wrong):
        problems.add(ConfigurationError(problem))
    problems.check()
    wanted = {known[name].slug for name in rows} or set(known)
    return Selection(
        table=table,
        small=small,
        folder=folder or OUTPUT / full_name(table, small),
        rows=tuple(row for row in table.rows if row.slug in wanted),
        seeds=seeds,
        configs=configs,
    )


def check_ledger(selection: Selection, entries: Sequence[Entry]) -> None:
    """Refuse to mix configurations in one ledger.

    Raises:
        ConfigurationError: if an entry is of another table, or its configuration has changed.
    """
    wrong: dict[str, list[str]] = {}
    for entry in entries:
        config = selection.configs.get(entry.recipe)
        if entry.table != selection.name or config is None:
            found = [f"is an entry of {entry.table}, not of {selection.name}"]
        else:
            found = ledger.differences(entry.config, config)
        if found:
            wrong.setdefault(f"{entry.recipe}, seed {entry.seed}", found)
    refuse_changes(selection.folder / ledger.FILE, wrong)


def refuse_changes(path: Path, wrong: Mapping[str, list[str]]) -> None:
    """Check that no existing run has a different configuration.

    Raises:
        ConfigurationError: if any has; names the runs and their differences.
    """
    if wrong:
        raise ConfigurationError(
            f"{path}: holds runs with a different configuration:",
            hint="repeat the original options, or choose another `output=DIR`",
            details=list(_by_recipe(wrong)),
        )


def _by_recipe(wrong: Mapping[str, list[str]]) -> Iterator[str]:
    """Each problem once, after the recipes that have it."""
    names: dict[str, list[str]] = {}
    for name, problems in wrong.items():
        names.setdefault("; ".join(problems), []).append(name)
    for problem, having in names.items():
        yield f"{'; '.join(having)}: {problem}"
