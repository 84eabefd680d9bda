"""Makes the writer of a format."""

from collections.abc import Callable, Sequence

from swisscli.core.tasks import TaskSpec
from swisscli.inference.writers.cells import Columns, ResultColumns, TableColumns
from swisscli.inference.writers.delimited import DelimitedWriter, PlainWriter
from swisscli.inference.writers.formats import OutputFormat, Writer
from swisscli.inference.writers.jsonl import JsonlWriter, Keys, ResultKeys, TableKeys
from swisscli.inference.writers.parquet import TableParquetWriter


def make_writer(
    layout: OutputFormat,
    tasks: Sequence[TaskSpec],
    *,
    keep: bool,
    with_texts: bool = True,
    with_file: bool,
    warn: Callable[[str], None],
    clean: Callable[[str], str] = str,
    is_safe: bool = False,
    to_file: bool = True,
) -> Writer:
    """Make what writes results in a format.

    Args:
        layout: The format; not a table on a terminal.
        tasks: The tasks that are answered.
        keep: Whether results keep the columns of their table.
        with_texts: Whether results of lines of text have the texts.
        with_file: Whether results name the file that they come from.
        warn: Takes messages about columns.
        clean: Applied to every text that is written.
        is_safe: Whether cells that a spreadsheet would run as a formula are quoted.
        to_file: Whether a file is written; the TSV of a pipe is plain.
    """
    if layout is OutputFormat.JSONL:
        keys: Keys = ResultKeys(tasks, with_texts=with_texts, with_file=with_file)
        if keep:
            keys = TableKeys(tasks, with_file=with_file, warn=warn)
        return JsonlWriter(keys, clean)
    if layout is OutputFormat.PARQUET:
        num_texts = tasks[0].arity if with_texts else 0
        return TableParquetWriter(
            tasks, with_file=with_file, warn=warn, num_texts=None if keep else num_texts
        )
    columns: Columns = ResultColumns(tasks, with_texts=with_texts)
    if keep:
        columns = TableColumns(tasks, with_file=with_file, warn=warn)
    if layout is OutputFormat.CSV:
        return DelimitedWriter(columns, ",", clean, is_safe=is_safe)
    if keep and to_file:
        return DelimitedWriter(columns, "\t", clean, is_safe=is_safe)
    return PlainWriter(columns, clean, is_safe=is_safe)
