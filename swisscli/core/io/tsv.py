"""Formats rows as TSV, with csv quoting."""

import csv
import io
from collections.abc import Iterable


def format_tsv(rows: Iterable[Iterable[object]]) -> str:
    """Format rows, the header's among them, with a TAB between cells and a newline after each."""
    text = io.StringIO()
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows(rows)
    return text.getvalue()
