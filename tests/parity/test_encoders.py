"""Our encoders compute what those of transformers compute, family by family."""

from pathlib import Path

import pytest
import torch

from swiss_training.families import FAMILIES
from swiss_training.families.pretrained import load_pretrained
from tests.support.hugging_face import (
    ENCODERS,
    MASKED_LMS,
    assert_same,
    inputs_for,
    make_theirs,
    ours_like,
    save_checkpoint,
    state_of,
)

every_family = pytest.mark.parametrize("family", FAMILIES)


@every_family
@pytest.mark.parametrize("padding", ["none", "right", "left", "unmasked"])
@pytest.mark.parametrize("length", [2, 23, 300])
@pytest.mark.parametrize(("hidden", "heads", "layers"), [(32, 4, 1), (48, 3, 3)])
def test_random_configurations(
    hidden: int, heads: int, layers: int, length: int, padding: str, family: str
) -> None:
    shape = {"hidden_size": hidden, "num_attention_heads": heads, "num_hidden_layers": layers}
    theirs = make_theirs(ENCODERS, family, **shape).double()
    assert_same(ours_like(theirs), theirs, inputs_for(theirs, length, padding))


@every_family
@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "relu"])
def test_activations(activation: str, family: str) -> None:
    theirs = make_theirs(ENCODERS, family, hidden_act=activation).double()
    assert_same(ours_like(theirs), theirs, inputs_for(theirs))


@every_family
def test_names_are_reversible(family: str) -> None:
    theirs = state_of(make_theirs(ENCODERS, family, num_hidden_layers=11))
    theirs = {name: tensor for name, tensor in theirs.items() if "position_ids" not in name}
    names = FAMILIES[family].names
    back = names.to_hugging_face(names.from_hugging_face(theirs))
    assert back.keys() == theirs.keys()
    assert all(torch.equal(back[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize(
    ("family", "renamed"),
    [
        *((family, {}) for family in FAMILIES),
        ("bert", {"Norm.weight": "Norm.gamma", "Norm.bias": "Norm.beta"}),
    ],
)
def test_checkpoint_of_a_pretraining_model(
    tmp_path: Path, family: str, renamed: dict[str, str]
) -> None:
    """Every name has a prefix, there is a head that has no place here, and there is no pooler."""
    theirs = make_theirs(MASKED_LMS, family)
    state = state_of(theirs)
    for new, old in renamed.items():
        state = {name.replace(new, old): tensor for name, tensor in state.items()}
    prefixes = {FAMILIES[family].names.prefix, FAMILIES[family].masked_lm.dense.partition(".")[0]}
    assert {name.partition(".")[0] for name in state} == prefixes
    save_checkpoint(tmp_path, theirs, state)
    loaded = load_pretrained(str(tmp_path))
    assert loaded.pooler_initialised
    whole = make_theirs(ENCODERS, family)
    whole.load_state_dict(theirs.base_model.state_dict(), strict=False)
    whole.pooler.dense.load_state_dict(loaded.encoder.pooler.state_dict())
    assert_same(loaded.encoder.eval(), whole, inputs_for(whole))
