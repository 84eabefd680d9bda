"""Our masked language models compute what those of transformers do, under their names."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from swiss_training.families import FAMILIES, make_encoder
from swiss_training.families.masked_lm import (
    MaskedLanguageHead,
    MaskedLanguageModel,
    load_head,
    to_checkpoint,
)
from swisscli.core.errors import ModelError
from tests.support.hugging_face import (
    MASKED_LMS,
    TOLERANCE,
    config_of,
    inputs_for,
    make_theirs,
    run_theirs,
    save_checkpoint,
    state_of,
)

POSITIONS_M = torch.tensor([1, 5, 46, 69, 92])

every_family = pytest.mark.parametrize("family", FAMILIES)


def make_ours(theirs: Any, folder: Path) -> MaskedLanguageModel:
    family = theirs.config.model_type
    encoder = make_encoder(config_of(theirs))
    state = FAMILIES[family].names.from_hugging_face(theirs.state_dict())
    encoder.load_state_dict(state, strict=False)  # no pooler
    ours = MaskedLanguageModel(encoder)
    assert load_head(ours.head, family, save_checkpoint(folder, theirs))
    return ours.eval()


@every_family
@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "relu"])
def test_logits_and_loss(tmp_path: Path, activation: str, family: str) -> None:
    theirs = make_theirs(MASKED_LMS, family, hidden_act=activation)
    ours = make_ours(theirs, tmp_path).double()
    theirs = theirs.double()
    inputs = inputs_for(theirs)
    labels_BT = torch.full_like(inputs[0], -100)
    labels_BT.view(-1)[POSITIONS_M] = torch.tensor([3, 96, 4, 50, 2])
    with torch.no_grad():
        expected = run_theirs(theirs, *inputs, labels=labels_BT)
        logits_MV = ours(*inputs, POSITIONS_M)
    tolerance = TOLERANCE[torch.float64]
    assert logits_MV.shape == (5, 97)
    assert (logits_MV - expected.logits.flatten(0, 1)[POSITIONS_M]).abs().max() < tolerance
    loss = F.cross_entropy(logits_MV, labels_BT.view(-1)[POSITIONS_M])
    assert (loss - expected.loss).abs() < tolerance


@every_family
def test_gradients_reach_the_tied_embeddings_twice(tmp_path: Path, family: str) -> None:
    theirs = make_theirs(MASKED_LMS, family)
    ours = make_ours(theirs, tmp_path)
    inputs = inputs_for(theirs)
    logits_BTV = run_theirs(theirs, *inputs).logits
    logits_BTV.flatten(0, 1)[POSITIONS_M].square().mean().backward()
    ours(*inputs, POSITIONS_M).square().mean().backward()
    expected = theirs.get_input_embeddings().weight.grad
    actual = ours.encoder.embeddings.word.weight.grad
    assert expected is not None
    assert actual is not None
    assert torch.allclose(actual, expected, rtol=1e-4, atol=1e-5)


@every_family
def test_what_is_written_is_their_checkpoint(tmp_path: Path, family: str) -> None:
    theirs = make_theirs(MASKED_LMS, family)
    assert type(theirs).__name__ == FAMILIES[family].masked_lm.architecture
    written = to_checkpoint(make_ours(theirs, tmp_path))
    expected = state_of(theirs)
    assert {name for name in written if ".pooler." not in name} == expected.keys()
    assert all(torch.equal(written[name], expected[name]) for name in expected)


def test_old_names_and_a_head_that_is_not_whole(tmp_path: Path) -> None:
    theirs = make_theirs(MASKED_LMS, "bert")
    state = state_of(theirs)
    old = {".weight": ".gamma", ".bias": ".beta"}
    renamed = {
        re.sub(r"(?<=LayerNorm)\.\w+$", lambda match: old[match[0]], name): tensor
        for name, tensor in state.items()
    }
    path = tmp_path / "model.safetensors"
    save_file(renamed, path)
    head = MaskedLanguageHead(config_of(theirs))
    assert load_head(head, "bert", path)
    assert torch.equal(head.norm.weight, state["cls.predictions.transform.LayerNorm.weight"])
    before = {name: tensor.clone() for name, tensor in head.state_dict().items()}
    del renamed["cls.predictions.bias"]
    renamed["cls.predictions.transform.dense.weight"] += 1
    save_file(renamed, path)
    assert not load_head(head, "bert", path)
    assert all(torch.equal(tensor, before[name]) for name, tensor in head.state_dict().items())
    save_file(state | {"cls.predictions.bias": torch.zeros(98)}, path)
    with pytest.raises(ModelError) as caught:
        load_head(head, "bert", path)
    assert caught.value.message == (
        f"{path}: cls.predictions.bias has shape (98,), config.json asks for (97,)"
    )
