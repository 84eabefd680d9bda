"""Draws new masks for each batch, and streams masked batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from swiss_training.masked_lm.corpus import Corpus
from swiss_training.order import batches_by_length, shuffled_batches
from swisscli.core.errors import ModelError
from swisscli.core.tokenization import Int64, Tokenizer, pad

CHOSEN = 0.15
"""Share of a sequence's tokens that are predicted."""
MASKED = 0.8
"""Share of these that the mask token replaces."""
REPLACED = 0.1
"""Share of these that a random token replaces; the rest stay as they are."""
MASK_TOKENS = ("[MASK]", "<mask>")

# Streams of random numbers that one seed gives.
_ORDER, _MASKS, _DEV_MASKS = range(3)


@dataclass(frozen=True)
class Vocabulary:
    """The tokens as masking sees them.

    Attributes:
        mask_id: Id of the mask token.
        pad_id: Id of the padding token.
        is_ordinary_V: Whether each token is ordinary, and not a special one, (V,).
        ordinary_ids: Ids of the ordinary tokens.
    """

    mask_id: int
    pad_id: int
    is_ordinary_V: npt.NDArray[np.bool_]
    ordinary_ids: Int64

    @classmethod
    def of(cls, tokenizer: Tokenizer, pad_id: int, encoder: str) -> "Vocabulary":
        """Read the vocabulary of a tokenizer.

        Args:
            tokenizer: Tokenizer of the encoder.
            pad_id: Padding token of the encoder.
            encoder: Name of the encoder, for the error.

        Raises:
            ModelError: if the tokenizer has no mask token.
        """
        ids = (tokenizer.token_id(token) for token in MASK_TOKENS)
        mask_id = next((index for index in ids if index is not None), None)
        if mask_id is None:
            raise ModelError(
                f"{encoder}: its tokenizer has no mask token, {' or '.join(MASK_TOKENS)}",
                hint="use an encoder that was made by masked language modelling",
            )
        is_ordinary_V = np.ones(tokenizer.vocab_size, dtype=np.bool_)
        is_ordinary_V[[*tokenizer.special_ids, mask_id, pad_id]] = False
        return cls(mask_id, pad_id, is_ordinary_V, np.flatnonzero(is_ordinary_V))


def mask(
    input_ids_BT: Int64, vocabulary: Vocabulary, random: np.random.Generator
) -> tuple[Int64, Int64]:
    """Choose the tokens to predict, and hide most of them.

    Of each sequence's ordinary tokens 15 % are chosen, at least one; of these 80 % become the mask
    token, 10 % a random ordinary one, and 10 % stay (Devlin et al. 2018, arXiv:1810.04805,
    section 3.1).

    Args:
        input_ids_BT: Token ids, (B, T), an ordinary one in each row.
        vocabulary: Which tokens are ordinary, and the mask token.
        random: Source of random choices.

    Returns:
        The ids with the chosen ones replaced, (B, T), and the chosen positions b * T + t, (M,).
    """
    is_ordinary_BT = vocabulary.is_ordinary_V[input_ids_BT]
    num_chosen_B = np.maximum(1, np.rint(CHOSEN * is_ordinary_BT.sum(1)))
    # Ranks of random numbers, with those of special tokens last.
    draws_BT = np.where(is_ordinary_BT, random.random(input_ids_BT.shape), 2.0)
    rank_BT = draws_BT.argsort(1).argsort(1)
    positions_M = np.flatnonzero(rank_BT < num_chosen_B[:, None])
    masked_BT = input_ids_BT.copy()
    flat = masked_BT.reshape(-1)
    draw_M = random.random(len(positions_M))
    flat[positions_M[draw_M < MASKED]] = vocabulary.mask_id
    replaced = positions_M[(draw_M >= MASKED) & (draw_M < MASKED + REPLACED)]
    flat[replaced] = random.choice(vocabulary.ordinary_ids, len(replaced))
    return masked_BT, positions_M


@dataclass(frozen=True)
class MaskedBatch:
    """Padded and masked inputs, and the tokens to predict.

    Attributes:
        input_ids_BT: Token ids, the chosen ones replaced, (B, T) int64.
        attention_mask_BT: 1 on real tokens, (B, T) int64.
        token_type_ids_BT: 0 everywhere, (B, T) int64.
        positions_M: The chosen positions b * T + t, (M,) int64.
        labels_M: The ids that were there, (M,) int64.
    """

    input_ids_BT: Tensor
    attention_mask_BT: Tensor
    token_type_ids_BT: Tensor
    positions_M: Tensor
    labels_M: Tensor

    @property
    def inputs(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Inputs of the model."""
        return (
            self.input_ids_BT,
            self.attention_mask_BT,
            self.token_type_ids_BT,
            self.positions_M,
        )

    def to(self, device: torch.device) -> "MaskedBatch":
        """Copy the batch to a device."""
        return MaskedBatch(
            *(tensor.to(device, non_blocking=True) for tensor in vars(self).values())
        )


class MaskedBatches:
    """The batches of a corpus. A batch depends only on the seed and its number.

    Args:
        corpus: The sequences, an ordinary token in each.
        batch_size: Sequences per batch; one batch of a pass may be smaller.
        vocabulary: The tokens that masking replaces, and those that it inserts.
        seed: Seed of order and masks.
    """

    def __init__(self, corpus: Corpus, batch_size: int, vocabulary: Vocabulary, seed: int) -> None:
        self.corpus = corpus
        self.batch_size = batch_size
        self.vocabulary = vocabulary
        self.seed = seed
        self._order: tuple[int, list[list[int]]] = (-1, [])

    @property
    def num_batches(self) -> int:
        """Number of batches in one pass."""
        return -(-len(self.corpus) // self.batch_size)

    def batch(self, number: int) -> MaskedBatch:
        """Return the batch with a number. Passes repeat without end, with new masks."""
        number_of_pass, offset = divmod(number, self.num_batches)
        if self._order[0] != number_of_pass:
            random = np.random.default_rng((self.seed, _ORDER, number_of_pass))
            order = shuffled_batches(
                self.corpus.lengths, np.arange(len(self.corpus.lengths)), self.batch_size, random
            )
            self._order = (number_of_pass, order)
        return self._mask_batch(self._order[1][offset], (_MASKS, number))

    def by_length(self) -> Iterator[MaskedBatch]:
        """Yield every sequence once, in order of length, with the same masks each time."""
        batches = batches_by_length(self.corpus.lengths, self.batch_size)
        for number, indices in enumerate(batches):
            yield self._mask_batch(indices, (_DEV_MASKS, number * self.batch_size))

    def _mask_batch(self, indices: Sequence[int], seed: tuple[int, int]) -> MaskedBatch:
        encodings = self.corpus.encodings(indices)
        ids_BT, mask_BT, types_BT = pad(encodings, self.vocabulary.pad_id)
        random = np.random.default_rng((self.seed, *seed))
        masked_BT, positions_M = mask(ids_BT, self.vocabulary, random)
        labels_M = ids_BT.reshape(-1)[positions_M]
        return MaskedBatch(
            *map(torch.from_numpy, (masked_BT, mask_BT, types_BT, positions_M, labels_M))
        )
