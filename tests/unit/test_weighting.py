"""Every loss weighting against the formula that the paper prints."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from swiss_training.multitask.config import TrainConfig
from swiss_training.weighting.automatic import AutomaticWeightedLoss
from swiss_training.weighting.learnable import LearnableWeights
from swiss_training.weighting.uncertainty import HomoscedasticUncertainty
from swiss_training.weighting.unweighted import Unweighted
from swisscli.core.methods import find_method, method_names

Formula = Callable[[Tensor, Tensor], Tensor]
LOSSES = torch.tensor([1.5, 0.4, 7.0])
LOG_VARIANCE = torch.tensor([0.3, -1.2, 2.0])
TASKS = torch.arange(3)

# Of losses and standard deviations, as section 4.2 prints them.
FORMULAS: dict[Any, Formula] = {
    LearnableWeights: lambda loss, sigma: (loss / sigma**2).sum(),
    HomoscedasticUncertainty: lambda loss, sigma: (loss / sigma**2).sum() + sigma.prod().log(),
    AutomaticWeightedLoss: lambda loss, sigma: (
        (loss / (2 * sigma**2)).sum() + (1 + sigma**2).log().sum()
    ),
}


def make(method: Any) -> Any:
    weighting = method(3)
    with torch.no_grad():
        weighting.log_variance_N.copy_(LOG_VARIANCE)
    return weighting


@pytest.mark.parametrize("method", FORMULAS)
def test_value_and_gradient_are_those_of_the_printed_formula(method: Any) -> None:
    weighting, formula = make(method), FORMULAS[method]
    terms = weighting(LOSSES, TASKS)
    log_variance = LOG_VARIANCE.clone().requires_grad_()
    losses = LOSSES.clone().requires_grad_()
    expected = formula(losses, (log_variance / 2).exp())
    assert torch.allclose(terms.sum(), expected)
    terms.sum().backward()
    expected.backward()
    assert torch.allclose(weighting.log_variance_N.grad, log_variance.grad, atol=1e-6)
    assert torch.allclose(weighting.weights(), losses.grad)


@pytest.mark.parametrize("name", method_names("weighting"))
def test_every_weighting_begins_with_equal_weights_and_keeps_terms_in_order(name: str) -> None:
    weighting = find_method("weighting", name).make(vars(TrainConfig()), 3)
    first, *others = weighting.weights().tolist()
    assert others == [first, first]
    tasks = torch.tensor([2, 0, 2])
    terms = weighting(LOSSES[tasks], tasks)
    assert terms.shape == (3,)
    assert torch.equal(terms, weighting(LOSSES, TASKS)[tasks])


@pytest.mark.parametrize("method", FORMULAS)
def test_a_task_drawn_twice_is_two_terms_and_one_left_out_none(method: Any) -> None:
    weighting = make(method)
    all_terms = weighting(LOSSES, TASKS)
    drawn = weighting(LOSSES[[2, 0, 2]], torch.tensor([2, 0, 2]))
    assert torch.equal(drawn, all_terms[[2, 0, 2]])
    drawn.sum().backward()
    assert weighting.log_variance_N.grad[1] == 0


def test_automatic_weighted_loss_is_never_negative() -> None:
    weighting = AutomaticWeightedLoss(1)
    for value in (-30.0, -5.0, 0.0, 5.0):
        weighting.log_variance_N.data.fill_(value)
        assert weighting(torch.zeros(1), torch.tensor([0])).item() >= 0


def test_the_others_can_be_negative_or_vanish_as_the_paper_says() -> None:
    loss, task = torch.tensor([0.1]), torch.tensor([0])
    uncertainty, learnable = HomoscedasticUncertainty(1), LearnableWeights(1)
    uncertainty.log_variance_N.data.fill_(-2.0)
    assert uncertainty(loss, task).item() < 0
    learnable.log_variance_N.data.fill_(30.0)
    assert learnable(loss, task).item() == pytest.approx(0, abs=1e-10)


def test_unweighted_is_the_sum() -> None:
    assert Unweighted(3)(LOSSES, TASKS).sum().item() == pytest.approx(8.9)
    assert not list(Unweighted(3).parameters())
