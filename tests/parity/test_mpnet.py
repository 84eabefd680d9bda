"""What only MPNet has: position buckets, their bias, its tokens."""

import pytest
import torch
from transformers import MPNetModel
from transformers.models.mpnet.modeling_mpnet import MPNetEncoder as TheirLayers

from swiss_training.families.mpnet.encoder import MPNetEncoder, distance_buckets
from swiss_training.families.pretrained import load_pretrained
from swisscli.core.tokenization import Tokenizer, pad
from tests.support.hugging_face import ENCODERS, assert_same, make_theirs, ours_like
from tests.support.paths import ROOT

REAL = ROOT / "data" / "encoders" / "mpnet-base"
SENTENCES: list[tuple[str, ...]] = [
    ("A lovely film!",),
    ("",),
    ("A man is slicing a tomato on a wooden board.", "Someone cuts a vegetable."),
    ("What does </s> mean, and <pad>?", "E = mc², a² + b² = c²"),
    ("word " * 200, "and so on " * 150),
]


@pytest.mark.parametrize("num_buckets", [8, 32, 64])
def test_buckets(num_buckets: int) -> None:
    distances = torch.arange(-600, 601)
    expected = TheirLayers.relative_position_bucket(distances, num_buckets)
    assert torch.equal(distance_buckets(distances, num_buckets), expected)


def test_gradients_reach_the_position_bias() -> None:
    ours = ours_like(make_theirs(ENCODERS, "mpnet")).train()
    ids = torch.randint(2, 97, (2, 300))
    ours(ids, torch.ones_like(ids), torch.zeros_like(ids)).square().sum().backward()
    gradient = ours.relative_attention_bias.weight.grad
    assert gradient is not None
    # Distance 0 counts as before, so the first bucket of the tokens behind is empty.
    assert (gradient.abs().sum(1) > 0).nonzero().flatten().tolist() == [*range(16), *range(17, 32)]


@pytest.mark.skipif(not REAL.is_dir(), reason="no data/encoders/mpnet-base")
def test_the_real_encoder() -> None:
    loaded = load_pretrained(str(REAL))
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
    theirs = MPNetModel.from_pretrained(REAL).eval()
    for batch in (encodings[:-1], encodings[-1:]):  # without padding the short ones to 512
        inputs = pad(batch, loaded.encoder.config.pad_token_id)
        ids_BT, mask_BT, types_BT = map(torch.from_numpy, inputs)
        assert_same(loaded.encoder.eval(), theirs, (ids_BT, mask_BT, types_BT))
