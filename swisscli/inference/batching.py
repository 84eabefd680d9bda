"""Groups sequences into batches of similar length."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

# A batch's activations should fit into the cache of the core that computes it; a GPU needs larger
# batches.
_CPU_TOKENS, _GPU_TOKENS = 512, 32768
# A GPU plans kernels and memory for each new shape, so it gets only these lengths. Neighbours
# differ by a third or less, and all are multiples of 8, as its matrix units require.
_BUCKETS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
# At a bucket boundary, start a new batch if the current one is at least 1/8 full; else pad further.
_WORTH_A_BATCH = 8


class Batch(NamedTuple):
    """Items that are computed together.

    Attributes:
        items: Indices of the items.
        length: Number of tokens to which each sequence is padded.
    """

    items: list[int]
    length: int


@dataclass(frozen=True)
class Batching:
    """How batches are made.

    Attributes:
        max_tokens: Largest number of tokens in a batch, with padding; a single item may have more.
        buckets: Lengths to pad to, in rising order; empty pads to the longest item of each batch.
    """

    max_tokens: int
    buckets: tuple[int, ...] = ()

    @classmethod
    def for_device(cls, device: str, max_length: int, max_tokens: int | None) -> "Batching":
        """Return the limits that suit a device.

        Args:
            device: `cpu`, or a GPU's name.
            max_length: The model's longest input in tokens.
            max_tokens: Largest number of tokens in a batch; None chooses by device.
        """
        if device == "cpu":
            return cls(max_tokens or _CPU_TOKENS)
        buckets = (*(length for length in _BUCKETS if length < max_length), max_length)
        return cls(max_tokens or _GPU_TOKENS, buckets)

    def batches(
        self, lengths: Sequence[int], sequences: int, among: Sequence[int]
    ) -> Iterator[Batch]:
        """Group items of similar length, the longest first.

        Args:
            lengths: Number of tokens of each item's longest sequence.
            sequences: Number of sequences per item.
            among: Indices of the items to group.
        """
        items: list[int] = []
        longest = 0
        for index in sorted(among, key=lambda index: -lengths[index]):
            padded = self._padded_length(lengths[index])
            if items:
                num_tokens = longest * sequences * len(items)
                is_full = num_tokens + longest * sequences > self.max_tokens
                would_pad = bool(self.buckets) and padded < longest
                if is_full or (would_pad and num_tokens * _WORTH_A_BATCH > self.max_tokens):
                    yield Batch(items, longest)
                    items = []
            if not items:
                longest = padded
            items.append(index)
        if items:
            yield Batch(items, longest)

    def _padded_length(self, length: int) -> int:
        return next((bucket for bucket in self.buckets if bucket >= length), length)
