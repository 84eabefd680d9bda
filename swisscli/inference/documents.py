"""Reads the documents of a folder, and texts given as arguments, as records."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from swisscli.core.errors import DataError
from swisscli.core.io.formats import format_of
from swisscli.core.io.lines import decode_lines
from swisscli.core.io.tables import Heading, Table, TableRow, text_names
from swisscli.core.records import RecordError

_EXTENSIONS = (".txt", ".md", ".text")
_MAX_CHARS = 1 << 26
_NAMES = ("file", "text")


def is_text(argument: str) -> bool:
    """Whether an argument is a text, and not a mistyped path.

    It is a text if no such file exists, it has a space between words, no slash, and no known
    extension.
    """
    if len(argument.split()) < 2 or "/" in argument or os.sep in argument:
        return False
    try:
        return not Path(argument).exists() and format_of(argument) is None
    except (OSError, ValueError):  # longer than a path can be
        return True
    except DataError:  # a spreadsheet
        return False


def text_table(records: Sequence[tuple[str, ...]]) -> Table:
    """Texts that were given as arguments, as a table."""
    rows = (
        TableRow(number, texts, "", "", None, None, (), texts)
        for number, texts in enumerate(records, start=1)
    )
    return Table(lambda: (Heading(text_names(len(records[0]))), rows))


def find_documents(folder: str) -> tuple[list[str], list[str]]:
    """List the files in a folder and the folders below it by name, without hidden ones.

    Returns:
        The documents (`.txt`, `.text`, `.md`, and each with `.gz`) and the other files, as paths
        relative to the folder.

    Raises:
        DataError: if a folder cannot be read.
    """

    def fail(error: OSError) -> None:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}")

    documents: list[str] = []
    others: list[str] = []
    for path, folders, files in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in files if not name.startswith(".")):
            is_document = name.lower().removesuffix(".gz").endswith(_EXTENSIONS)
            below = os.path.relpath(os.path.join(path, name), folder)  # noqa: PTH118
            (documents if is_document else others).append(below)
    return documents, others


def document_table(folder: str, documents: Sequence[str]) -> Table:
    """Read a folder as a table with the columns `file` and `text`, a row per document."""
    return Table(lambda: (Heading(_NAMES), _document_rows(folder, documents)))


def _document_rows(folder: str, documents: Sequence[str]) -> Iterator[TableRow]:
    for number, name in enumerate(documents, start=1):
        text, error = _read_document(Path(folder, name))
        yield TableRow(number, (text,), "", "", name, error, _NAMES, (name, text))


def _read_document(path: Path) -> tuple[str, RecordError | None]:
    parts: list[str] = []
    num_chars, error = 0, None
    try:
        with path.open("rb") as stream:
            for line in decode_lines(stream, str(path)):
                parts.append(line.text + line.end)
                num_chars += len(parts[-1])
                error = error or line.error
                if num_chars > _MAX_CHARS:
                    error = RecordError("too_long", f"{path}: more than {_MAX_CHARS:,} characters")
                    break
    except OSError as failure:
        error = RecordError("unreadable", f"{path}: cannot be read: {failure.strerror}")
    except DataError as failure:
        error = RecordError("unreadable", failure.summary)
    return "".join(parts), error
