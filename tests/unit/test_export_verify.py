"""What the verification of a graph lets through and what it stops."""

from pathlib import Path

import numpy as np
import pytest

from swiss_export import verify
from swiss_export.verify import DevFigure
from swisscli.core.errors import VerificationError
from swisscli.core.tasks import DEFAULT_TASKS
from swisscli.core.tokenization import Tokenizer
from tests.support.export import graph_of, session_of, spoil, text_batches
from tests.support.paths import ENCODER
from tests.support.training import dev_rows, make_fitted_model, make_model


def test_real_text_of_many_lengths_and_batch_sizes_with_padding() -> None:
    batches = text_batches()
    lengths = {length for _, mask_BT, _ in batches for length in mask_BT.sum(1).tolist()}
    assert {2, 64} <= lengths
    assert len(lengths) > 15
    assert {len(mask_BT) for _, mask_BT, _ in batches} >= set(verify.BATCH_SIZES)
    assert sum(not mask_BT.all() for _, mask_BT, _ in batches) > len(batches) / 2
    assert any(types_BT.any() for _, _, types_BT in batches)


def test_dev_rows_join_the_text() -> None:
    tokenizer = Tokenizer(ENCODER / "tokenizer.json", 64)
    datasets = {task: dev_rows(task) for task in DEFAULT_TASKS}
    joined = verify.parity_batches(tokenizer, make_model().config, datasets)
    num_rows = sum(len(mask_BT) for _, mask_BT, _ in joined)
    assert num_rows == sum(len(m) for _, m, _ in text_batches()) + sum(map(len, datasets.values()))


def test_a_faithful_graph_passes(tmp_path: Path) -> None:
    model = make_model()
    parity = verify.compare(model, session_of(graph_of(model, "fp32"), tmp_path), text_batches())
    assert set(parity) == set(DEFAULT_TASKS)
    assert all(0 < value < 1e-5 for value in parity.values())
    verify.check_parity(parity, "fp32")


@pytest.mark.parametrize(
    ("constant", "factor", "spoilt"),
    [
        ("encoder.layers.1.down.weight", 1.01, set(DEFAULT_TASKS)),
        ("encoder.embeddings.position.weight", 1.01, set(DEFAULT_TASKS)),
        ("heads.paraphrase.linear.weight", 1.01, {"paraphrase"}),
        ("heads.similarity.linear.bias", 1.01, {"similarity"}),
    ],
)
def test_a_spoilt_weight_is_caught(
    constant: str, factor: float, spoilt: set[str], tmp_path: Path
) -> None:
    model = make_model()
    graph = spoil(graph_of(model, "fp32"), constant, factor)
    parity = verify.compare(model, session_of(graph, tmp_path), text_batches())
    assert {task for task, value in parity.items() if value > verify.TOLERANCE} == spoilt
    with pytest.raises(VerificationError) as caught:
        verify.check_parity(parity, "fp32")
    assert caught.value.exit_code == 1
    for task, value in parity.items():
        mark = "  <- too much" if task in spoilt else ""
        assert f"  {task}: {value:.2e}{mark}" in caught.value.message.splitlines()


def test_a_logit_that_is_no_number_is_caught(tmp_path: Path) -> None:
    model = make_model()
    graph = spoil(graph_of(model, "fp32"), "heads.sentiment.linear.bias", np.inf)
    session = session_of(graph, tmp_path)
    with pytest.raises(VerificationError, match="sentiment are not finite"):
        verify.compare(model, session, text_batches())
    with pytest.raises(VerificationError, match="sentiment are not finite"):
        verify.score_dev(model, session, dev_rows("sentiment"), "int8")


def test_dev_metrics_are_those_of_the_graph_and_of_torch(tmp_path: Path) -> None:
    model = make_fitted_model()
    rows = dev_rows("similarity")
    exact = session_of(graph_of(model, "fp32"), tmp_path)
    same = verify.score_dev(model, exact, rows, "int8")
    assert same.torch == pytest.approx(same.graph, abs=1e-5)
    assert same.rows == 46
    reversed_ = spoil(graph_of(model, "fp32"), "heads.similarity.linear.weight", -1)
    figure = verify.score_dev(model, session_of(reversed_, tmp_path), rows, "int8")
    assert figure.torch == same.torch
    assert figure.graph <= 0 < 0.5 < figure.torch
    assert verify.score_dev(model, exact, rows, "fp32").torch is None


def figures(drop: float) -> dict[str, DevFigure]:
    return {
        "sentiment": DevFigure("accuracy", 1000, graph=0.5 - drop, torch=0.5),
        "similarity": DevFigure("pearson", 800, graph=0.86, torch=0.85),
    }


@pytest.mark.parametrize("drop", [-0.1, 0.0, 0.0049, 0.005])
def test_drops_within_the_limit(drop: float) -> None:
    verify.check_dev(figures(drop), "int8", max_drop=0.005)


def test_a_drop_above_the_limit_is_told_with_the_figures_of_all_tasks() -> None:
    with pytest.raises(VerificationError) as caught:
        verify.check_dev(figures(0.0051), "int8", max_drop=0.005)
    assert caught.value.exit_code == 1
    assert caught.value.message.splitlines() == [
        "the int8 graph falls behind the trained model; at most 0.005 is allowed:",
        "  sentiment: accuracy 0.5000 -> 0.4949, drop 0.0051 on 1000 rows  <- too much",
        "  similarity: pearson 0.8500 -> 0.8600, drop -0.0100 on 800 rows",
    ]
