"""Accuracy by confidence, against values worked out by hand."""

import numpy as np
import pytest

from swiss_training.multitask.reliability import reliability


def test_reliability_and_its_error() -> None:
    bins, error = reliability(np.array([0.95, 0.92, 0.65, 0.62]), np.array([1, 0, 1, 1]))
    assert [(b.low, b.count, b.accuracy) for b in bins] == [(0.6, 2, 1.0), (0.9, 2, 0.5)]
    assert [b.confidence for b in bins] == pytest.approx([0.635, 0.935])
    assert error == pytest.approx((2 * 0.365 + 2 * 0.435) / 4)


def test_a_certain_answer_is_in_the_last_bin() -> None:
    certain, error = reliability(np.array([1.0]), np.array([True]))
    assert (certain[0].high, error) == (1.0, 0.0)
