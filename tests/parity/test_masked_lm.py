"""Our masked language model computes what transformers' does, under its names."""

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertForMaskedLM, MPNetConfig, MPNetForMaskedLM

from swiss_training.families.bert import BERT
from swiss_training.families.bert.encoder import BertEncoder
from swiss_training.families.masked_lm import (
    MaskedLanguageHead,
    MaskedLanguageModel,
    load_head,
    to_checkpoint,
)
from swiss_training.families.mpnet import MPNET
from swisscli.core.errors import ModelError
from swisscli.core.model.encoder_config import EncoderConfig
from swisscli.core.model.schema import Place

TOLERANCE = 1e-5
SIZES = {
    "vocab_size": 97,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
    "initializer_range": 0.2,
}


def make_theirs(**values: object) -> BertForMaskedLM:
    torch.manual_seed(0)
    theirs = BertForMaskedLM(BertConfig(**SIZES, **values))  # type: ignore[arg-type]
    with torch.no_grad():  # zeros would hide a bias that is not taken
        for name, parameter in theirs.named_parameters():
            if name.endswith(("bias", "LayerNorm.weight")):
                parameter.uniform_(0.5, 1.5)
    return theirs.eval()


def save(theirs: BertForMaskedLM, path: Path) -> Path:
    state = {k: v.clone() for k, v in theirs.state_dict().items() if ".decoder." not in k}
    save_file(state, path)
    return path


def make_ours(theirs: BertForMaskedLM, weights: Path) -> MaskedLanguageModel:
    encoder = BertEncoder(EncoderConfig.from_json(theirs.config.to_dict(), Place("config.json")))
    state = BERT.names.from_hugging_face(theirs.state_dict())
    encoder.load_state_dict(state, strict=False)  # no pooler
    ours = MaskedLanguageModel(encoder)
    assert load_head(ours.head, "bert", save(theirs, weights))
    return ours.eval()


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    ids_BT = torch.randint(1, 97, (3, 17), generator=generator)
    mask_BT = torch.ones_like(ids_BT)
    mask_BT[1, 9:] = 0
    return ids_BT, mask_BT, torch.zeros_like(ids_BT)


@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "relu"])
def test_logits_and_loss(tmp_path: Path, activation: str) -> None:
    theirs = make_theirs(hidden_act=activation)
    ours = make_ours(theirs, tmp_path / "model.safetensors")
    ids_BT, mask_BT, types_BT = inputs()
    positions_M = torch.tensor([1, 5, 17, 25, 50])
    labels_BT = torch.full_like(ids_BT, -100)
    labels_BT.view(-1)[positions_M] = torch.tensor([3, 96, 4, 50, 1])
    with torch.no_grad():
        expected = theirs(ids_BT, mask_BT, types_BT, labels=labels_BT)
        logits_MV = ours(ids_BT, mask_BT, types_BT, positions_M)
    assert logits_MV.shape == (5, 97)
    assert (logits_MV - expected.logits.flatten(0, 1)[positions_M]).abs().max() < TOLERANCE
    loss = torch.nn.functional.cross_entropy(logits_MV, labels_BT.view(-1)[positions_M])
    assert (loss - expected.loss).abs() < TOLERANCE


def test_gradients_reach_the_tied_embeddings_twice(tmp_path: Path) -> None:
    theirs = make_theirs(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    ours = make_ours(theirs, tmp_path / "model.safetensors")
    ids_BT, mask_BT, types_BT = inputs()
    positions_M = torch.tensor([2, 20, 40])
    theirs(ids_BT, mask_BT, types_BT).logits.flatten(0, 1)[positions_M].square().mean().backward()
    ours(ids_BT, mask_BT, types_BT, positions_M).square().mean().backward()
    expected = theirs.bert.embeddings.word_embeddings.weight.grad
    actual = ours.encoder.embeddings.word.weight.grad
    assert expected is not None
    assert actual is not None
    assert torch.allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_what_is_written_is_their_checkpoint(tmp_path: Path) -> None:
    theirs = make_theirs()
    ours = make_ours(theirs, tmp_path / "model.safetensors")
    written = to_checkpoint(ours)
    expected = {k: v for k, v in theirs.state_dict().items() if ".decoder." not in k}
    assert {k for k in written if ".pooler." not in k} == expected.keys()
    assert all(torch.equal(written[name], expected[name]) for name in expected)


def test_old_names_and_a_head_that_is_not_whole(tmp_path: Path) -> None:
    theirs = make_theirs()
    state = {k: v.clone() for k, v in theirs.state_dict().items() if ".decoder." not in k}
    old = {".weight": ".gamma", ".bias": ".beta"}
    renamed = {
        re.sub(r"(?<=LayerNorm)\.\w+$", lambda match: old[match[0]], name): tensor
        for name, tensor in state.items()
    }
    path = tmp_path / "model.safetensors"
    save_file(renamed, path)
    head = MaskedLanguageHead(
        EncoderConfig.from_json(theirs.config.to_dict(), Place("config.json"))
    )
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


def test_the_head_of_mpnet(tmp_path: Path) -> None:
    """The head alone: its names, and what it computes of given hidden states."""
    torch.manual_seed(0)
    theirs = MPNetForMaskedLM(MPNetConfig(**SIZES)).eval()  # type: ignore[arg-type]
    assert type(theirs).__name__ == MPNET.masked_lm.architecture
    with torch.no_grad():
        theirs.lm_head.bias.uniform_(-1, 1)
    state = theirs.state_dict()
    save_file(
        {k: v.clone() for k, v in state.items() if ".decoder." not in k}, tmp_path / "w.safetensors"
    )
    head = MaskedLanguageHead(EncoderConfig(**{**SIZES, "layer_norm_eps": 1e-12}))  # type: ignore[arg-type]
    assert load_head(head, "mpnet", tmp_path / "w.safetensors")
    hidden_MD = torch.randn(6, 32)
    with torch.no_grad():
        expected = theirs.lm_head(hidden_MD)
        logits_MV = head(hidden_MD, state["mpnet.embeddings.word_embeddings.weight"])
    assert (logits_MV - expected).abs().max() < TOLERANCE
