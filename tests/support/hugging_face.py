"""The encoders of transformers, and ours with their weights: what parity is measured against."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    MPNetConfig,
    MPNetForMaskedLM,
    MPNetModel,
)

from swiss_training.families import FAMILIES, make_encoder
from swiss_training.families.encoder import Encoder
from swisscli.core.model.encoder_config import EncoderConfig
from swisscli.core.model.families import FAMILY_RULES
from swisscli.core.model.schema import Place

CONFIGS: dict[str, Any] = {"bert": BertConfig, "mpnet": MPNetConfig}
ENCODERS: dict[str, Any] = {"bert": BertModel, "mpnet": MPNetModel}
MASKED_LMS: dict[str, Any] = {"bert": BertForMaskedLM, "mpnet": MPNetForMaskedLM}
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}

assert ENCODERS.keys() == FAMILIES.keys(), "a family without a test of parity"


def make_theirs(models: dict[str, Any], family: str, **values: object) -> Any:
    """A model of transformers, of `ENCODERS` or `MASKED_LMS`, in which every parameter matters."""
    torch.manual_seed(0)
    sizes: dict[str, object] = {
        "vocab_size": 97,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "max_position_embeddings": 302,
        "initializer_range": 0.2,
    }
    theirs = models[family](CONFIGS[family](**{**sizes, **values})).eval()
    with torch.no_grad():  # a bias of zeros or a factor of one would hide that it is not taken
        for name, parameter in theirs.named_parameters():
            if name.endswith(("bias", "LayerNorm.weight", "layer_norm.weight")):
                parameter.uniform_(0.5, 1.5)
            if name.endswith("relative_attention_bias.weight"):
                parameter.normal_(std=2)
    return theirs


def config_of(theirs: Any) -> EncoderConfig:
    return EncoderConfig.from_json(theirs.config.to_dict(), Place("config.json"))


def ours_like(theirs: Any) -> Encoder:
    """Our encoder with the weights of a model of `ENCODERS`."""
    ours = make_encoder(config_of(theirs))
    names = FAMILIES[theirs.config.model_type].names
    ours.load_state_dict(names.from_hugging_face(theirs.state_dict()))
    return ours.eval().to(theirs.dtype)


def state_of(theirs: Any) -> dict[str, Tensor]:
    """The weights as a checkpoint holds them: the tied decoder is left out."""
    state = theirs.state_dict()
    return {name: tensor.clone() for name, tensor in state.items() if ".decoder." not in name}


def save_checkpoint(folder: Path, theirs: Any, state: dict[str, Tensor] | None = None) -> Path:
    """Write a folder that `load_pretrained` reads; returns the file of the weights."""
    theirs.config.save_pretrained(folder)
    (folder / "tokenizer.json").write_text("{}")
    weights = folder / "model.safetensors"
    save_file(state or state_of(theirs), weights)
    return weights


def inputs_for(
    theirs: Any, length: int = 23, padding: str = "right"
) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, mask and token types, (5, T) each.

    Args:
        theirs: The model that reads them.
        length: T.
        padding: `none`, `right`, `left`, or `unmasked`: padding tokens that the mask keeps.
    """
    generator = torch.Generator().manual_seed(1)
    config = theirs.config
    ids_BT = torch.randint(2, config.vocab_size, (5, length), generator=generator)
    types_BT = torch.randint(0, 2, ids_BT.shape, generator=generator)
    if padding == "none":
        return ids_BT, torch.ones_like(ids_BT), types_BT
    lengths_B = torch.tensor([length, 1, 2, length // 2, 20])
    mask_BT = (torch.arange(length) < lengths_B[:, None]).long()
    ids_BT = torch.where(mask_BT.bool(), ids_BT, config.pad_token_id)
    if padding == "left":
        ids_BT, mask_BT = ids_BT.flip(1), mask_BT.flip(1)
    if padding == "unmasked":
        mask_BT = torch.ones_like(mask_BT)
    return ids_BT, mask_BT, types_BT


def run_theirs(theirs: Any, ids_BT: Tensor, mask_BT: Tensor, types_BT: Tensor, **more: Any) -> Any:
    """The output of their model, which gets token types if they tell the texts of a pair apart."""
    rules = FAMILY_RULES[theirs.config.model_type]
    types = {"token_type_ids": types_BT} if rules.pairs_by_token_type else {}
    return theirs(input_ids=ids_BT, attention_mask=mask_BT, **types, **more)


@torch.no_grad()
def assert_same(ours: Encoder, theirs: Any, inputs: tuple[Tensor, Tensor, Tensor]) -> None:
    """Hidden states of real tokens and pooled outputs of real first tokens are the same."""
    expected = run_theirs(theirs, *inputs)
    hidden_BTD = ours(*inputs)
    is_token_BT, tolerance = inputs[1].bool(), TOLERANCE[hidden_BTD.dtype]
    assert (hidden_BTD - expected.last_hidden_state)[is_token_BT].abs().max() < tolerance
    pooled_BD = ours.pool_first(hidden_BTD)
    assert (pooled_BD - expected.pooler_output)[is_token_BT[:, 0]].abs().max() < tolerance
