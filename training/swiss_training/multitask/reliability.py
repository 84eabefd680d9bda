"""Compares accuracy and confidence. Needs no torch."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class ConfidenceBin:
    """The rows whose predicted class has a probability in a range.

    Attributes:
        low: Lower end, included.
        high: Upper end.
        count: Number of rows.
        confidence: Their mean confidence.
        accuracy: The share of them that is right.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


def reliability(
    confidence_N: npt.NDArray[Any], right_N: npt.NDArray[Any], num_bins: int = 10
) -> tuple[list[ConfidenceBin], float]:
    """Compute accuracy by confidence, the probability of the predicted class.

    Args:
        confidence_N: The confidence of each row.
        right_N: 1 where the prediction is right, else 0.
        num_bins: Bins of equal width from 0 to 1.

    Returns:
        The bins that have rows, and the expected calibration error: the mean over the rows of
        the difference between a bin's accuracy and its confidence (Guo et al. 2017,
        arXiv:1706.04599, eq. 3).
    """
    index_N = np.minimum((confidence_N * num_bins).astype(int), num_bins - 1)
    bins = []
    for index in np.unique(index_N).tolist():
        of_bin = index_N == index
        bins.append(
            ConfidenceBin(
                low=index / num_bins,
                high=(index + 1) / num_bins,
                count=int(of_bin.sum()),
                confidence=float(confidence_N[of_bin].mean()),
                accuracy=float(right_N[of_bin].mean()),
            )
        )
    gaps = [b.count * abs(b.accuracy - b.confidence) for b in bins]
    return bins, sum(gaps) / len(confidence_N)
