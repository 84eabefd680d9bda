"""Finds the columns of a table that hold the texts, the label and the identifier."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

TEXT = (
    *("sentence", "text", "phrase", "review", "review_text", "review_body", "comment"),
    *("comment_text", "comment_body", "tweet", "tweet_text", "full_text", "body", "body_text"),
    *(
        "content",
        "message",
        "post",
        "post_text",
        "feedback",
        "clean_text",
        "raw_text",
        "input_text",
    ),
    *("selftext", "utterance", "statement", "verbatim", "remark", "opinion", "answer_text"),
    *("response", "description", "document", "passage", "paragraph", "article", "transcript"),
    *("sentences", "texts", "phrases", "reviews", "comments", "tweets", "messages", "posts"),
    *("summary", "headline", "title", "subject"),
)
"""Names of the column of a single text. The first in this order wins, so a title is read only if no
column with longer text exists."""

_PAIRS = (
    ("sentence1", "sentence2"),
    ("text_a", "text_b"),
    ("question1", "question2"),
    ("premise", "hypothesis"),
    ("text1", "text2"),
    ("sentence_a", "sentence_b"),
    ("question_a", "question_b"),
    ("s1", "s2"),
    ("q1", "q2"),
    ("t1", "t2"),
    ("sent1", "sent2"),
    ("sent_a", "sent_b"),
    ("string1", "string2"),
    ("#1 string", "#2 string"),
    ("phrase1", "phrase2"),
    ("question1_text", "question2_text"),
    ("title1", "title2"),
    ("first_sentence", "second_sentence"),
    ("first_text", "second_text"),
    ("original", "paraphrase"),
    ("reference", "candidate"),
    ("query", "passage"),
    ("query", "document"),
    ("question", "answer"),
)
TEXT_A = tuple(first for first, _ in _PAIRS)
"""Names of the first text of a pair; `TEXT_B` has the second's name at the same index."""
TEXT_B = tuple(second for _, second in _PAIRS)
"""Names of the second text of a pair, in the order of `TEXT_A`."""

_ID = "id"
_MAX_NUMBER = 10**9
_SEPARATORS = re.compile(r"[\s_.-]+")


def fold_name(name: str) -> str:
    """Fold a name for comparison: `Review Text`, `review_text` and `reviewText` become equal."""
    return _SEPARATORS.sub("", name).casefold()


def column_number(chosen: str) -> int | None:
    """The number that a column is chosen by, counted from 1; None if it is chosen by its name.

    A number that no table reaches is cut, because Python parses no number of thousands of digits.
    """
    if not chosen.isdecimal():
        return None
    return int(chosen) if len(chosen) < len(str(_MAX_NUMBER)) else _MAX_NUMBER


class ColumnError(ValueError):
    """A required column is missing or occurs twice.

    Args:
        message: What is wrong.
        is_choice: Whether the user asked for that column.
    """

    def __init__(self, message: str, *, is_choice: bool = False) -> None:
        super().__init__(message)
        self.is_choice = is_choice


@dataclass(frozen=True, slots=True)
class Layout:
    """The indices of a row's cells, from 0.

    Attributes:
        texts: Indices of the texts.
        label: Index of the label, if a label is read.
        id: Index of the identifier, if the table has one.
    """

    texts: tuple[int, ...]
    label: int | None = None
    id: int | None = None


@dataclass(frozen=True)
class InputColumns:
    """The columns to read from a table.

    Attributes:
        name: Names of the tasks, for messages.
        texts: Accepted names, one tuple per text. Names at the same index belong together; the
            first index at which a table has all of them wins.
        labels: Accepted names of the label, in order; empty if no label is read.
        remedy: What to type if a table has none of the names.
        every: Whether every column with an accepted name is a text, not only the first.
    """

    name: str
    texts: tuple[tuple[str, ...], ...]
    labels: tuple[str, ...] = ()
    remedy: str = "rename a column"
    every: bool = False

    @property
    def arity(self) -> int:
        """Number of texts of a row; the smallest number if `every` column is a text."""
        return len(self.texts)

    def knows(self, names: Sequence[str]) -> bool:
        """Whether these names include all the columns that are needed."""
        keys = [*map(fold_name, names)]
        has_label = not self.labels or any(fold_name(name) in keys for name in self.labels)
        return has_label and self._known_texts(keys) is not None

    def layout(
        self,
        names: Sequence[str],
        chosen: Sequence[str] = (),
        *,
        label: str = "",
        any_name: bool = False,
    ) -> Layout:
        """Find the columns of a table with a header.

        Args:
            names: The header.
            chosen: Names, or numbers from 1, of the text columns; empty selects the known names.
            label: Name, or number from 1, of the label's column; empty selects a known name.
            any_name: Whether to read columns of unknown names if there are no others.

        Raises:
            ColumnError: if a column is missing or its name occurs twice.
        """
        keys = [*map(fold_name, names)]
        if chosen:
            texts: tuple[int, ...] | None = tuple(
                _find_chosen(names, keys, name) for name in chosen
            )
        else:
            texts = self._known_texts(keys)
            if texts is None and any_name and len(_drop_blank_end(names)) == self.arity:
                texts = tuple(range(self.arity))
        if texts is None:
            raise self.no_text_error()
        label_at = None
        if label:
            label_at = _find_chosen(names, keys, label)
        elif self.labels:
            label_at = next((i for i in _find_indexes(keys, self.labels) if i not in texts), None)
            if label_at is None:
                raise ColumnError(f"no column has the label: {_join_with_or(self.labels)}")
        by_known_name = () if chosen or self.every else texts
        for index in (*by_known_name, *(() if label or label_at is None else (label_at,))):
            if keys[index] and keys.count(keys[index]) > 1:
                raise ColumnError(f"two columns are named {names[index]!r}")
        return Layout(texts, label_at, keys.index(_ID) if _ID in keys else None)

    def headless_layout(
        self, first_row: Sequence[str], chosen: Sequence[str] = (), label: str = ""
    ) -> Layout:
        """Find the columns of a table without a header.

        Args:
            first_row: Fields of the first row.
            chosen: Numbers from 1 of the text columns; empty selects the only columns.
            label: Number from 1 of the label's column.

        Raises:
            ColumnError: if the table has more columns than are read, a chosen column is missing, or
                a label is needed and its column is not chosen.
        """
        if self.labels and not (label and chosen):
            raise self.no_text_error()
        if chosen:
            texts = tuple(_find_chosen(first_row, (), number) for number in chosen)
            return Layout(texts, _find_chosen(first_row, (), label) if label else None)
        count = len(_drop_blank_end(first_row))
        if count > self.arity:
            raise ColumnError(
                f"the table has {count} columns, {self.name} reads {self.arity}, and no column has"
                f" {self._known_names()}"
            )
        return Layout(tuple(range(self.arity)))

    def no_text_error(self) -> ColumnError:
        """Return the error for a table without a column that is known to hold a text."""
        return ColumnError(f"no column has {self._known_names()}")

    def _known_texts(self, keys: Sequence[str]) -> tuple[int, ...] | None:
        if self.every:
            (accepted,) = self.texts
            known = set(map(fold_name, accepted))
            return tuple(index for index, key in enumerate(keys) if key in known) or None
        for names in zip(*self.texts, strict=True):
            wanted = [*map(fold_name, names)]
            if all(key in keys for key in wanted):
                return tuple(keys.index(key) for key in wanted)
        return None

    def _known_names(self) -> str:
        some = [" and ".join(names) for names in zip(*self.texts, strict=True)]
        return f"a name such as {_join_with_or(some[:3])}"


def _find_indexes(keys: Sequence[str], names: Sequence[str]) -> list[int]:
    return [keys.index(key) for key in map(fold_name, names) if key in keys]


def _find_chosen(names: Sequence[str], keys: Sequence[str], name: str) -> int:
    if (number := column_number(name)) is not None:
        if not 1 <= number <= len(names):
            raise ColumnError(f"there is no column '{number}'", is_choice=True)
        return number - 1
    exact = [index for index, other in enumerate(names) if other == name]
    found = exact or [index for index, key in enumerate(keys) if key == fold_name(name)]
    if not found:
        raise ColumnError(f"there is no column {name!r}", is_choice=True)
    if len(found) > 1:
        raise ColumnError(f"{len(found)} columns are named {name!r}", is_choice=True)
    return found[0]


def _drop_blank_end(fields: Sequence[str]) -> Sequence[str]:
    """Return the fields up to the last one that is not blank; all fields if all are blank."""
    last = max((index for index, field in enumerate(fields) if field.strip()), default=len(fields))
    return fields[: last + 1]


def _join_with_or(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + (" or " if len(names) > 1 else "") + names[-1]
