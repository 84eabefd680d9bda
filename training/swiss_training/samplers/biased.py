"""The paper's biased task sampling."""

import math
from collections.abc import Iterator

from swiss_training.samplers.epoch import Epoch, draw


def biased(epoch: Epoch) -> Iterator[tuple[str, ...]]:
    """Batches drawn with the weights that the user gives, so that a hard task comes more often.

    swissBERT, section 4.2. An epoch ends when the first task is expected to be through, as the
    balanced epoch does.
    """
    share = len(epoch.sizes) / sum(epoch.weights[task] for task in epoch.sizes)
    through = (size / (share * epoch.weights[task]) for task, size in epoch.sizes.items())
    yield from draw(epoch, epoch.weights, max(1, math.floor(min(through))))
