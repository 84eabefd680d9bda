"""Our encoder computes what transformers' BertModel computes."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertModel

from swiss_training.families.bert import BERT
from swiss_training.families.bert.encoder import BertEncoder
from swiss_training.families.pretrained import load_pretrained
from swisscli.core.model.encoder_config import EncoderConfig
from swisscli.core.model.schema import Place
from tests.support.paths import ROOT

PREPARE = ROOT.parent / "shared" / "weights" / "prepare.py"
TOLERANCE = 1e-5


def assert_same(ours: BertEncoder, theirs: BertModel, padded: bool) -> None:
    config = theirs.config
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(1, config.vocab_size, (5, 23), generator=generator)
    types = torch.randint(0, config.type_vocab_size, ids.shape, generator=generator)
    mask = torch.ones_like(ids)
    if padded:
        for row, length in enumerate((23, 1, 7, 16, 22)):
            mask[row, length:] = 0
    ours.eval(), theirs.eval()
    with torch.no_grad():
        expected = theirs(input_ids=ids, attention_mask=mask, token_type_ids=types)
        hidden = ours(ids, mask, types)
        pooled = ours.pool_first(hidden)
    real = mask.bool()
    assert (hidden - expected.last_hidden_state)[real].abs().max() < TOLERANCE
    assert (pooled - expected.pooler_output).abs().max() < TOLERANCE


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "relu"])
@pytest.mark.parametrize(("hidden", "heads", "layers"), [(32, 4, 1), (48, 3, 3), (64, 8, 2)])
def test_random_configurations(
    hidden: int, heads: int, layers: int, activation: str, padded: bool
) -> None:
    torch.manual_seed(hidden + layers)
    config = BertConfig(
        vocab_size=97,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=3 * hidden,
        hidden_act=activation,
        max_position_embeddings=40,
        initializer_range=0.2,
    )
    theirs = BertModel(config)
    ours = BertEncoder(EncoderConfig.from_json(config.to_dict(), Place("config.json")))
    ours.load_state_dict(BERT.names.from_hugging_face(theirs.state_dict()))
    assert_same(ours, theirs, padded)


def test_names_are_reversible() -> None:
    config = BertConfig(
        vocab_size=11,
        hidden_size=8,
        num_hidden_layers=11,
        num_attention_heads=2,
        intermediate_size=8,
    )
    theirs = BertModel(config).state_dict()
    theirs = {key: value for key, value in theirs.items() if not key.endswith("position_ids")}
    back = BERT.names.to_hugging_face(BERT.names.from_hugging_face(theirs))
    assert back.keys() == theirs.keys()
    assert all(torch.equal(back[key], theirs[key]) for key in theirs)


@pytest.fixture(scope="module")
def real_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not PREPARE.is_file():
        pytest.skip("the script that prepares a real encoder is not beside the project")
    directory = tmp_path_factory.mktemp("encoders")
    subprocess.run([sys.executable, str(PREPARE), "minilm-l6", str(directory)], check=True)
    return directory / "minilm-l6"


@pytest.mark.parametrize("padded", [False, True])
def test_real_encoder(real_encoder: Path, padded: bool) -> None:
    pretrained = load_pretrained(str(real_encoder))
    assert not pretrained.pooler_initialised
    theirs = BertModel.from_pretrained(real_encoder)
    assert_same(pretrained.encoder, theirs, padded)


def test_checkpoint_of_a_pretraining_model(tmp_path: Path) -> None:
    """The prefix `bert.`, `gamma` and `beta`, and no pooler, as old checkpoints have it."""
    config = BertConfig(
        vocab_size=97,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
    )
    theirs = BertModel(config)
    renamed = {}
    for key, value in theirs.state_dict().items():
        if not key.startswith("pooler."):
            key = key.replace("LayerNorm.weight", "LayerNorm.gamma")
            renamed["bert." + key.replace("LayerNorm.bias", "LayerNorm.beta")] = value.clone()
    renamed["cls.predictions.bias"] = torch.zeros(97)
    save_file(renamed, tmp_path / "model.safetensors")
    config.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    loaded = load_pretrained(str(tmp_path))
    assert loaded.pooler_initialised
    theirs.pooler.dense.load_state_dict(loaded.encoder.pooler.state_dict())
    assert_same(loaded.encoder, theirs, padded=True)
