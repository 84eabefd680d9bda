"""The configuration of a pretraining run."""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from swiss_training.multitask.config import Precision, TrainConfig
from swisscli.core.errors import ConfigurationError, SwissError
from swisscli.core.io.tables import InputFormat, format_of, is_delimiter


@dataclass(frozen=True)
class PretrainConfig:
    """Everything that a pretraining run depends on.

    Fields that `TrainConfig` has too mean the same and are held to the same bounds.
    """

    files: list[str] = field(default_factory=list)
    """The text: lines of .txt files, columns of tables."""
    columns: list[str] = field(default_factory=list)
    """Columns to read, names or numbers from 1; empty: all that are known to hold text."""
    delimiter: str = ""
    """Character between the columns of .tsv and .csv files; empty: found by the first line."""
    encoder: str = "bert-base-uncased"
    """A Hugging Face style directory, a folder that training wrote, or a Hub repository."""
    output: str = "runs/pretrained"
    """The run folder; it becomes the encoder's directory."""

    dev_share: float = 0.05
    """Share of the distinct texts that is held out to measure the loss on, in [0, 1)."""
    max_length: int = 0
    """Longest sequence in tokens; 0: as long as the encoder takes. Longer texts become several."""

    epochs: int = 3
    """Passes over the text."""
    max_steps: int = 0
    """Optimizer steps after which to end; 0: after `epochs`."""
    batch_size: int = 32
    """Sequences per batch."""
    gradient_accumulation_steps: int = 1
    """Batches in an optimizer step; each masked token of theirs counts the same."""
    learning_rate: float = 5e-5
    """Peak learning rate."""
    warmup_ratio: float = 0.06
    """Share of the steps over which the learning rate rises from 0; it then falls to 0."""
    weight_decay: float = 0.01
    """AdamW's decoupled decay, of matrices only."""
    max_grad_norm: float = 1.0
    """The gradients are scaled down to this L2 norm together; 0: never."""

    precision: Precision = "auto"
    """bf16 autocast or fp32; `auto`: bf16 where the hardware multiplies it."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    seed: int = 11711
    """Seed of the held-out share, masks, order, dropout and an initialised head."""

    eval_every: int = 0
    """Steps between evaluations on the held-out text; 0: at the end of each pass."""
    save_every: int = 500
    """Steps between checkpoints of the last state, besides one at each evaluation."""
    log_every: int = 10
    """Steps between log lines; their losses are means since the line before."""

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            ConfigurationError: naming all problems at once.
        """
        problems = [*self._text_problems(), *self._shared_problems()]
        if problems:
            raise ConfigurationError("; ".join(problems), hint="see: swiss pretrain `help`")

    def _text_problems(self) -> list[str]:
        problems = [] if self.files else ["no file of text is named"]
        formats = set()
        for file in self.files:
            try:
                layout = format_of(file)
            except SwissError as error:
                problems.append(error.message)
                continue
            if layout is None:
                problems.append(f"{file} is none of {', '.join(f'.{x}' for x in InputFormat)}")
            else:
                formats.add(layout)
        for name in self.columns:
            if not name or (name.isdecimal() and int(name) < 1):
                problems.append(f"columns names {name!r}, not a name or a number from 1")
        if self.columns and formats == {InputFormat.TXT}:
            problems.append("columns has no meaning for lines of text")
        if self.delimiter and formats and not any(layout.is_delimited for layout in formats):
            problems.append("delimiter has no meaning without a .tsv or .csv file")
        if self.delimiter and not is_delimiter(self.delimiter):
            problems.append(f"delimiter is {self.delimiter!r}, not one character")
        if not 0 <= self.dev_share < 1:
            problems.append(f"dev_share is {self.dev_share}, it must be in [0, 1)")
        return problems

    def _shared_problems(self) -> list[str]:
        known = {f.name for f in fields(TrainConfig)}
        try:
            TrainConfig(**{f.name: getattr(self, f.name) for f in fields(self) if f.name in known})
        except ConfigurationError as error:
            return [error.message]
        return []

    def to_json(self) -> str:
        """The configuration as a JSON object."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, path: Path, **changes: Any) -> "PretrainConfig":
        """Read what `to_json` gave.

        Args:
            path: The file.
            changes: Values in place of the file's.

        Raises:
            ConfigurationError: if it cannot be read or has an unknown key or a wrong value.
        """
        try:
            return cls(**(json.loads(path.read_text(encoding="utf-8")) | changes))
        except (OSError, ValueError, TypeError) as error:
            raise ConfigurationError(f"{path}: cannot be read: {error}") from None
