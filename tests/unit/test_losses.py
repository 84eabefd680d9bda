"""Losses, loss weighting, sampler and schedule against their formulas."""

import math

import numpy as np
import pytest
import torch

from swiss_training.config import TrainConfig
from swiss_training.losses import task_loss
from swiss_training.metrics import Evaluation, Score, score
from swiss_training.optim import make_optimizer, schedule_factor
from swiss_training.samplers.balanced import balanced
from swiss_training.weighting.automatic import AutomaticWeightedLoss
from swiss_training.weighting.unweighted import Unweighted
from swisscli.contract.tasks import TASKS


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


def test_automatic_weighted_loss_is_the_printed_formula() -> None:
    weighting = AutomaticWeightedLoss(3)
    log_variance = torch.tensor([0.3, -1.2, 2.0])
    weighting.log_variance_N.data.copy_(log_variance)
    losses = torch.tensor([1.5, 0.4, 7.0])
    variance = log_variance.exp()
    expected = (losses / (2 * variance) + torch.log(1 + variance)).sum()
    assert torch.allclose(weighting(losses), expected)
    assert torch.allclose(weighting.weights(), 1 / (2 * variance))
    weighting(losses).backward()
    gradient = -losses / (2 * variance) + variance / (1 + variance)
    assert torch.allclose(weighting.log_variance_N.grad, gradient)


def test_automatic_weighted_loss_is_never_negative() -> None:
    weighting = AutomaticWeightedLoss(1)
    for value in (-30.0, -5.0, 0.0, 5.0):
        weighting.log_variance_N.data.fill_(value)
        assert weighting(torch.zeros(1)).item() >= 0


def test_unweighted_is_the_sum() -> None:
    losses = torch.tensor([1.0, 2.0, 4.0])
    assert Unweighted(3)(losses).item() == 7
    assert Unweighted(3).weights().tolist() == [1, 1, 1]


def test_balanced_epoch_ends_with_the_smallest_task() -> None:
    updates = list(balanced({"a": 5, "b": 3, "c": 9}, seed=1, epoch=0))
    assert updates == [("a", "b", "c")] * 3


def test_schedule_rises_and_falls_linearly() -> None:
    factors = [schedule_factor(step, 100, 0.1) for step in range(100)]
    assert factors[0] == pytest.approx(1 / 11)
    assert max(factors) == factors[10] == 1
    assert np.allclose(np.diff(factors[:10]), 1 / 11)
    assert np.allclose(np.diff(factors[10:]), -1 / 90)
    assert factors[-1] > 0
    assert schedule_factor(0, 5, 0.0) == 1


def test_optimizer_groups() -> None:
    config = TrainConfig(weight_decay=0.1, learning_rate=1e-3, awl_learning_rate=1e-2)
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.LayerNorm(2))
    optimizer = make_optimizer(model, AutomaticWeightedLoss(2), config)
    groups = [(len(g["params"]), g["peak"], g["weight_decay"]) for g in optimizer.param_groups]
    assert groups == [(1, 1e-3, 0.1), (3, 1e-3, 0.0), (1, 1e-2, 0.0)]
    assert len(make_optimizer(model, Unweighted(2), config).param_groups) == 2


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
