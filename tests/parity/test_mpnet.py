"""Our encoder computes what transformers' MPNetModel computes."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import MPNetConfig, MPNetForMaskedLM, MPNetModel
from transformers.models.mpnet.modeling_mpnet import MPNetEncoder as TheirLayers

from swiss_training.families.mpnet import MPNET
from swiss_training.families.mpnet.encoder import MPNetEncoder, distance_buckets
from swiss_training.families.pretrained import load_pretrained
from swisscli.core.model.encoder_config import EncoderConfig
from swisscli.core.model.schema import Place
from swisscli.core.tokenization import Tokenizer, pad
from tests.support.paths import ROOT

ENCODERS = ROOT / "data" / "encoders"
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}
SENTENCES: list[tuple[str, ...]] = [
    ("A lovely film!",),
    ("",),
    ("A man is slicing a tomato on a wooden board.", "Someone cuts a vegetable."),
    ("What does </s> mean, and <pad>?", "E = mc², a² + b² = c²"),
    ("word " * 200, "and so on " * 150),
]


def random_encoder(hidden: int, heads: int, layers: int) -> MPNetModel:
    """An encoder in which every part matters, the position bias above all."""
    torch.manual_seed(hidden + layers)
    config = MPNetConfig(
        vocab_size=97,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=3 * hidden,
        max_position_embeddings=302,
        initializer_range=0.2,
    )
    model = MPNetModel(config).eval()
    with torch.no_grad():
        model.encoder.relative_attention_bias.weight.normal_(std=2)
        model.embeddings.position_embeddings.weight.normal_(std=0.2)
    return model


def ours_like(theirs: MPNetModel) -> MPNetEncoder:
    ours = MPNetEncoder(EncoderConfig.from_json(theirs.config.to_dict(), Place("config.json")))
    ours.load_state_dict(MPNET.names.from_hugging_face(theirs.state_dict()))
    return ours.eval()


@torch.no_grad()
def assert_same(ours: MPNetEncoder, theirs: MPNetModel, ids: Tensor, mask: Tensor) -> None:
    expected = theirs(input_ids=ids, attention_mask=mask)
    types = torch.randint(0, 2, ids.shape)
    hidden = ours(ids, mask, types)
    real, tolerance = mask.bool(), TOLERANCE[hidden.dtype]
    assert (hidden - expected.last_hidden_state)[real].abs().max() < tolerance
    assert (ours.pool_first(hidden) - expected.pooler_output)[real[:, 0]].abs().max() < tolerance


@pytest.mark.parametrize("padding", ["none", "right", "left", "unmasked"])
@pytest.mark.parametrize("length", [2, 23, 300])
@pytest.mark.parametrize(("hidden", "heads", "layers"), [(32, 4, 1), (48, 3, 3)])
def test_random_configurations(
    hidden: int, heads: int, layers: int, length: int, padding: str
) -> None:
    theirs = random_encoder(hidden, heads, layers).double()
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(2, 97, (5, length), generator=generator)
    mask = torch.ones_like(ids)
    if padding != "none":
        mask = (
            torch.arange(length) < torch.tensor([length, 1, 2, length // 2, 20])[:, None]
        ).long()
        ids = torch.where(mask.bool(), ids, theirs.config.pad_token_id)
    if padding == "left":
        ids, mask = ids.flip(1), mask.flip(1)
    if padding == "unmasked":
        mask = torch.ones_like(mask)
    assert_same(ours_like(theirs).double(), theirs, ids, mask)


@pytest.mark.parametrize("num_buckets", [8, 32, 64])
def test_buckets(num_buckets: int) -> None:
    distances = torch.arange(-600, 601)
    expected = TheirLayers.relative_position_bucket(distances, num_buckets)
    assert torch.equal(distance_buckets(distances, num_buckets), expected)


def test_names_are_reversible() -> None:
    theirs = random_encoder(32, 4, 11).state_dict()
    back = MPNET.names.to_hugging_face(MPNET.names.from_hugging_face(theirs))
    assert back.keys() == theirs.keys()
    assert all(torch.equal(back[key], theirs[key]) for key in theirs)


def test_checkpoint_of_a_pretraining_model(tmp_path: Path) -> None:
    """The prefix `mpnet.`, a head that has no place here, and no pooler."""
    config = random_encoder(32, 4, 2).config
    theirs = MPNetForMaskedLM(config).eval()
    weights = {name: tensor.clone() for name, tensor in theirs.state_dict().items()}
    assert any(name.startswith("mpnet.") for name in weights)
    assert any(name.startswith("lm_head.") for name in weights)
    save_file(weights, tmp_path / "model.safetensors")
    config.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    loaded = load_pretrained(str(tmp_path))
    assert loaded.pooler_initialised
    ids = torch.randint(2, 97, (3, 9))
    with torch.no_grad():
        hidden = loaded.encoder.eval()(ids, torch.ones_like(ids), torch.zeros_like(ids))
        expected = theirs.mpnet(input_ids=ids).last_hidden_state
    assert (hidden - expected).abs().max() < TOLERANCE[torch.float32]


def test_gradients_reach_the_position_bias() -> None:
    ours = ours_like(random_encoder(32, 4, 2)).train()
    ids = torch.randint(2, 97, (2, 300))
    ours(ids, torch.ones_like(ids), torch.zeros_like(ids)).square().sum().backward()
    gradient = ours.relative_attention_bias.weight.grad
    assert gradient is not None
    # Distance 0 counts as before, so the first bucket of the tokens behind is empty.
    assert (gradient.abs().sum(1) > 0).nonzero().flatten().tolist() == [*range(16), *range(17, 32)]


def test_the_real_encoder() -> None:
    directory = ENCODERS / "mpnet-base"
    if not directory.is_dir():
        pytest.skip(f"no {directory.relative_to(ENCODERS.parents[1])}, the encoder mpnet-base")
    loaded = load_pretrained(str(directory))
    assert not loaded.pooler_initialised
    assert isinstance(loaded.encoder, MPNetEncoder)
    assert loaded.encoder.config.longest_input == 512
    encodings = Tokenizer(loaded.tokenizer, 512).encode(SENTENCES)
    assert [encoding.truncated for encoding in encodings] == [False] * 4 + [True]
    assert len(encodings[-1]) == 512
    beginning, separator = 0, 2
    assert encodings[1].ids.tolist() == [beginning, separator]
    for encoding in encodings[2:]:
        ids = encoding.ids.tolist()
        assert (ids[0], ids[-1]) == (beginning, separator)
        middle = ids.index(separator)
        assert ids[middle : middle + 2] == [separator, separator]
        assert ids.count(separator) == 3
        assert not encoding.type_ids.any()
    ids, mask, _ = map(torch.from_numpy, pad(encodings, loaded.encoder.config.pad_token_id))
    assert_same(loaded.encoder.eval(), MPNetModel.from_pretrained(directory).eval(), ids, mask)
