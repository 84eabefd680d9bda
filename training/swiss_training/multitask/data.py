"""Tokenizes examples, and streams the batches of each task."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from swiss_training.distributed import ranks
from swiss_training.fingerprint import digest
from swiss_training.multitask.examples import Examples
from swiss_training.multitask.labels import stack_targets
from swiss_training.observer import NOBODY, Observer
from swiss_training.order import (
    EVALUATION_BATCH,
    batches_by_length,
    rows_of_pass,
    shuffled_batches,
    size_of_pass,
)
from swisscli.core.tokenization import Encoding, Tokenizer, pad

_CHUNK = 2048
"""Examples that are tokenized at once: enough for all cores, few enough to be counted."""


@dataclass(frozen=True)
class Batch:
    """Padded inputs of B examples, with S sequences together, and their targets.

    Attributes:
        input_ids_ST: Token ids, (S, T) int64; those of an example's sequences follow each other.
        attention_mask_ST: 1 on tokens, 0 on padding.
        token_type_ids_ST: 0 for the first text of a sequence, 1 for the second.
        targets_B: Classes or scores, (B,) float32; with coarse labels (B, C), 1 at every class that
            the label allows.
        weights_B: Factor of each example's loss, (B,) float32; None where all are 1.
        teacher_BC: A teacher's logits, (B, C) float32, where the dataset has them.
        seeds: Seed of each example's random draws, whatever batch it is in.
        whole: Number of examples of the batch of all ranks of which this is a part; 0 if it is all.
        is_idle: Whether it counts for nothing: a rank without examples computes one that another
            rank counts, so that all ranks have gradients of the same parameters.
    """

    input_ids_ST: Tensor
    attention_mask_ST: Tensor
    token_type_ids_ST: Tensor
    targets_B: Tensor
    weights_B: Tensor | None = None
    teacher_BC: Tensor | None = None
    seeds: tuple[int, ...] = ()
    whole: int = 0
    is_idle: bool = False

    @property
    def share(self) -> float:
        """The share of the batch of all ranks that these examples are."""
        if self.is_idle:
            return 0.0
        return len(self.targets_B) / self.whole if self.whole else 1.0

    @property
    def inputs(self) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs of the model."""
        return self.input_ids_ST, self.attention_mask_ST, self.token_type_ids_ST

    def split(self, max_tokens: int) -> "list[Batch]":
        """Split the batch into parts of at most so many tokens, with padding; 0 does not split.

        A part has at least one example. The mean losses of the parts, each times its `share`, add
        up to the batch's.
        """
        num_examples = len(self.targets_B)
        sequences, length = self.input_ids_ST.shape
        per_example = sequences // num_examples
        size = max(1, max_tokens // (per_example * length)) if max_tokens else num_examples
        if size >= num_examples:
            return [self]
        parts = [
            {
                name: tensor[i * per_example : (i + size) * per_example]
                if name.endswith("_ST")
                else tensor[i : i + size]
                for name, tensor in self._example_fields().items()
            }
            for i in range(0, num_examples, size)
        ]
        whole = self.whole or num_examples
        return [replace(self, whole=whole, **part) for part in parts]

    def _example_fields(self) -> dict[str, Any]:
        """The fields with something of each example."""
        values = {name: value for name, value in vars(self).items() if value is not None}
        return {name: value for name, value in values.items() if isinstance(value, Tensor | tuple)}

    def to(self, device: torch.device) -> "Batch":
        """Copy the batch to a device."""
        moved: dict[str, Any] = {
            name: value.to(device, non_blocking=True)
            for name, value in vars(self).items()
            if isinstance(value, Tensor)
        }
        return replace(self, **moved)


class TaskDataset:
    """The tokenized examples of a task.

    Args:
        examples: The examples.
        tokenizer: Tokenizer of the encoder.
        pad_token_id: Padding token of the encoder.
        pair_encoding: Whether two texts are encoded as one sequence or each as its own.
        observer: Receives the number of examples tokenized so far.

    Attributes:
        encodings: The sequences of each example.
        targets: Classes or scores, (N,); with coarse labels (N, C), see `stack_targets`.
        weights: Factor of each example's loss, (N,); None where all are 1.
        shares: Ranges of examples and their share of a pass; empty for every example once.
        lengths: Tokens of each example's longest sequence.
        teacher_NC: A teacher's logits of each example, (N, C), NaN in rows that the run does not
            read; None until they are set.
    """

    def __init__(
        self,
        examples: Examples,
        tokenizer: Tokenizer,
        pad_token_id: int,
        pair_encoding: bool = True,
        observer: Observer = NOBODY,
    ) -> None:
        self.task = examples.task
        self.texts = examples.texts
        texts = [self.task.order_texts(item) for item in examples.texts]
        self.encodings: list[tuple[Encoding, ...]] = []
        what = f"tokenizing {self.task.name}"
        observer.on_activity(what, 0, len(texts), "rows")
        for start in range(0, len(texts), _CHUNK):
            chunk = texts[start : start + _CHUNK]
            self.encodings += tokenizer.encode_examples(chunk, pair_encoding)
            observer.on_activity(what, len(self.encodings), len(texts), "rows")
        self.targets = stack_targets(examples.task, examples.targets)
        weights = np.array(examples.weights, dtype=np.float32)
        self.weights = None if np.all(weights == 1) else weights
        self.shares = examples.shares if any(share for _, share in examples.shares) else []
        self.lengths = np.array([max(map(len, sequences)) for sequences in self.encodings])
        self.num_truncated = sum(
            any(sequence.truncated for sequence in sequences) for sequences in self.encodings
        )
        self.pad_token_id = pad_token_id
        self.teacher_NC: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.encodings)

    def fingerprint(self) -> str:
        """The number of examples, and a hash of their texts and of what they count as."""
        weights = b"" if self.weights is None else self.weights.tobytes()
        parts = (json.dumps([self.texts, repr(self.shares)]).encode(), self.targets.tobytes())
        return f"{len(self):,} rows, {digest([*parts, weights])}"

    def batch(self, indices: Sequence[int], length: int | None = None) -> Batch:
        """Pad the examples at `indices` into a batch.

        Args:
            indices: The examples.
            length: Tokens of each sequence with padding; None for the longest's.
        """
        sequences = chain.from_iterable(self.encodings[index] for index in indices)
        inputs = pad(list(sequences), self.pad_token_id, length)
        rows = list(indices)
        teacher_NC = self.teacher_NC
        ids_ST, mask_ST, types_ST = map(torch.from_numpy, inputs)
        return Batch(
            ids_ST,
            mask_ST,
            types_ST,
            torch.from_numpy(self.targets[rows]),
            None if self.weights is None else torch.from_numpy(self.weights[rows]),
            None if teacher_NC is None else torch.from_numpy(teacher_NC[rows]),
            seeds=tuple(rows),
        )

    def by_length(self, first: int = 0, every: int = 1) -> Iterator[tuple[list[int], Batch]]:
        """Yield every example once, in order of length, as batches with their indices.

        Args:
            first: Number of the first batch to yield.
            every: Distance to the next one; 1 for all.
        """
        batches = batches_by_length(self.lengths, EVALUATION_BATCH)
        for indices in islice(batches, first, None, every):
            yield indices, self.batch(indices)


class BatchStream:
    """An endless stream of batches: pass after pass over shuffled examples.

    Within each pool of batches, examples of similar length share a batch. The order depends only on
    the seed, so a position is a single number, and a stream can resume anywhere.

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
        return math.ceil(size_of_pass(self.dataset.shares, len(self.dataset)) / self.batch_size)

    def next(self) -> Batch:
        """Take a batch; of several ranks, each takes its share of it."""
        number, offset = divmod(self.position, self.num_batches)
        if self._order[0] != number:
            self._order = (number, self._shuffle_pass(number))
        rows = self._order[1][offset]
        random = np.random.default_rng((*self.seed, self.position, len(rows)))
        seeds = random.integers(2**62, size=len(rows)).tolist()
        self.position += 1
        own = ranks.share(range(len(rows)))
        chosen = own or [0]
        # Padded as in the whole batch, so that its parts compute what it computes.
        length = int(self.dataset.lengths[rows].max())
        batch = self.dataset.batch([rows[i] for i in chosen], length)
        return replace(
            batch, seeds=tuple(seeds[i] for i in chosen), whole=len(rows), is_idle=not own
        )

    def rows(self, num_batches: int) -> npt.NDArray[np.int64]:
        """Find the rows of the stream's first batches, in ascending order, (R,)."""
        seen_N = np.zeros(len(self.dataset), dtype=bool)
        for number in range(math.ceil(num_batches / self.num_batches)):
            if seen_N.all():
                break
            for batch in self._shuffle_pass(number)[: num_batches - number * self.num_batches]:
                seen_N[batch] = True
        return np.flatnonzero(seen_N)

    def _shuffle_pass(self, number: int) -> list[list[int]]:
        random = np.random.default_rng((*self.seed, number))
        rows = rows_of_pass(self.dataset.shares, len(self.dataset), self.seed, number)
        return shuffled_batches(self.dataset.lengths, rows, self.batch_size, random)
