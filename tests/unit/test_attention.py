"""Attention probabilities: what the encoder really weighs by."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import BertModel

from swiss_evaluation.attention import heatmap
from swiss_evaluation.attention.reader import (
    AttentionReader,
    EncoderSize,
    attention_probabilities,
    open_directory,
)
from swisscli.core.errors import ConfigurationError
from swisscli.core.tokenization import Tokenizer
from tests.support.export import random_inputs
from tests.support.paths import ENCODER
from tests.support.training import make_model, write_run


@torch.inference_mode()
def test_the_values_weighted_by_them_are_the_modules_output() -> None:
    encoder = make_model().encoder
    inputs = [torch.from_numpy(array) for array in random_inputs(5, 23)]
    seen: list[tuple[nn.Module, Tensor, Tensor]] = []
    for layer in encoder.layers:
        layer.attention.register_forward_hook(
            lambda module, args, output: seen.append((module, args[0], output))
        )
    layers = attention_probabilities(encoder, *inputs)
    assert len(layers) == len(seen) == 2
    for probabilities_BHTT, (module, hidden_BTD, output_BTD) in zip(layers, seen, strict=True):
        attention: Any = module
        value_BHTK = attention.value(hidden_BTD).unflatten(-1, (attention.num_heads, -1))
        mixed_BTD = (probabilities_BHTT @ value_BHTK.transpose(1, 2)).transpose(1, 2).flatten(-2)
        torch.testing.assert_close(attention.output(mixed_BTD), output_BTD)
        padding = ~inputs[1].bool()[:, None, None, :].expand_as(probabilities_BHTT)
        assert float(probabilities_BHTT[padding].max()) == 0
        torch.testing.assert_close(
            probabilities_BHTT.sum(-1), torch.ones(probabilities_BHTT.shape[:3])
        )


def test_nothing_stays_on_the_encoder() -> None:
    encoder = make_model().encoder
    before = pickle.dumps(encoder)
    attention_probabilities(encoder, *(torch.from_numpy(a) for a in random_inputs(1, 4)))
    assert len(pickle.dumps(encoder)) == len(before)


def test_hugging_face_computes_the_same() -> None:
    theirs = BertModel.from_pretrained(ENCODER, attn_implementation="eager").eval()
    found = AttentionReader(open_directory(ENCODER)).read(("a man sings .", "the man is singing ."))
    (encoding,) = Tokenizer(ENCODER / "tokenizer.json", 64).encode(
        [("a man sings .", "the man is singing .")]
    )
    with torch.inference_mode():
        expected = theirs(
            torch.from_numpy(encoding.ids)[None].long(),
            token_type_ids=torch.from_numpy(encoding.type_ids)[None].long(),
            output_attentions=True,
        ).attentions
    actual = torch.from_numpy(found.probabilities_LHTT)
    torch.testing.assert_close(actual, torch.cat(expected), atol=1e-6, rtol=1e-5)
    assert found.tokens[0] == "[CLS]"
    assert found.tokens.count("[SEP]") == 2


class _Biased(nn.Module):
    """Attention with an additive bias, as encoders with relative positions have it."""

    def __init__(self) -> None:
        super().__init__()
        self.num_heads = 2
        self.query, self.key = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, hidden_BTD: Tensor, mask_B11T: Tensor, bias_1HTT: Tensor) -> Tensor:
        query, key = (
            part(hidden_BTD).unflatten(-1, (2, -1)).transpose(1, 2)
            for part in (self.query, self.key)
        )
        eye = torch.eye(hidden_BTD.shape[1]).expand(*query.shape[:2], -1, -1)
        mask = torch.zeros(mask_B11T.shape).masked_fill(~mask_B11T, -torch.inf) + bias_1HTT
        return F.scaled_dot_product_attention(query, key, eye, attn_mask=mask)


class _Encoder(nn.Module):
    def __init__(self, *, by_name: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.ModuleDict({"attention": _Biased()})])
        self.by_name = by_name
        self.out = torch.empty(0)

    def forward(self, hidden_BTD: Tensor, mask_B11T: Tensor, bias_1HTT: Tensor) -> None:
        attention = self.layers[0].attention
        if self.by_name:
            self.out = attention(hidden_BTD, mask_B11T=mask_B11T, bias_1HTT=bias_1HTT)
        else:
            self.out = attention(hidden_BTD, mask_B11T, bias_1HTT)


@pytest.mark.parametrize("by_name", [False, True])
def test_an_additive_bias_is_part_of_it(by_name: bool) -> None:
    torch.manual_seed(0)
    encoder = _Encoder(by_name=by_name).eval()
    mask = torch.tensor([[[[True, True, True, False]]]])
    (found,) = attention_probabilities(
        encoder, torch.randn(1, 4, 8), mask, 3 * torch.randn(1, 2, 4, 4)
    )
    torch.testing.assert_close(found, encoder.out)


def test_a_model_directory_and_its_encoder_give_probabilities(tmp_path: Path) -> None:
    reader = AttentionReader(open_directory(write_run(tmp_path / "run", make_model())))
    assert reader.size == EncoderSize(2, 4)
    found = reader.read(("word " * 100,))
    assert found.truncated
    assert found.probabilities_LHTT.shape == (2, 4, 64, 64)


def test_a_layer_or_head_out_of_range() -> None:
    EncoderSize(12, 12).check(11, 0)
    with pytest.raises(ConfigurationError, match="`layer` is 12, this model's are 0 to 11"):
        EncoderSize(12, 12).check(12, 0)
    with pytest.raises(
        ConfigurationError, match=r"2 problems:\n.*`layer` is -1.*\n.*`head` is 4.* 0 to 3"
    ):
        EncoderSize(2, 4).check(-1, 4)


def test_labels_of_a_long_input_do_not_overlap() -> None:
    figure = heatmap.draw(["the"] * 512, np.zeros((512, 512), np.float32), "")
    size = figure.axes[0].get_yticklabels()[0].get_fontsize()
    assert size * 512 < 72 * figure.get_figheight()
    figure = heatmap.draw(["the"] * 12, np.zeros((12, 12), np.float32), "")
    assert figure.axes[0].get_yticklabels()[0].get_fontsize() == 8
