"""Task samplers, one per file.

A sampler is a frozen dataclass whose fields are its options.
"""

from collections.abc import Iterator
from typing import Protocol

from swiss_training.samplers.epoch import Epoch


class Sampler(Protocol):
    """Decides from which tasks an update takes its batches."""

    def __call__(self, epoch: Epoch) -> Iterator[tuple[str, ...]]:
        """Yield the tasks of each update of an epoch.

        Sampling the same epoch again gives the same tasks, and every epoch has as many updates as
        the first. A task may come twice in an update, or not at all.

        Args:
            epoch: The epoch, with the number of batches of each task.

        Yields:
            The names of the tasks, one for each batch of an update.
        """
        ...
