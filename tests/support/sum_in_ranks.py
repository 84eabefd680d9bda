"""Sums gradients over ranks, for the test of the reduction; a program for torchrun.

python tests/support/sum_in_ranks.py FOLDER
"""

import sys
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from swiss_training.distributed import ranks, reduction

WIDTH, DEPTH, STEPS = 32, 6, 3
PATIENCE = 60.0
"""Seconds that a backward pass waits for a sum that should be under way."""


def make_layers() -> nn.Sequential:
    """Layers with equal weights on every rank."""
    torch.manual_seed(0)
    return nn.Sequential(*(nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(DEPTH)))


def loss(layers: nn.Sequential, rank: int, step: int) -> Tensor:
    """The loss of a rank's share of a step."""
    generator = torch.Generator().manual_seed(10 * step + rank)
    loss: Tensor = layers(torch.randn(4, WIDTH, generator=generator)).square().mean()
    return loss


def whole_gradients(layers: nn.Sequential, count: int, step: int) -> list[Tensor]:
    """The gradients of all ranks' shares of a step."""
    whole = torch.stack([loss(layers, rank, step) for rank in range(count)]).sum()
    return list(torch.autograd.grad(whole, list(layers.parameters())))


def main() -> None:
    """Save the sums of every step, and whether the last layer's was there before the first's."""
    torch.set_num_threads(1)
    reduction.BUCKET_BYTES = WIDTH * WIDTH * 4  # each layer is a piece
    layers = make_layers()
    first, *_, last = layers.parameters()
    found, early = [], []
    with ranks.join():
        summed = reduction.GradientSum(layers.parameters())
        for step in range(STEPS):
            layers.zero_grad()
            expected = whole_gradients(layers, ranks.size(), step)[-1]

            def wait_for_last(_: Tensor, step: int = step, expected: Tensor = expected) -> None:
                deadline = time.monotonic() + PATIENCE
                is_there = False
                while step and not is_there and time.monotonic() < deadline:
                    is_there = last.grad is not None and torch.allclose(last.grad, expected)
                    time.sleep(0.001)
                early.append(is_there)

            hook = first.register_hook(wait_for_last)
            summed.open()
            loss(layers, ranks.rank(), step).backward()  # type: ignore[no-untyped-call]
            summed.finish()
            hook.remove()
            found.append([p.grad.clone() for p in layers.parameters() if p.grad is not None])
        torch.save({"found": found, "early": early}, Path(sys.argv[1]) / f"{ranks.rank()}.pt")


if __name__ == "__main__":
    main()
