"""AdamW by rows against torch's AdamW."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW

from swiss_training.optim import clip_gradients
from swiss_training.row_adamw import RowAdamW

VOCABULARY, STEPS = 50, 60


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.word = nn.Embedding(VOCABULARY, 8, padding_idx=0)
        self.linear = nn.Linear(8, 1)

    def forward(self, ids: Tensor) -> Tensor:
        return torch.tanh(self.linear(self.word(ids))).mean(1)[:, 0]


def batches() -> list[tuple[Tensor, Tensor]]:
    """Some words in every batch, most now and then, one in the first alone, some never."""
    generator = torch.Generator().manual_seed(1)
    made = []
    for number in range(STEPS):
        ids = torch.randint(3, VOCABULARY // 2, (4, 5), generator=generator)
        ids[:, 0] = 2
        ids[0, -1] = 0
        ids[1, -1] = 1 if number == 0 else 2
        made.append((ids, torch.randn(4, generator=generator)))
    return made


def train(
    model: Words, optimizer: AdamW, given: list[tuple[Tensor, Tensor]], first: int = 0
) -> None:
    for number, (ids, targets) in enumerate(given, first):
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * (1 - number / STEPS)
        if isinstance(optimizer, RowAdamW):
            optimizer.catch_up(ids)
        optimizer.zero_grad()
        for part in (slice(0, 2), slice(2, 4)):  # gradients of two passes add up
            F.mse_loss(model(ids[part]), targets[part]).backward()
        clip_gradients(model.parameters(), 0.1)
        optimizer.step()


def groups(model: Words) -> list[dict[str, object]]:
    return [
        {"params": [model.word.weight], "weight_decay": 0.1},
        {"params": list(model.linear.parameters()), "weight_decay": 0.0},
    ]


def by_row(model: Words) -> RowAdamW:
    model.word.sparse = True
    return RowAdamW(groups(model), model.word.weight)


def test_rows_that_catch_up_are_where_adamw_has_them() -> None:
    torch.manual_seed(0)
    dense = Words()
    model = copy.deepcopy(dense)
    before = dense.word.weight.detach().clone()
    optimizer = by_row(model)
    train(dense, AdamW(groups(dense)), batches())
    train(model, optimizer, batches())
    untouched = model.word.weight[VOCABULARY // 2 :]
    assert torch.equal(untouched, before[VOCABULARY // 2 :])  # until they are read
    optimizer.catch_up()
    for name, parameter in dense.named_parameters():
        change = (parameter - before).abs().mean() if name == "word.weight" else 1.0
        difference = (parameter - model.get_parameter(name)).abs().max()
        assert difference < 1e-4 * change, name


def test_evaluating_in_between_changes_nothing() -> None:
    torch.manual_seed(0)
    model = Words()
    other = copy.deepcopy(model)
    optimizer, again = by_row(model), by_row(other)
    for number, batch in enumerate(batches()):
        train(model, optimizer, [batch], number)
        train(other, again, [batch], number)
        again.catch_up()
    optimizer.catch_up()
    assert torch.allclose(model.word.weight, other.word.weight, atol=1e-6)


@pytest.mark.parametrize("stop", [1, 7, 30])
def test_a_restored_state_goes_on_bit_for_bit(stop: int) -> None:
    torch.manual_seed(0)
    model = Words()
    optimizer = by_row(model)
    train(model, optimizer, batches()[:stop])
    other = copy.deepcopy(model)
    restored = by_row(other)
    restored.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    train(model, optimizer, batches()[stop:], stop)
    train(other, restored, batches()[stop:], stop)
    optimizer.catch_up()
    restored.catch_up()
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, other.get_parameter(name)), name


def test_sparse_gradients_are_clipped_as_dense_ones() -> None:
    torch.manual_seed(0)
    dense = Words()
    model = copy.deepcopy(dense)
    model.word.sparse = True
    ids = torch.tensor([[2, 3, 3, 0]])
    for each in (dense, model):
        each(ids).sum().backward()
    nn.utils.clip_grad_norm_(dense.parameters(), 1e-3)
    clip_gradients(model.parameters(), 1e-3)
    assert model.word.weight.grad is not None
    assert dense.word.weight.grad is not None
    assert torch.allclose(model.word.weight.grad.to_dense(), dense.word.weight.grad)
    assert model.linear.weight.grad is not None
    assert dense.linear.weight.grad is not None
    assert torch.allclose(model.linear.weight.grad, dense.linear.weight.grad)
