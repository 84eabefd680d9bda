"""Gradient aggregation: formulas, TorchJD, and what a training step makes of it."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor
from torchjd import aggregation as torchjd

from swiss_training.aggregation.cagrad import RADIUS, CAGrad
from swiss_training.aggregation.gradients import TaskGradients
from swiss_training.aggregation.gradvac import MOMENTUM, GradVac
from swiss_training.aggregation.pcgrad import PCGrad
from swiss_training.multitask import objective as multitask
from swiss_training.multitask.config import TrainConfig
from swiss_training.step import take_step
from swisscli.core.methods import find_method, method_names
from tests.support.training import make_model, tiny_config


def make(name: str, num_tasks: int) -> torch.nn.Module:
    """A method of the registry with its default options."""
    return find_method("aggregation", name).make(vars(TrainConfig()), num_tasks)


def conflicting(num_tasks: int, seed: int, size: int = 40) -> Tensor:
    """Gradients of which some oppose each other, (N, P)."""
    generator = torch.Generator().manual_seed(seed)
    jacobian = torch.randn(num_tasks, size, generator=generator)
    return jacobian - 0.3 * jacobian.sum(0)


def combine(method: torch.nn.Module, jacobian_NP: Tensor, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    tasks = torch.arange(len(jacobian_NP))
    return method(jacobian_NP @ jacobian_NP.T, tasks, generator) @ jacobian_NP


@pytest.mark.parametrize("seed", range(20))
def test_pcgrad_of_two_tasks_by_hand(seed: int) -> None:
    a, b = conflicting(2, seed)
    expected = a - a @ b / (b @ b) * b + (b - a @ b / (a @ a) * a) if a @ b < 0 else a + b
    assert torch.allclose(combine(PCGrad(2), torch.stack([a, b])), expected, atol=1e-5)


@pytest.mark.parametrize(("num_tasks", "seed"), list(itertools.product((2, 3, 5), range(10))))
def test_pcgrad_is_that_of_torchjd(num_tasks: int, seed: int) -> None:
    jacobian = conflicting(num_tasks, seed)
    torch.manual_seed(seed)  # TorchJD draws from the global generator
    expected = torchjd.PCGrad()(jacobian)
    assert torch.allclose(combine(PCGrad(num_tasks), jacobian, seed), expected, atol=1e-5)


def test_the_order_of_pcgrad_matters_and_is_drawn_from_the_generator() -> None:
    jacobian = conflicting(3, 1)
    results = [combine(PCGrad(3), jacobian, seed) for seed in range(8)]
    assert not all(torch.allclose(results[0], other) for other in results)
    assert torch.equal(results[3], combine(PCGrad(3), jacobian, 3))


def test_gradvac_is_that_of_torchjd_over_many_steps() -> None:
    ours, theirs = GradVac(2), torchjd.GradVac(beta=1 - MOMENTUM)
    moved = False
    for seed in range(60):
        shared = torch.ones(2, 40) * (0.3 if seed % 3 else -0.1)
        jacobian = conflicting(2, seed) + shared
        result = combine(ours, jacobian)
        assert torch.allclose(result, theirs(jacobian), atol=1e-4)
        moved |= not torch.allclose(result, combine(PCGrad(2), jacobian), atol=1e-3)
    assert moved


@pytest.mark.parametrize(("num_tasks", "seed"), list(itertools.product((2, 3, 4), range(6))))
def test_cagrad_finds_what_a_general_solver_finds(num_tasks: int, seed: int) -> None:
    jacobian = conflicting(num_tasks, seed).double()
    gram = jacobian @ jacobian.T
    mean = torch.full((num_tasks,), 1 / num_tasks, dtype=torch.float64)
    radius = RADIUS * (mean @ gram @ mean).sqrt()

    def objective(weights: Any) -> float:
        w = torch.as_tensor(weights, dtype=torch.float64)
        return float(w @ gram @ mean + radius * (w @ gram @ w).clamp(min=0).sqrt())

    solved = minimize(
        objective,
        mean.numpy(),
        bounds=[(0, 1)] * num_tasks,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-12},
    )
    weights = torch.from_numpy(solved.x)
    length = (weights @ gram @ weights).sqrt()
    expected = num_tasks * ((mean + radius / length * weights) @ jacobian)
    result = combine(CAGrad(num_tasks), jacobian.float()).double()
    assert (result - expected).norm() < 0.005 * expected.norm()


@pytest.mark.parametrize("name", method_names("aggregation"))
def test_gradients_that_agree_are_summed_or_scaled(name: str) -> None:
    jacobian = torch.eye(3).repeat(1, 4) + 0.5
    result = combine(make(name, 3), jacobian)
    cosine = torch.cosine_similarity(result, jacobian.sum(0), dim=0)
    assert cosine > 0.999
    if name != "cagrad":
        assert torch.allclose(result, jacobian.sum(0), atol=1e-5)


@pytest.mark.parametrize("name", method_names("aggregation"))
def test_properties_of_every_method(name: str) -> None:
    for seed in range(5):
        jacobian = conflicting(3, seed)
        scaled = combine(make(name, 3), 7 * jacobian, seed)
        assert torch.allclose(
            scaled, 7 * combine(make(name, 3), jacobian, seed), rtol=1e-3, atol=1e-3
        )
    zero = torch.zeros(3, 5)
    assert torch.equal(combine(make(name, 3), zero), zero[0])
    one_is_zero = torch.stack([torch.ones(5), torch.zeros(5)])
    assert combine(make(name, 2), one_is_zero).isfinite().all()
    alone = torch.randn(1, 5)
    expected = alone[0] * (1 + RADIUS if name == "cagrad" else 1)
    assert torch.allclose(combine(make(name, 1), alone), expected, atol=1e-5)


def test_pcgrad_of_two_tasks_conflicts_with_none() -> None:
    for seed in range(20):
        jacobian = conflicting(2, seed)
        assert (jacobian @ combine(PCGrad(2), jacobian) >= -1e-4).all()


def test_gradients_are_taken_and_given() -> None:
    model = make_model()
    gradients = TaskGradients(model)
    shared = [p for name, p in model.named_parameters() if not name.startswith("heads.")]
    head = model.heads["sentiment"].linear.weight
    for task, value in ((0, 1.0), (2, -3.0)):
        for parameter in shared[task:]:
            parameter.grad = torch.full_like(parameter, value)
        head.grad = torch.full_like(head, 5.0)
        gradients.take(task)
        assert all(parameter.grad is None for parameter in shared)

    class Given(torch.nn.Module):
        def forward(self, gram: Tensor, tasks: Tensor, generator: torch.Generator) -> Tensor:
            sizes = [sum(p.numel() for p in shared[start:]) for start in (0, 2)]
            expected = torch.tensor([[sizes[0], -3 * sizes[1]], [-3 * sizes[1], 9 * sizes[1]]])
            assert torch.allclose(gram, expected.float())
            assert tasks.tolist() == [0, 2]
            return torch.tensor([10.0, 1.0])

    gradients.combine(Given(), torch.Generator())
    assert torch.equal(shared[0].grad, torch.full_like(shared[0], 10.0))
    assert torch.equal(shared[2].grad, torch.full_like(shared[2], 7.0))
    assert (head.grad == 5).all()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("max_grad_norm", [0.0, 0.5])
def test_a_step_projects_once_after_accumulation_and_before_clipping(
    tmp_path: Path, precision: str, max_grad_norm: float
) -> None:
    config = tiny_config(
        tmp_path / "run",
        aggregation="pcgrad",
        gradient_accumulation_steps=2,
        precision=precision,
        max_grad_norm=max_grad_norm,
        seed=5,
    )
    updates = [("sentiment", "paraphrase", "similarity")] * 2

    run = multitask.Multitask(config)
    parameters = dict(run.model.named_parameters())
    torch.manual_seed(0)
    run.train()
    jacobian, heads = [], dict.fromkeys((n for n in parameters if "heads." in n), torch.zeros(()))
    shared = [name for name in parameters if name not in heads]
    for task in run.tasks:
        run.model.zero_grad(set_to_none=True)
        for _ in updates:
            (run.loss(task, run.streams[task].next()) / len(updates)).backward()
        gradients = {
            n: p.grad if p.grad is not None else torch.zeros_like(p) for n, p in parameters.items()
        }
        jacobian.append(torch.cat([gradients[name].flatten() for name in shared]))
        heads = {name: total + gradients[name] for name, total in heads.items()}
    stacked = torch.stack(jacobian)
    assert (torch.triu(stacked @ stacked.T, 1) < 0).any()  # else there is nothing to project
    torch.manual_seed(config.seed)
    expected = torchjd.PCGrad()(stacked)
    norm = torch.cat([expected, *(value.flatten() for value in heads.values())]).norm()
    scale = min(1.0, max_grad_norm / (norm.item() + 1e-6)) if max_grad_norm else 1.0

    run = multitask.Multitask(config)
    torch.manual_seed(0)
    take_step(run, 0)
    parameters = dict(run.model.named_parameters())
    got = [
        p.grad if p.grad is not None else torch.zeros_like(p)
        for p in (parameters[name] for name in shared)
    ]
    result = torch.cat([gradient.flatten() for gradient in got])
    assert torch.allclose(result, scale * expected, rtol=1e-3, atol=1e-6)
    for name, value in heads.items():
        assert torch.allclose(parameters[name].grad, scale * value, rtol=1e-4, atol=1e-7)
