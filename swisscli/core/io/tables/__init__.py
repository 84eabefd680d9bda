"""Reads tables. Only this package decides format, delimiter, header and columns of an input.

Every command reads through `read_table`, so that a file means the same to all of them. Rows come
one at a time and in order, one for each record; memory does not grow with the file.
"""

from swisscli.core.io.tables.reader import read_table
from swisscli.core.io.tables.rows import Heading, Table, TableRow, text_names

__all__ = ["Heading", "Table", "TableRow", "read_table", "text_names"]
