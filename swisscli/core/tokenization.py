"""Tokenizes texts in the same way for training, export and prediction."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tokenizers

from swisscli.core.errors import ModelError
from swisscli.core.io.text import escape_control
from swisscli.core.model.directory import TOKENIZER, ModelDirectory
from swisscli.core.model.model_config import LongText
from swisscli.core.model.schema import format_value

Int64 = npt.NDArray[np.int64]

_OVERLAP = 8  # chunks of a long text share an eighth of their tokens at least


@dataclass(frozen=True, slots=True)
class Encoding:
    """A tokenized text or pair, with special tokens.

    Attributes:
        ids: Token ids, shape (T,), int32.
        type_ids: Token types as the tokenizer gives them, shape (T,), int32: BERT's are 0 for the
            first sentence and 1 for the second, MPNet's are all 0.
        truncated: Whether tokens were removed to fit the longest input.
    """

    ids: npt.NDArray[np.int32]
    type_ids: npt.NDArray[np.int32]
    truncated: bool

    def __len__(self) -> int:
        return len(self.ids)


class Tokenizer:
    """A `tokenizer.json` with truncation to a longest input.

    A pair is one sequence with the special tokens of the encoder's family: BERT's is `[CLS] a
    [SEP] b [SEP]`, MPNet's `<s> a </s></s> b </s>`. If a pair is too long, the longer text is
    truncated first.

    Args:
        path: The `tokenizer.json`.
        max_length: Longest input in tokens, with the special ones.

    Raises:
        ModelError: if the file is missing or not a tokenizer.
    """

    def __init__(self, path: Path, max_length: int) -> None:
        self._path = path
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises plain Exception
            raise ModelError(
                f"{path}: cannot be read as a tokenizer: {escape_control(str(error))}"
            ) from None
        self._check_unknown_token(path)
        # A text that spells "[SEP]" or "</s>" is text: it must not split a pair.
        self._tokenizer.encode_special_tokens = True
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length, strategy="longest_first")

    @classmethod
    def of(cls, directory: ModelDirectory) -> "Tokenizer":
        """Open the tokenizer of a model directory, which truncates at the model's longest input.

        Raises:
            ModelError: if the file is missing, damaged or not a tokenizer, or has more tokens than
                the encoder.
        """
        tokenizer = cls(directory.file(TOKENIZER), directory.config.max_length)
        # Looking for the largest id takes longer; ONNX Runtime refuses one that is too large.
        vocab_size = directory.config.encoder.vocab_size
        tokenizer._check_ids(tokenizer.vocab_size, vocab_size, directory.path / TOKENIZER)
        return tokenizer

    def check_fits(self, vocab_size: int, where: Path | str) -> None:
        """Check that the encoder has every token of this tokenizer.

        Args:
            vocab_size: Vocabulary size of the encoder.
            where: Name of the tokenizer in the message.

        Raises:
            ModelError: if the tokenizer has more tokens than the encoder.
        """
        largest = max(self._tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
        self._check_ids(largest + 1, vocab_size, where)

    def _check_ids(self, count: int, vocab_size: int, where: Path | str) -> None:
        if count > vocab_size:
            raise ModelError(
                f"{where}: the tokenizer has {count:,} ids, more than the encoder's vocab_size in"
                f" config.json, {vocab_size:,}",
                hint="use the tokenizer.json that belongs to the encoder",
            )

    def _check_unknown_token(self, path: Path) -> None:
        token = getattr(self._tokenizer.model, "unk_token", None)
        if token is not None and self.token_id(token) is None:
            raise ModelError(
                f"{path}: model.unk_token is {format_value(token)}, which is not in model.vocab",
                hint="copy, train or export the model again",
            )

    @property
    def vocab_size(self) -> int:
        """Number of tokens, with the special ones."""
        return self._tokenizer.get_vocab_size(with_added_tokens=True)

    @property
    def special_ids(self) -> list[int]:
        """Ids of the tokens that are not text, including the unknown token."""
        added = self._tokenizer.get_added_tokens_decoder()
        return [index for index, token in added.items() if token.special]

    def token_id(self, token: str) -> int | None:
        """Return a token's id; None if the token is unknown."""
        index: int | None = self._tokenizer.token_to_id(token)
        return index

    def tokens(self, encoding: Encoding) -> list[str]:
        """Return the tokens of an encoding as the vocabulary spells them."""
        return [self._tokenizer.id_to_token(index) or "" for index in encoding.ids.tolist()]

    def encode(self, texts: Sequence[tuple[str, ...]]) -> list[Encoding]:
        """Tokenize single texts or pairs, each a tuple of one or two strings.

        Raises:
            ModelError: if the tokenizer fails, for example because it has no unknown token.
        """
        inputs = [item[0] if len(item) == 1 else item for item in texts]
        with self._name_file_in_errors():
            return list(map(_make_encoding, self._tokenizer.encode_batch_fast(inputs)))

    def encode_examples(
        self, texts: Sequence[tuple[str, ...]], pair_encoding: bool
    ) -> list[tuple[Encoding, ...]]:
        """Tokenize examples of one or two texts into the sequences that the encoder reads.

        Args:
            texts: Texts of each example.
            pair_encoding: Whether two texts are encoded as one sequence or each as its own.

        Returns:
            One or two sequences per example.
        """
        if pair_encoding:
            return [(encoding,) for encoding in self.encode(texts)]
        encodings = iter(self.encode([(text,) for item in texts for text in item]))
        return [tuple(islice(encodings, len(item))) for item in texts]

    def encode_parts(
        self, texts: Sequence[tuple[str, ...]], pair_encoding: bool, long_text: LongText
    ) -> list[tuple[tuple[Encoding, ...], ...]]:
        """Tokenize examples of one or two texts, long texts as `LongText` says.

        Args:
            texts: The texts of each example, of all one or of all two.
            pair_encoding: Whether two texts are one sequence; else each is one.
            long_text: What is read of a single text that is longer than the longest input.

        Returns:
            For each example its parts, one or several; for each part what `encode_examples` gives.
        """
        if long_text == "head" or len(texts[0]) > 1:
            return [(sequences,) for sequences in self.encode_examples(texts, pair_encoding)]
        with self._name_file_in_errors():
            encodings = self._tokenizer.encode_batch_fast([text for (text,) in texts])
        return [
            _split_long_text(encoding, long_text)
            if encoding.overflowing
            else ((_make_encoding(encoding),),)
            for encoding in encodings
        ]

    def encode_pieces(self, texts: Sequence[str]) -> list[list[npt.NDArray[np.int32]]]:
        """Tokenize whole texts; a text beyond the longest input becomes several sequences.

        Returns:
            For each text the ids of its sequences, with special tokens, (T,) each.
        """
        with self._name_file_in_errors():
            return [
                [np.array(piece.ids, dtype=np.int32) for piece in (encoding, *encoding.overflowing)]
                for encoding in self._tokenizer.encode_batch_fast(list(texts))
            ]

    @contextmanager
    def _name_file_in_errors(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # the library raises plain Exception
            raise ModelError(
                f"{self._path}: cannot tokenize a text: {escape_control(str(error))}",
                hint="copy, train or export the model again",
            ) from None


def _make_encoding(encoding: tokenizers.Encoding) -> Encoding:
    return Encoding(
        ids=np.array(encoding.ids, dtype=np.int32),
        type_ids=np.array(encoding.type_ids, dtype=np.int32),
        truncated=bool(encoding.overflowing),
    )


def _split_long_text(
    encoding: tokenizers.Encoding, long_text: LongText
) -> tuple[tuple[Encoding, ...], ...]:
    """A text that does not fit: its beginning and end in one part, or chunks of all of it."""
    pieces = [encoding, *encoding.overflowing]
    ids_T = np.concatenate([_text_ids(piece) for piece in pieces])
    first_T = np.array(encoding.ids, dtype=np.int32)
    is_text_T = np.array(encoding.special_tokens_mask) == 0
    size = int(is_text_T.sum())

    def part(chosen_T: npt.NDArray[np.int32], truncated: bool) -> tuple[Encoding, ...]:
        is_kept_T = ~is_text_T | (is_text_T.cumsum() <= len(chosen_T))
        part_T = first_T[is_kept_T]
        part_T[is_text_T[is_kept_T]] = chosen_T
        type_ids_T = np.array(encoding.type_ids, dtype=np.int32)[is_kept_T]
        return (Encoding(part_T, type_ids_T, truncated),)

    if long_text == "head-tail":
        half = size // 2
        return (part(np.concatenate([ids_T[:half], ids_T[half - size :]]), True),)
    overlap = size // _OVERLAP
    count = -(-(len(ids_T) - overlap) // (size - overlap))
    # No longer than they must be: whole chunks of a text of one and a quarter would compute two.
    length = -(-(len(ids_T) + (count - 1) * overlap) // count)
    starts = np.linspace(0, len(ids_T) - length, count).round().astype(int)
    return tuple(part(ids_T[start : start + length], False) for start in starts)


def _text_ids(encoding: tokenizers.Encoding) -> npt.NDArray[np.int32]:
    """The ids without those of special tokens that frame a text."""
    ids_T = np.array(encoding.ids, dtype=np.int32)
    return ids_T[np.array(encoding.special_tokens_mask) == 0]


def pad(
    encodings: Sequence[Encoding], pad_token_id: int, length: int | None = None
) -> tuple[Int64, Int64, Int64]:
    """Pad encodings to one length.

    Args:
        encodings: The sequences.
        pad_token_id: Padding token of the encoder.
        length: Length T; None selects the longest encoding's.

    Returns:
        `input_ids`, `attention_mask` and `token_type_ids`, each of shape (B, T) and int64.
    """
    lengths_B1 = np.array([len(encoding) for encoding in encodings])[:, None]
    is_token_BT = np.arange(length or lengths_B1.max()) < lengths_B1
    input_ids_BT = np.full(is_token_BT.shape, pad_token_id, dtype=np.int64)
    input_ids_BT[is_token_BT] = np.concatenate([encoding.ids for encoding in encodings])
    token_type_ids_BT = np.zeros(is_token_BT.shape, dtype=np.int64)
    token_type_ids_BT[is_token_BT] = np.concatenate([encoding.type_ids for encoding in encodings])
    return input_ids_BT, is_token_BT.astype(np.int64), token_type_ids_BT
