"""The configuration of a pretraining run."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from swiss_training.config import RunConfig
from swisscli.core.columns import column_number
from swisscli.core.errors import SwissError
from swisscli.core.io.formats import InputFormat, format_of, is_delimiter


@dataclass(frozen=True)
class PretrainConfig(RunConfig):
    """Everything that a pretraining run depends on.

    The dev data is a share of the text, and the score is the loss on it.
    """

    command: ClassVar[str] = "swiss pretrain"
    file_name: ClassVar[str] = "pretrain_config.toml"
    may_change: ClassVar[tuple[str, ...]] = (*RunConfig.may_change, "files")

    output: str = "runs/pretrained"
    """The run folder; it becomes the encoder's directory."""
    epochs: int = 3
    """Passes over the text."""
    learning_rate: float = 5e-5
    """Peak learning rate."""
    warmup_ratio: float = 0.06
    """Share of the steps over which the learning rate rises from 0."""
    weight_decay: float = 0.01
    """AdamW's decoupled decay, of matrices only."""

    files: list[str] = field(default_factory=list)
    """The text: lines of .txt files, columns of tables."""
    columns: list[str] = field(default_factory=list)
    """Columns to read, names or numbers from 1; empty: all that are known to hold text."""
    delimiter: str = ""
    """Character between the columns of .tsv and .csv files; empty: found by the first line."""
    dev_share: float = 0.05
    """Share of the distinct texts that is held out to measure the loss on, in [0, 1)."""

    def problems(self) -> Iterator[str]:
        """Yield the problems of the values."""
        if not self.files:
            yield "no file of text is named"
        formats = set()
        for file in self.files:
            try:
                layout = format_of(file)
            except SwissError as error:
                yield error.message
                continue
            if not file:
                yield "a file name is empty"
            elif layout is None:
                yield f"{file} is none of {', '.join(f'.{x}' for x in InputFormat)}"
            else:
                formats.add(layout)
        for name in self.columns:
            if not name or column_number(name) == 0:
                yield f"columns names {name!r}, not a name or a number from 1"
        if self.columns and formats == {InputFormat.TXT}:
            yield "columns does not apply to lines of text"
        if self.delimiter and formats and not any(layout.is_delimited for layout in formats):
            yield "delimiter does not apply without a .tsv or .csv file"
        if self.delimiter and not is_delimiter(self.delimiter):
            yield f"delimiter is {self.delimiter!r}, not one character"
        if not 0 <= self.dev_share < 1:
            yield f"dev_share is {self.dev_share}, but must be in [0, 1)"
        yield from super().problems()
