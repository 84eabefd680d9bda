"""Heads, pair encoding and layer sharing."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from swiss_training.multitask.heads import CosineHead
from swiss_training.multitask.losses import compute_divergence, cosine_embedding_loss
from swiss_training.multitask.model import MultitaskModel
from swisscli.core.model.model_config import ModelConfig
from swisscli.core.tasks import TASKS
from tests.support.training import make_model

D = make_model().config.encoder.hidden_size


def model_with(**changes: Any) -> MultitaskModel:
    torch.manual_seed(1)
    config: ModelConfig = replace(make_model().config, **changes)
    return MultitaskModel(config).eval()


def test_pair_encoding_reads_one_sequence_per_pair() -> None:
    model = model_with()
    pooled = torch.randn(4, D)
    assert torch.equal(model.features("paraphrase", pooled), pooled)
    assert model.heads["paraphrase"].linear.in_features == D


def test_separate_encoding_concatenates_both_sentences() -> None:
    model = model_with(pair_encoding=False)
    a, b = torch.randn(3, D), torch.randn(3, D)
    rows = torch.stack([a, b], 1).flatten(0, 1)  # a0 b0 a1 b1 a2 b2
    assert torch.equal(model.features("similarity", rows), torch.cat([a, b], 1))
    assert torch.equal(model.features("sentiment", rows), rows)
    assert model.heads["similarity"].linear.in_features == 2 * D
    assert model.heads["sentiment"].linear.in_features == D


@pytest.mark.parametrize("pair_encoding", [True, False])
def test_layer_sharing_is_two_layers_of_which_pairs_share_the_first(pair_encoding: bool) -> None:
    model = model_with(heads="layer-sharing", pair_encoding=pair_encoding)
    names = [name for name, _ in model.named_parameters() if not name.startswith("encoder")]
    assert sorted(name for name in names if name.endswith("weight")) == [
        "heads.paraphrase.linear.weight",
        "heads.sentiment.linear.weight",
        "heads.similarity.linear.weight",
        "shared_layers.texts_1.weight",
        "shared_layers.texts_2.weight",
    ]
    pooled = torch.randn(4, D)
    x = pooled if pair_encoding else pooled.reshape(2, 2 * D)
    state = model.state_dict()
    hidden = F.leaky_relu(
        x @ state["shared_layers.texts_2.weight"].T + state["shared_layers.texts_2.bias"]
    )
    for task in ("paraphrase", "similarity"):
        expected = (
            hidden @ state[f"heads.{task}.linear.weight"].T + state[f"heads.{task}.linear.bias"]
        )
        assert torch.allclose(model.logits(task, pooled), expected, atol=1e-6)


def test_cosine_heads_compare_the_two_sentences() -> None:
    model = model_with(heads="cosine", pair_encoding=False)
    assert not list(model.heads["paraphrase"].parameters())
    assert isinstance(model.heads["sentiment"].linear, nn.Linear)
    a = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    b = torch.tensor([[5.0, 0.0], [0.0, 2.0], [-1.0, 0.0]])
    features = torch.cat([a, b], 1)
    for task, expected in (
        ("similarity", [5.0, 0.0, 0.0]),
        ("paraphrase", [0.99, 0.01, 0.01]),
    ):
        head = CosineHead(TASKS[task], 0.0)
        output = head(features)
        assert output.flatten().tolist() == pytest.approx([1, 0, -1])
        logits = head.logits(output).flatten()
        answers = logits if task == "similarity" else logits.sigmoid()
        assert answers.tolist() == pytest.approx(expected, abs=1e-5)


def test_cosine_loss_is_that_of_torch_and_linear_between() -> None:
    a, b = torch.randn(6, 8), torch.randn(6, 8)
    targets = torch.tensor([1.0, 0, 1, 0, 0, 1])
    expected = nn.CosineEmbeddingLoss()(a, b, 2 * targets - 1)
    cosine = F.cosine_similarity(a, b)
    assert torch.allclose(cosine_embedding_loss(cosine, targets), expected)
    positive, negative = (cosine_embedding_loss(cosine, torch.full((6,), t)) for t in (1.0, 0.0))
    middle = cosine_embedding_loss(cosine, torch.full((6,), 0.3))
    assert torch.allclose(middle, 0.3 * positive + 0.7 * negative)
    head = CosineHead(TASKS["similarity"], 0.0)
    scores = head.loss(cosine[:, None], targets * 5)
    assert torch.allclose(scores, expected)


def test_divergence_is_the_sum_of_both_divergences() -> None:
    torch.manual_seed(0)
    for task, size in (("sentiment", 5), ("paraphrase", 1)):
        a, b = torch.randn(4, size), torch.randn(4, size)
        p, q = (F.pad(x, (1, 0)) if size == 1 else x for x in (a, b))
        p, q = p.log_softmax(1), q.log_softmax(1)
        both = [F.kl_div(x, y, reduction="batchmean", log_target=True) for x, y in ((p, q), (q, p))]
        assert torch.allclose(compute_divergence(TASKS[task], a, b), sum(both), atol=1e-6)
        assert compute_divergence(TASKS[task], a, a) == 0
    a, b = torch.zeros(2, 1), torch.tensor([[1.0], [3.0]])
    assert compute_divergence(TASKS["similarity"], a, b) == 5
