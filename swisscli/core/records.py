"""Records, which predictions are made for, and predictions: one per record and task."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class RecordError:
    """Why a record could not be predicted.

    Attributes:
        code: One of `invalid_utf8`, `invalid_text` (NUL characters), `invalid_json`, `invalid_csv`,
            `missing_column`, `invalid_type` (a value that is not a string), `too_long` (a line or
            document that is not read whole), `unreadable` (a document that cannot be opened) or
            `not_finite` (the model's output is not a number).
        message: One line for a person.
    """

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Record:
    """One input record.

    Attributes:
        line: 1-based line of its source on which the record begins; its number in sources that
            have no lines.
        texts: One or two texts; if `error` is set, those that could be read.
        id: The input's own identifier, if it has one.
        error: Set when the record could not be read; it then passes through unpredicted.
        names: The names of the columns of its table; empty if it comes from no table.
        fields: Its cells, texts included; a damaged row has fewer or more cells than names.
    """

    line: int
    texts: tuple[str, ...]
    id: str | int | float | None = None
    error: RecordError | None = None
    names: tuple[str, ...] = field(default=(), compare=False, repr=False)
    fields: Sequence[Any] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer to one record.

    Attributes:
        record: The record that it answers.
        task: The task's name.
        label: The predicted class name; None for regression, a skipped or a failed record.
        class_index: The predicted class; None as for `label`.
        probabilities: One per class in order of class; None as for `label`.
        score: Sentiment: the label's probability; paraphrase: the probability of a paraphrase;
            similarity: 0 to 5. None for a skipped or failed record.
        num_tokens: Tokens given to the encoder, special tokens included, after truncation.
        truncated: Whether text was cut to the model's longest input.
        skipped: `empty` if a text is blank, `out_of_domain` if the predictor skips such records
            (`strict_language`), `no_match` if a query of `Matcher` has no match; None otherwise.
        out_of_domain: Whether the model cannot judge a text, for instance in another language.
    """

    record: Record
    task: str
    label: str | None = None
    class_index: int | None = None
    probabilities: tuple[float, ...] | None = None
    score: float | None = None
    num_tokens: int = 0
    truncated: bool = False
    skipped: str | None = None
    out_of_domain: bool = False

    @property
    def error(self) -> RecordError | None:
        """Why the record failed, if it did."""
        return self.record.error


Predictions = tuple[Prediction, ...]
"""One record's predictions, one per task, in the order in which the tasks were named."""


def failure_of(predictions: Predictions) -> RecordError | None:
    """Why a record failed for some task, if it did."""
    return next((prediction.error for prediction in predictions if prediction.error), None)
