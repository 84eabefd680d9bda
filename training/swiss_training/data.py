"""Tokenised examples, and the stream of batches of each task."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from swiss_training.examples import Examples
from swisscli.tokenization import Encoding, Tokenizer, pad

POOL = 64
"""Batches that are sorted by length together: enough for little padding, few enough to mix."""


@dataclass(frozen=True)
class Batch:
    """Padded inputs and their targets: ids, mask and types (B, T) int64, targets (B,) float32."""

    input_ids_BT: Tensor
    attention_mask_BT: Tensor
    token_type_ids_BT: Tensor
    targets_B: Tensor

    @property
    def inputs(self) -> tuple[Tensor, Tensor, Tensor]:
        """What the model takes."""
        return self.input_ids_BT, self.attention_mask_BT, self.token_type_ids_BT

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device."""
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in vars(self).values()))


class TaskDataset:
    """The tokenised examples of a task.

    Args:
        examples: The examples.
        tokenizer: Tokenises them, here and once.
        pad_token_id: The encoder's padding token.
    """

    def __init__(self, examples: Examples, tokenizer: Tokenizer, pad_token_id: int) -> None:
        self.task = examples.task
        self.texts = examples.texts
        self.encodings: list[Encoding] = tokenizer.encode(examples.texts)
        self.targets = np.array(examples.targets, dtype=np.float32)
        self.lengths = np.array([len(encoding) for encoding in self.encodings])
        self.num_truncated = sum(encoding.truncated for encoding in self.encodings)
        self.pad_token_id = pad_token_id

    def __len__(self) -> int:
        return len(self.encodings)

    def batch(self, indices: Sequence[int]) -> Batch:
        """Pad the examples at `indices` into a batch."""
        inputs = pad([self.encodings[index] for index in indices], self.pad_token_id)
        ids_BT, mask_BT, types_BT = map(torch.from_numpy, inputs)
        return Batch(ids_BT, mask_BT, types_BT, torch.from_numpy(self.targets[list(indices)]))

    def batches_by_length(self, batch_size: int) -> Iterator[tuple[list[int], Batch]]:
        """Every example once, in order of length; with each batch its indices."""
        order = np.argsort(self.lengths, kind="stable").tolist()
        for start in range(0, len(order), batch_size):
            indices = order[start : start + batch_size]
            yield indices, self.batch(indices)


class BatchStream:
    """An endless stream of batches: pass after pass over shuffled examples.

    Within each pool of batches, examples of like length are put together. The order is a function
    of the seed alone, so a position is a single number and a stream resumes anywhere.

    Args:
        dataset: The task's examples.
        batch_size: Examples per batch; the last batch of a pass may be smaller.
        seed: Seed of the order, for this task.
        position: Batches already taken.
    """

    def __init__(
        self, dataset: TaskDataset, batch_size: int, seed: Sequence[int], position: int = 0
    ) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.seed = tuple(seed)
        self.position = position
        self._order: tuple[int, list[list[int]]] = (-1, [])

    @property
    def num_batches(self) -> int:
        """Batches in one pass."""
        return math.ceil(len(self.dataset) / self.batch_size)

    def next(self) -> Batch:
        """Take a batch."""
        number, offset = divmod(self.position, self.num_batches)
        if self._order[0] != number:
            self._order = (number, self._shuffled(number))
        self.position += 1
        return self.dataset.batch(self._order[1][offset])

    def _shuffled(self, number: int) -> list[list[int]]:
        random = np.random.default_rng((*self.seed, number))
        shuffled = random.permutation(len(self.dataset))
        size, lengths = self.batch_size, self.dataset.lengths
        batches: list[list[int]] = []
        for start in range(0, len(shuffled), POOL * size):
            pool = shuffled[start : start + POOL * size]
            pool = pool[np.argsort(lengths[pool], kind="stable")]
            batches += [pool[i : i + size].tolist() for i in range(0, len(pool), size)]
        return [batches[i] for i in random.permutation(len(batches))]
