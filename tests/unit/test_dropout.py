"""Fast dropout: as often, as large and as seeded as torch's; attention with it is attention."""

import pytest
import torch

from swiss_training.families.dropout import FastDropout, use_fast_dropout
from tests.support.paths import ENCODERS
from tests.support.training import make_model


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("probability", [0.1, 0.5, 0.999])
def test_elements_are_dropped_as_often_as_asked_and_the_others_grow(
    dtype: torch.dtype, probability: float
) -> None:
    torch.manual_seed(1)
    dropped = FastDropout(probability)(torch.ones(1001, 333, dtype=dtype))
    share = (dropped == 0).float().mean().item()
    assert share == pytest.approx(probability, abs=4 * (0.25 / dropped.numel()) ** 0.5)
    assert dropped.max().item() == pytest.approx(1 / (1 - probability), rel=1e-2)
    assert len(dropped.unique()) == 2


def test_gradients_pass_where_elements_are_kept() -> None:
    given = torch.ones(7, 9, requires_grad=True)
    dropped = FastDropout(0.5)(given)
    dropped.sum().backward()
    assert torch.equal(given.grad, dropped.detach())  # type: ignore[arg-type]


def test_masks_follow_the_seed_and_evaluation_drops_nothing() -> None:
    dropout, given = FastDropout(0.5), torch.ones(100)
    masks = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        masks.append(dropout(given))
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])
    assert torch.equal(dropout.eval()(given), given)


@pytest.mark.parametrize("family", ENCODERS)
def test_a_model_with_fast_dropout_computes_the_same_without_dropout(family: str) -> None:
    model = make_model(family=family).eval()
    ids = torch.randint(5, 100, (3, 12))
    mask = torch.ones_like(ids)
    ids[1, 7:] = model.config.encoder.pad_token_id
    mask[1, 7:] = 0
    inputs = (ids, mask, torch.zeros_like(ids))
    before = model("sentiment", *inputs)
    use_fast_dropout(model)
    assert torch.allclose(model("sentiment", *inputs), before, atol=1e-5)
    assert not torch.allclose(model.train()("sentiment", *inputs), before, atol=1e-3)
