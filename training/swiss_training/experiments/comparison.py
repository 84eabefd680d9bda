"""Compares the paper's numbers with the measured ones, as cells, Markdown or LaTeX."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import hypot, sqrt
from statistics import mean, stdev

from swiss_training.experiments.entry import Entry
from swiss_training.experiments.paper_tables import OVERALL, Column, Row, Table

QUORA_ROWS = 141_500
"""Quora's training pairs in the paper's data, about."""
_SMALL = (
    "Small recipes: a small encoder, few steps, learning rates 20 times the paper's (1e-2 where"
    " only heads are trained) with warm-up and decay; the names of the rows are the paper's."
)


@dataclass(frozen=True)
class SeedScores:
    """The scores of several seeds."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean of the scores."""
        return mean(self.values)

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation of the scores (by n - 1); None for one score."""
        return stdev(self.values) if len(self.values) > 1 else None

    def __str__(self) -> str:
        deviation = "-" if self.deviation is None else f"{self.deviation:.3f}"
        return f"{self.mean:.3f} ± {deviation}"


@dataclass(frozen=True)
class Comparison:
    """A table of the paper with the measured numbers.

    Attributes:
        table: The table.
        measured: Measured scores by row and column; None if not measured.
        caption: Notes for the reader, by heading.
    """

    table: Table
    measured: list[list[SeedScores | None]]
    caption: list[tuple[str, str]]

    def rows(self) -> Iterable[tuple[int, Row, list[tuple[str, SeedScores | None]]]]:
        """Yield number and row, with the paper's and the measured number of each column."""
        for number, (row, cells) in enumerate(
            zip(self.table.rows, self.measured, strict=True), start=1
        ):
            paper = [f"{value:.3f}" for value in row.paper]
            yield number, row, list(zip(paper, cells, strict=True))


def compare(table: Table, *, small: bool, entries: Sequence[Entry]) -> Comparison:
    """Compare the ledger's entries with the paper's numbers."""
    measured = [[_measure(row, column, entries) for column in table.columns] for row in table.rows]
    caption = _facts(entries)
    notes = [table.note, _SMALL if small else "", _quora_note(entries)]
    caption += [("Note", note) for note in notes if note]
    caption += _compare_orders(table, measured)
    return Comparison(table, measured, caption)


def _measure(row: Row, column: Column, entries: Sequence[Entry]) -> SeedScores | None:
    scores = [
        score
        for entry in sorted(entries, key=lambda entry: entry.seed)
        if entry.row == row.slug
        and column.score
        and (score := entry.score(column.score)) is not None
    ]
    return SeedScores(tuple(scores)) if scores else None


def _facts(entries: Sequence[Entry]) -> list[tuple[str, str]]:
    """Describe how the numbers were measured; lists all values of what differs between entries."""
    if not entries:
        return [("Runs", "none yet")]

    def each(text: Callable[[Entry], str]) -> str:
        return "; ".join(dict.fromkeys(map(text, entries)))

    dates = sorted(entry.date[:10] for entry in entries)
    return [
        ("Command", each(lambda entry: entry.command)),
        ("Encoder", each(lambda e: f"{e.encoder['name']} (sha256 {e.encoder['sha256'][:12]})")),
        ("Training", each(_length)),
        ("Seeds", ", ".join(map(str, sorted({entry.seed for entry in entries})))),
        ("Training rows", each(lambda entry: _counts(entry.train_rows))),
        ("Dev rows", each(lambda e: _counts({t: e.metrics.scores[t].rows for t in e.dev_rows}))),
        ("Machine", each(_machine)),
        ("Date", dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"),
    ]


def _length(entry: Entry) -> str:
    epochs = "" if entry.config["max_steps"] else f"{entry.config['epochs']} epochs, "
    return f"{epochs}{entry.steps:,} steps, batch size {entry.config['batch_size']}"


def _counts(rows: dict[str, int]) -> str:
    return ", ".join(f"{task} {count:,}" for task, count in rows.items())


def _machine(entry: Entry) -> str:
    machine = entry.machine
    where = machine["gpu"] or f"{machine['processor']}, {machine['threads']} threads"
    return f"{machine['platform']}, {where}, {entry.device} in {entry.precision}"


def _quora_note(entries: Sequence[Entry]) -> str:
    counts = {entry.train_rows.get("paraphrase", QUORA_ROWS) for entry in entries}
    partial = sorted(count for count in counts if abs(count - QUORA_ROWS) > QUORA_ROWS / 100)
    if not partial:
        return ""
    return (
        f"Paraphrase is trained on {', '.join(f'{count:,}' for count in partial)} pairs, not on the"
        f" about {QUORA_ROWS:,} of the paper's Quora split."
    )


def _compare_orders(
    table: Table, measured: Sequence[Sequence[SeedScores | None]]
) -> list[tuple[str, str]]:
    """Compare the order of the rows by the overall score or, without one, by each column."""
    overall = tuple(column for column in table.columns if column.score == OVERALL)
    notes = []
    for column in overall or table.columns:
        index = table.columns.index(column)
        rows = [
            (number, row.paper[index], cells[index])
            for number, (row, cells) in enumerate(zip(table.rows, measured, strict=True), start=1)
        ]
        ranked = [(number, paper, cell) for number, paper, cell in rows if cell]
        if len(ranked) > 1:
            notes.append((f"Order by {column.name}", compare_order(ranked)))
    return notes


def compare_order(rows: Sequence[tuple[int, float, SeedScores]]) -> str:
    """Compare two orders of the same rows.

    Args:
        rows: Number, paper's score and measured score of each row.

    Returns:
        Kendall's tau-b (Kendall 1945, corrected for ties in either order) and the pairs that are
        swapped by more than the standard deviation of their difference, if it is known.
    """
    agreeing = disagreeing = paper_ties = own_ties = 0
    swapped = []
    for (a, paper_a, own_a), (b, paper_b, own_b) in combinations(rows, 2):
        by_paper, by_own = paper_a - paper_b, own_a.mean - own_b.mean
        paper_ties += by_paper == 0
        own_ties += by_own == 0
        agreeing += by_paper * by_own > 0
        if by_paper * by_own < 0:
            disagreeing += 1
            if abs(by_own) > hypot(own_a.deviation or 0, own_b.deviation or 0):
                swapped.append(f"{a} above {b}" if by_own > 0 else f"{b} above {a}")
    pairs = len(rows) * (len(rows) - 1) // 2
    spread = sqrt((pairs - paper_ties) * (pairs - own_ties))
    tau = f"{(agreeing - disagreeing) / spread:.2f}" if spread else "undefined"
    unknown = [str(number) for number, _, own in rows if own.deviation is None]
    some = f" (the deviation of {', '.join(unknown)} is unknown: one seed)" if unknown else ""
    what = ", ".join(swapped) or "none"
    return (
        f"Kendall's tau-b with the paper's order is {tau} ({len(rows)} rows); swapped by more than"
        f" one standard deviation{some}: {what}"
    )


_MARKDOWN_SPECIAL = re.compile(r"([\\`*_|<>\[\]])")
_LATEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def _join_lines(text: str) -> str:
    """Put a text on one line."""
    return " ".join(text.split())


def escape_markdown(text: str) -> str:
    """Escape text for Markdown, also inside a cell of a table."""
    return _MARKDOWN_SPECIAL.sub(r"\\\1", _join_lines(text))


def escape_latex(text: str) -> str:
    """Escape text for LaTeX."""
    escaped = "".join(_LATEX_SPECIAL.get(character, character) for character in _join_lines(text))
    # Two hyphens would become a dash.
    return re.sub("-(?=-)", "-{}", escaped)


def _flatten(cells: Iterable[tuple[str, SeedScores | None]]) -> list[str]:
    return [
        text
        for paper, measured in cells
        for text in (paper, f"{measured} (n={len(measured.values)})" if measured else "")
    ]


def markdown(comparison: Comparison) -> str:
    """Format the comparison as Markdown."""
    table = comparison.table
    heads = [f"{column.name}, {what}" for column in table.columns for what in ("paper", "measured")]
    grid = [["#", *table.labels, *heads]]
    grid.append(["---:", *["---"] * len(table.labels), *["---:"] * len(heads)])
    for number, row, cells in comparison.rows():
        texts = [str(number), *row.labels, *_flatten(cells)]
        grid.append(list(map(escape_markdown, texts)))
    lines = [f"**{escape_markdown(table.title)}**", ""]
    lines += [f"| {' | '.join(cells)} |" for cells in grid]
    lines.append("")
    lines += [f"- {name}: {escape_markdown(text)}" for name, text in comparison.caption]
    return "\n".join(lines) + "\n"


def latex(comparison: Comparison) -> str:
    """Format the comparison as a LaTeX table that needs no package."""
    table = comparison.table
    spanned = [rf"\multicolumn{{2}}{{c}}{{{escape_latex(c.name)}}}" for c in table.columns]
    kinds = ["paper", "measured"] * len(table.columns)
    grid = [
        [r"\#", *map(escape_latex, table.labels), *spanned],
        ["", *[""] * len(table.labels), *kinds],
    ]
    for number, row, cells in comparison.rows():
        texts = [str(number), *row.labels, *_flatten(cells)]
        grid.append(list(map(escape_latex, texts)))
    body = [rf"{' & '.join(cells)} \\" for cells in grid]
    caption = [f"{name}: {text}" for name, text in comparison.caption]
    ended = (text if text.endswith(".") else f"{text}." for text in (table.title, *caption))
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\begin{{tabular}}{{r{'l' * len(table.labels)}{'r' * len(kinds)}}}",
            r"\hline",
            *body[:2],
            r"\hline",
            *body[2:],
            r"\hline",
            r"\end{tabular}",
            rf"\caption{{{' '.join(map(escape_latex, ended))}}}",
            r"\end{table}",
            "",
        ]
    )
