"""Losses, loss weighting, sampler and schedule against their formulas."""

import math

import numpy as np
import pytest
import torch

from swiss_training.multitask.losses import task_loss
from swiss_training.multitask.metrics import Evaluation, Score, score
from swiss_training.optim import make_optimizer, schedule_factor
from swiss_training.weighting.automatic import AutomaticWeightedLoss
from swiss_training.weighting.unweighted import Unweighted
from swisscli.core.tasks import TASKS
from tests.support.training import make_model


def test_cross_entropy() -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0, 3.0, 4.0], [1.0, 0.0, 0.0, 0.0, 0.0]])
    expected = [
        -math.log(math.exp(3) / sum(map(math.exp, range(5)))),
        -math.log(math.e / (math.e + 4)),
    ]
    loss = task_loss(TASKS["sentiment"], logits, torch.tensor([3.0, 0.0]))
    assert loss.item() == pytest.approx(sum(expected) / 2, rel=1e-6)


def test_binary_cross_entropy() -> None:
    logits = torch.tensor([[2.0], [-1.0]])
    expected = (math.log1p(math.exp(-2)) + math.log1p(math.exp(1))) / 2
    loss = task_loss(TASKS["paraphrase"], logits, torch.tensor([1.0, 1.0]))
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_mean_squared_error_in_float32() -> None:
    logits = torch.tensor([[2.0], [4.0]], dtype=torch.bfloat16)
    loss = task_loss(TASKS["similarity"], logits, torch.tensor([1.0, 4.5]))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx((1 + 0.25) / 2)


def test_schedule_rises_and_falls_linearly() -> None:
    factors = [schedule_factor(step, 100, 0.1) for step in range(100)]
    assert factors[0] == pytest.approx(1 / 11)
    assert max(factors) == factors[10] == 1
    assert np.allclose(np.diff(factors[:10]), 1 / 11)
    assert np.allclose(np.diff(factors[10:]), -1 / 90)
    assert factors[-1] > 0
    assert schedule_factor(0, 5, 0.0) == 1


def test_constant_schedule_stays_after_the_rise() -> None:
    factors = [schedule_factor(step, 20, 0.1, "constant") for step in range(20)]
    assert factors == [pytest.approx(1 / 3), pytest.approx(2 / 3), *[1.0] * 18]


def test_optimizer_groups() -> None:
    rates = {"weight_decay": 0.1, "learning_rate": 1e-3, "weighting_learning_rate": 1e-2}
    model = make_model()
    optimizer = make_optimizer(model, AutomaticWeightedLoss(2), **rates)
    matrices = sum(parameter.ndim == 2 for parameter in model.parameters())
    vectors = sum(parameter.ndim == 1 for parameter in model.parameters())
    groups = [(len(g["params"]), g["peak"], g["weight_decay"]) for g in optimizer.param_groups]
    assert groups == [(matrices, 1e-3, 0.1), (vectors, 1e-3, 0.0), (1, 1e-2, 0.0)]
    assert len(make_optimizer(model, Unweighted(2), **rates).param_groups) == 2


def test_accuracy() -> None:
    logits = np.array([[0, 9, 0, 0, 0], [0, 0, 0, 0, 1.0], [1, 0, 0, 0, 0]])
    result = score(TASKS["sentiment"], logits, np.array([1.0, 4.0, 2.0]))
    assert result == Score("accuracy", pytest.approx(2 / 3), 3)  # type: ignore[arg-type]
    result = score(TASKS["paraphrase"], np.array([[0.1], [-0.1]]), np.array([1.0, 1.0]))
    assert result.value == 0.5


def test_pearson() -> None:
    logits = np.array([[0.5], [2.0], [7.0], [-1.0]])
    targets = np.array([0.0, 3.0, 5.0, 1.0])
    expected = np.corrcoef([0.5, 2.0, 5.0, 0.0], targets)[0, 1]
    assert score(TASKS["similarity"], logits, targets).value == pytest.approx(expected)
    assert score(TASKS["similarity"], np.ones((4, 1)), targets).value == 0


def test_overall_is_the_mean_of_the_metrics() -> None:
    scores = {name: Score("accuracy", value, 1) for name, value in (("a", 0.5), ("b", 1.0))}
    assert Evaluation(scores).overall == 0.75
