"""Unlabelled text: reading it, holding a share of it out, and its tokens."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain, islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from swiss_training.masked_lm.config import PretrainConfig
from swisscli.core.columns import TEXT, TEXT_A, TEXT_B, InputColumns
from swisscli.core.errors import DataError
from swisscli.core.io.formats import ColumnChoice, format_of
from swisscli.core.io.tables import read_table
from swisscli.core.io.text import is_blank
from swisscli.core.tokenization import Encoding, Tokenizer

_COLUMNS = InputColumns(
    "pretraining",
    (tuple(dict.fromkeys(chain.from_iterable((TEXT, TEXT_A, TEXT_B)))),),
    remedy="name the columns, or number them from 1, with `columns`",
    every=True,
)

Int32 = npt.NDArray[np.int32]
_CHUNK = 1024


def read_texts(config: PretrainConfig) -> Iterator[str]:
    """Read the texts of all files, in order; blank ones are left out.

    Raises:
        DataError: if a file cannot be read, a row is bad, no column is known to hold text, or there
            is no text.
        ConfigurationError: if a file lacks a column that was asked for.
    """
    choice = ColumnChoice(chosen=tuple(config.columns), delimiter=config.delimiter or None)
    for name in config.files:
        layout, is_empty = format_of(name), True
        assert layout is not None  # the configuration has checked it
        try:
            with Path(name).open("rb") as stream:
                for row in read_table(stream, name, layout, _COLUMNS, choice):
                    if row.error:
                        raise DataError(f"{name}:{row.line}: {row.error.message}")
                    for text in row.texts:
                        if not is_blank(text):
                            is_empty = False
                            yield text.strip()
        except OSError as error:
            raise DataError(f"{name}: cannot be read: {error.strerror}") from None
        if is_empty:
            raise DataError(f"{name}: no text")


def hold_out(texts: Iterable[str], share: float, seed: int) -> npt.NDArray[np.bool_]:
    """Choose the texts that are held out.

    The choice is a function of the seed and of the text itself, so that a text that occurs twice
    is never on both sides.

    Args:
        texts: The N texts.
        share: Share of the distinct texts to hold out; 0: none.
        seed: Of the choice.

    Returns:
        Whether each is held out, (N,); at least one is, and one is not, unless the share is 0.

    Raises:
        DataError: if there are not two distinct texts, of which one can be held out.
    """
    key = seed.to_bytes(8, "little")
    digests = (blake2b(text.encode(), digest_size=8, key=key).digest() for text in texts)
    hashes_N = np.fromiter((int.from_bytes(digest) for digest in digests), dtype=np.uint64)
    if not share:
        return np.zeros(len(hashes_N), dtype=np.bool_)
    distinct = np.unique(hashes_N)
    if len(distinct) < 2:
        raise DataError(
            "all texts are the same: none can be held out", hint="add text, or use `dev_share=0`"
        )
    num_held_out = min(max(1, round(share * len(distinct))), len(distinct) - 1)
    return hashes_N <= distinct[num_held_out - 1]


@dataclass(frozen=True)
class Corpus:
    """Tokenised sequences, kept as one array: an object for each would take many times as much.

    Attributes:
        ids: The tokens of all sequences, special tokens included.
        starts: Where each begins, and the last ends, (N + 1,).
    """

    ids: Int32
    starts: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each sequence, (N,)."""
        return np.diff(self.starts)

    def encodings(self, indices: Iterable[int]) -> list[Encoding]:
        """The sequences at `indices`."""
        ids = (self.ids[self.starts[index] : self.starts[index + 1]] for index in indices)
        return [Encoding(ids_T, np.zeros_like(ids_T), truncated=False) for ids_T in ids]


@dataclass(frozen=True)
class Corpora:
    """The text of a run.

    Attributes:
        train: Sequences to train on.
        dev: Sequences held out.
        num_divided: Texts that were longer than the longest sequence and became several.
        num_unknown: Sequences left out because they hold no token of the vocabulary.
    """

    train: Corpus
    dev: Corpus
    num_divided: int
    num_unknown: int


def tokenize(
    texts: Iterable[str],
    is_dev_N: npt.NDArray[np.bool_],
    tokenizer: Tokenizer,
    is_ordinary_V: npt.NDArray[np.bool_],
) -> Corpora:
    """Tokenise the texts; one that is too long becomes several sequences, none of it is lost.

    Args:
        texts: The N texts.
        is_dev_N: Whether each is held out.
        tokenizer: With the longest sequence as its longest input.
        is_ordinary_V: Whether a token is one of text, and not a special one.

    Raises:
        DataError: if nothing is left to train on, or of what is held out.
    """
    rows = zip(texts, is_dev_N.tolist(), strict=True)
    sides: tuple[list[Corpus], list[Corpus]] = ([], [])
    num_divided = num_unknown = 0
    while chunk := list(islice(rows, _CHUNK)):
        known: tuple[list[Int32], list[Int32]] = ([], [])
        pieces = tokenizer.encode_pieces([text for text, _ in chunk])
        for (_, is_dev), sequences in zip(chunk, pieces, strict=True):
            kept = [ids_T for ids_T in sequences if is_ordinary_V[ids_T].any()]
            num_divided += len(sequences) > 1
            num_unknown += len(sequences) - len(kept)
            known[is_dev].extend(kept)
        for side, sequences in zip(sides, known, strict=True):
            side.append(_as_corpus(sequences))
    train, dev = map(_join, sides)
    if not len(train) or (is_dev_N.any() and not len(dev)):
        raise DataError(
            f"the encoder's tokenizer knows no word of the {'held-out ' if len(train) else ''}text",
            hint="use an encoder that was made for this language",
        )
    return Corpora(train, dev, num_divided, num_unknown)


def _as_corpus(sequences: list[Int32]) -> Corpus:
    starts = np.cumsum([0, *map(len, sequences)], dtype=np.int64)
    return Corpus(np.concatenate([*sequences, np.empty(0, dtype=np.int32)]), starts)


def _join(parts: list[Corpus]) -> Corpus:
    lengths = np.concatenate([part.lengths for part in parts])
    starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])
    return Corpus(np.concatenate([part.ids for part in parts]), starts)
