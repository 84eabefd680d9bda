"""Annealed sampling."""

from collections.abc import Iterator
from dataclasses import dataclass

from swiss_training.samplers.epoch import Epoch, draw, updates_of_all


@dataclass(frozen=True)
class Annealed:
    r"""Batches drawn in proportion to $\mathrm{size}^\alpha$, $\alpha$ falling from 1 to 0.2.

    Stickland and Murray 2019 (arXiv:1902.02671), equation 3: $\alpha = 1 - 0.8 (e - 1) / (E - 1)$
    in epoch e of E, so that tasks are sampled more evenly towards the end, where forgetting one
    would hurt. An epoch has as many batches as all tasks together.
    """

    def __call__(self, epoch: Epoch) -> Iterator[tuple[str, ...]]:
        """Yield the tasks of each update of an epoch."""
        alpha = 1 - 0.8 * epoch.number / max(1, epoch.num_epochs - 1)
        weights = {task: size**alpha for task, size in epoch.sizes.items()}
        yield from draw(epoch, weights, updates_of_all(epoch))
