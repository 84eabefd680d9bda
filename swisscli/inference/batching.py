"""Which sequences share a batch, and to which length they are padded."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

# The activations of a batch should fit the cache of the core that computes it. A GPU has to be
# filled.
_CPU_TOKENS, _GPU_TOKENS = 512, 32768
# A GPU's kernels and memory are planned for each shape anew, so it gets few of them. Neighbours
# are a third apart or less, and all are multiples of 8, which its matrix units want.
_BUCKETS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
_WORTH_A_BATCH = 8  # an eighth of the budget may go on its own rather than be padded further


class Batch(NamedTuple):
    """Items that are computed together.

    Attributes:
        items: Their indexes.
        length: Tokens to which each of their sequences is padded.
    """

    items: list[int]
    length: int


@dataclass(frozen=True)
class Batching:
    """How batches are made.

    Attributes:
        max_tokens: Most tokens of a batch, padding included; one item may have more.
        buckets: The lengths to pad to, rising; empty pads to the longest of each batch.
    """

    max_tokens: int
    buckets: tuple[int, ...] = ()

    @classmethod
    def for_device(cls, device: str, max_length: int, max_tokens: int | None) -> "Batching":
        """What suits a device.

        Args:
            device: `cpu`, or a GPU's name.
            max_length: The model's longest input in tokens.
            max_tokens: Most tokens of a batch; None chooses.
        """
        if device == "cpu":
            return cls(max_tokens or _CPU_TOKENS)
        buckets = (*(length for length in _BUCKETS if length < max_length), max_length)
        return cls(max_tokens or _GPU_TOKENS, buckets)

    def batches(
        self, lengths: Sequence[int], sequences: int, among: Sequence[int]
    ) -> Iterator[Batch]:
        """Group items of like length, the longest first.

        Args:
            lengths: Tokens of each item's longest sequence.
            sequences: Sequences of an item.
            among: Indexes of the items to group.
        """
        items: list[int] = []
        longest = 0
        for index in sorted(among, key=lambda index: -lengths[index]):
            padded = self._padded(lengths[index])
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

    def _padded(self, length: int) -> int:
        return next((bucket for bucket in self.buckets if bucket >= length), length)
