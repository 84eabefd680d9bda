"""The tables of the paper: their rows, recipes and printed numbers."""

from dataclasses import dataclass

OVERALL = "overall"
"""The mean over the tasks (swissBERT, section 5.2)."""


@dataclass(frozen=True)
class Column:
    """A column of numbers.

    Attributes:
        name: Heading in the paper.
        score: Task whose dev metric the column holds, or `OVERALL`.
    """

    name: str
    score: str


@dataclass(frozen=True)
class Row:
    """A row: a configuration of the paper and its numbers.

    Attributes:
        slug: Name on the command line.
        labels: Name in the paper, one text per label heading of the table.
        paper: The paper's numbers, in the order of the table's columns.
        recipes: Stems of its recipes; several if the columns are separate trainings, empty if the
            row cannot be measured.
    """

    slug: str
    labels: tuple[str, ...]
    paper: tuple[float, ...]
    recipes: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table of the paper.

    Attributes:
        name: Name on the command line and of the folder of its recipes.
        title: Caption in the paper.
        labels: Headings of the rows' names.
        columns: Columns of numbers.
        rows: Rows, in the paper's order.
        note: Note for the reader of the comparison; may be empty.
    """

    name: str
    title: str
    labels: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str = ""


def _row(slug: str, labels: str | tuple[str, ...], *paper: float) -> Row:
    return Row(slug, (labels,) if isinstance(labels, str) else labels, paper, (slug,))


_TASKS = (
    Column("SST Acc", "sentiment"),
    Column("Para Acc", "paraphrase"),
    Column("STS Corr", "similarity"),
)
_OVERALL = Column("Overall Score", OVERALL)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table(
            name="table1",
            title="Table 1: minBERT Dev Accuracy for Sentiment Classification",
            labels=("Model",),
            columns=(Column("SST Acc", "sentiment"), Column("CFIMDB Acc", "cfimdb")),
            rows=tuple(
                Row(slug, (f"minBERT({slug})",), paper, (f"{slug}-sst", f"{slug}-cfimdb"))
                for slug, paper in (("pretrain", (0.391, 0.788)), ("finetune", (0.518, 0.967)))
            ),
        ),
        Table(
            name="table2",
            title="Table 2: Performance of swissBERT with Different Extensions",
            labels=("Extensions",),
            columns=(*_TASKS, _OVERALL),
            rows=(
                _row(*("baseline", "Baseline: no extension(pretrain)"), 0.334, 0.649, 0.267, 0.417),
                _row("no-extension", "no extension(finetune)", 0.508, 0.755, 0.492, 0.585),
                _row("layer-sharing", "layer sharing", 0.500, 0.756, 0.464, 0.573),
                _row("cosine-similarity", "cosine similarity", 0.482, 0.506, 0.463, 0.484),
                _row("pair-encoding", "pair encoding", 0.506, 0.855, 0.842, 0.734),
                _row(
                    "pair-encoding-learnable-weights",
                    "pair encoding, learnable weights",
                    *(0.510, 0.847, 0.848, 0.735),
                ),
                _row(
                    "pair-encoding-uncertainty",
                    "pair encoding, homoscedastic uncertainty",
                    *(0.500, 0.855, 0.846, 0.734),
                ),
                _row(
                    "pair-encoding-awl",
                    "pair encoding, auto weighted loss(awl_lr=1e-5)",
                    *(0.508, 0.862, 0.849, 0.740),
                ),
                _row(
                    "pair-encoding-gradient-surgery",
                    "pair encoding, gradient surgery",
                    *(0.503, 0.837, 0.843, 0.728),
                ),
                _row(
                    "pair-encoding-gradient-surgery-learnable-weights",
                    "pair encoding, gradient surgery, learnable weights",
                    *(0.503, 0.837, 0.842, 0.727),
                ),
                _row(
                    "pair-encoding-gradient-surgery-awl",
                    "pair encoding, gradient surgery, auto weighted loss(awl_lr=1e-4)",
                    *(0.510, 0.850, 0.851, 0.737),
                ),
                _row(
                    "pair-encoding-sample-task-awl",
                    "pair encoding, sample task, auto weighted loss(awl_lr=1e-4)",
                    *(0.495, 0.865, 0.841, 0.734),
                ),
            ),
        ),
        Table(
            name="table3",
            title="Table 3: Hyperparameter Tuning Experiments for swissBERT",
            labels=("LR", "Dropout", "Weight Decay", "AWL LR"),
            columns=(*_TASKS, _OVERALL),
            rows=(
                _row("table-2-settings", ("1e-5", "0.3", "0", "1e-5"), 0.508, 0.862, 0.849, 0.740),
                _row("lr-1e-4", ("1e-4", "0.3", "1e-5", "1e-4"), 0.467, 0.862, 0.834, 0.721),
                _row("best", ("1e-5", "0.3", "1e-5", "1e-4"), 0.525, 0.849, 0.868, 0.747),
                _row(
                    "weight-decay-1e-4-awl-1e-3",
                    ("1e-5", "0.3", "1e-4", "1e-3"),
                    *(0.501, 0.861, 0.875, 0.746),
                ),
                _row("lr-1e-6", ("1e-6", "0.3", "1e-5", "1e-4"), 0.489, 0.788, 0.793, 0.690),
                _row("dropout-0.5", ("1e-5", "0.5", "1e-5", "1e-4"), 0.507, 0.851, 0.842, 0.733),
                _row("dropout-0.1", ("1e-5", "0.1", "1e-5", "1e-4"), 0.517, 0.854, 0.848, 0.740),
            ),
        ),
        Table(
            name="table4",
            title="Table 4: swissBERT Performance on Dev/Test Leaderboard",
            labels=("Leaderboard",),
            columns=(_OVERALL, *_TASKS),
            rows=(
                _row("final", "Dev", 0.754, 0.510, 0.883, 0.868),
                Row("test", ("Test",), (0.758, 0.527, 0.885, 0.862), recipes=()),
            ),
            note="Only the paper has results for the test row: the test labels are not public.",
        ),
    )
}
