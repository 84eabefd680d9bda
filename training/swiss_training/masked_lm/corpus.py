"""Reads unlabelled text, holds out a share of it, and tokenizes it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain, islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from swiss_training.masked_lm.config import PretrainConfig
from swiss_training.observer import NOBODY, Observer
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


def read_texts(config: PretrainConfig, observer: Observer = NOBODY) -> Iterator[str]:
    """Read the texts of all files, in order, without blank ones.

    Args:
        config: The run's configuration.
        observer: Receives the file that is read, and the number of its rows so far.

    Raises:
        DataError: if a file cannot be read, a row is bad, no column is known to hold text, or all
            texts are blank.
        ConfigurationError: if a column that the user chose is missing.
    """
    choice = ColumnChoice(chosen=tuple(config.columns), delimiter=config.delimiter or None)
    for name in config.files:
        layout, is_empty = format_of(name), True
        assert layout is not None  # the configuration has checked it
        if Path(name).exists() and not (Path(name).is_file() or Path(name).is_dir()):
            raise DataError(
                f"{name}: is not a regular file, but its text is read twice",
                hint="save the text as a file first",
            )
        try:
            with Path(name).open("rb") as stream:
                table = read_table(stream, name, layout, _COLUMNS, choice)
                for row in observer.count(table, f"reading {name}", "rows"):
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

    The choice depends only on the seed and on the text, so a text that occurs twice is never on
    both sides.

    Args:
        texts: The N texts.
        share: Share of the distinct texts to hold out; 0: none.
        seed: Seed of the choice.

    Returns:
        Whether each text is held out, (N,). Unless the share is 0, at least one text is held out
        and at least one is not.

    Raises:
        DataError: if all texts are the same.
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
    """Tokenized sequences in one array, which takes far less memory than an object for each.

    Attributes:
        ids: Tokens of all sequences, with special tokens.
        starts: Start of each sequence, and end of the last, (N + 1,).
    """

    ids: Int32
    starts: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Number of tokens of each sequence, (N,)."""
        return np.diff(self.starts)

    def encodings(self, indices: Iterable[int]) -> list[Encoding]:
        """Return the sequences at `indices`."""
        ids = (self.ids[self.starts[index] : self.starts[index + 1]] for index in indices)
        return [Encoding(ids_T, np.zeros_like(ids_T), truncated=False) for ids_T in ids]


@dataclass(frozen=True)
class Corpora:
    """The text of a run.

    Attributes:
        train: Sequences to train on.
        dev: Held-out sequences.
        num_divided: Number of texts that were split because they exceed the longest sequence.
        num_unknown: Number of sequences omitted because they have no token of the vocabulary.
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
    """Tokenize the texts; a text that is too long becomes several sequences, and loses nothing.

    Args:
        texts: The N texts.
        is_dev_N: Whether each text is held out.
        tokenizer: Tokenizer whose longest input is the longest sequence.
        is_ordinary_V: Whether each token is ordinary, and not a special one.

    Raises:
        DataError: if no sequence is left to train on, or none of the held-out ones.
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
