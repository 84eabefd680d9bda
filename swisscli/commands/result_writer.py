"""What writes results, by their format and by what they keep of the input."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from swisscli import console
from swisscli.commands.inputs import OutputOptions
from swisscli.commands.prediction_table import TableWriter
from swisscli.core.io.text import escape_control
from swisscli.core.tasks import TaskSpec
from swisscli.inference.writers.formats import OutputFormat, Writer
from swisscli.inference.writers.make import make_writer

_MAX_LINES = 3
"""Most lines of a text in the table on a terminal."""


@dataclass(frozen=True)
class ResultOutput:
    """Where results go, and in what form.

    Attributes:
        path: The file; None is standard output.
        format: The format.
        keep: Whether results keep the columns of their table.
        with_texts: Whether they have the texts.
        full_text: Whether the table on a terminal shows long texts whole.
        safe_csv: Whether cells that a spreadsheet would run as a formula are quoted.
    """

    path: Path | None
    format: OutputFormat
    keep: bool
    with_texts: bool
    full_text: bool
    safe_csv: bool

    @property
    def to_terminal(self) -> bool:
        """Whether results go to a terminal."""
        return self.path is None and console.is_terminal(sys.stdout)

    def writer(self, tasks: Sequence[TaskSpec], *, with_file: bool) -> Writer:
        """Return what writes the results.

        Args:
            tasks: The tasks that are answered.
            with_file: Whether results name the file that they come from.
        """
        if self.format is OutputFormat.TABLE:
            return TableWriter(
                tasks,
                with_texts=self.with_texts,
                colored=self.path is None and console.is_colored(sys.stdout),
                max_lines=None if self.full_text else _MAX_LINES,
            )
        return make_writer(
            self.format,
            tasks,
            keep=self.keep,
            with_texts=self.with_texts,
            with_file=with_file,
            warn=console.warning,
            clean=escape_control if self.to_terminal else str,
            is_safe=self.safe_csv,
            to_file=self.path is not None,
        )


def is_plain(options: OutputOptions, layout: OutputFormat) -> bool:
    """Whether results are only read here: a table on a terminal, or the TSV of a pipe."""
    return layout is OutputFormat.TABLE or (options.file is None and layout is OutputFormat.TSV)
