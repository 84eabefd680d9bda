"""The exported graph against torch: families, precisions, poolings, activations, shapes, masks."""

from pathlib import Path

import numpy as np
import pytest

from swiss_export.verify import Inputs
from swiss_training.families.layers import ACTIVATIONS
from swiss_training.multitask.model import MultitaskModel
from swisscli.core.model.graph import Precision
from swisscli.core.model.model_config import Pooling
from swisscli.core.tasks import DEFAULT_TASKS, TASKS
from tests.support.export import graph_of, random_inputs, session_of, text_batches, torch_logits
from tests.support.paths import ENCODERS
from tests.support.training import make_model

# Largest difference of a logit; the logits' own standard deviation is about 0.6.
LIMITS: dict[Precision, float] = {"fp32": 1e-5, "fp16": 1e-2, "int8": 0.3}
SHAPES = ((1, 1), (1, 2), (1, 7), (3, 33), (17, 5))

every_family = pytest.mark.parametrize("family", ENCODERS)


def inputs_for(model: MultitaskModel, num_rows: int, num_tokens: int) -> Inputs:
    return random_inputs(num_rows, num_tokens, pad_token_id=model.config.encoder.pad_token_id)


@every_family
@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_every_shape(precision: Precision, pooling: Pooling, family: str, tmp_path: Path) -> None:
    model = make_model(pooling, family=family)
    session = session_of(graph_of(model, precision), tmp_path)
    for shape in (*SHAPES, (40, model.config.max_length)):
        inputs = inputs_for(model, *shape)
        for task, spec in ((name, TASKS[name]) for name in DEFAULT_TASKS):
            logits_BC = session.run(task, *inputs)
            assert logits_BC.shape == (shape[0], spec.num_outputs)
            assert logits_BC.dtype == np.float32
            expected_BC = torch_logits(model, task, inputs)
            np.testing.assert_allclose(logits_BC, expected_BC, atol=LIMITS[precision], rtol=0)


@every_family
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_rounding_is_small_beside_what_the_logits_say(
    precision: Precision, family: str, tmp_path: Path
) -> None:
    model = make_model(family=family)
    session = session_of(graph_of(model, precision), tmp_path)
    for task in DEFAULT_TASKS:
        pairs = [
            (session.run(task, *inputs), torch_logits(model, task, inputs))
            for inputs in text_batches(family)
        ]
        given, expected = (np.concatenate(side) for side in zip(*pairs, strict=True))
        error = np.sqrt(np.mean((given - expected) ** 2)) / (expected - expected.mean(0)).std()
        assert 0 < error < {"fp16": 0.005, "int8": 0.08}[precision]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_every_activation(precision: Precision, activation: str, tmp_path: Path) -> None:
    model = make_model(activation=activation)
    session = session_of(graph_of(model, precision), tmp_path)
    inputs = random_inputs(9, 21)
    for task in DEFAULT_TASKS:
        np.testing.assert_allclose(
            session.run(task, *inputs),
            torch_logits(model, task, inputs),
            atol=LIMITS[precision],
            rtol=0,
        )


@every_family
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_padding_changes_nothing(pooling: Pooling, family: str, tmp_path: Path) -> None:
    model = make_model(pooling, family=family)
    session = session_of(graph_of(model, "fp32"), tmp_path)
    ids_BT, mask_BT, types_BT = inputs_for(model, 12, 40)
    batch = session.run("sentiment", ids_BT, mask_BT, types_BT)
    for row, length in enumerate(mask_BT.sum(1)):
        alone = (array[row : row + 1, :length] for array in (ids_BT, mask_BT, types_BT))
        np.testing.assert_allclose(
            session.run("sentiment", *alone)[0], batch[row], atol=1e-5, rtol=0
        )


@every_family
def test_the_mask_may_be_anywhere(family: str, tmp_path: Path) -> None:
    model = make_model(family=family)
    session = session_of(graph_of(model, "fp32"), tmp_path)
    ids_BT, mask_BT, types_BT = inputs_for(model, 8, 20)
    scattered_BT = np.random.default_rng(1).permuted(mask_BT, axis=1)
    padded_left = tuple(array[:, ::-1].copy() for array in (ids_BT, mask_BT, types_BT))
    for inputs in (
        (ids_BT, mask_BT[:, ::-1].copy(), types_BT),
        (ids_BT, scattered_BT, types_BT),
        padded_left,
    ):
        np.testing.assert_allclose(
            session.run("similarity", *inputs),
            torch_logits(model, "similarity", inputs),
            atol=1e-5,
            rtol=0,
        )


@every_family
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_almost_only_padding_is_a_number(precision: Precision, family: str, tmp_path: Path) -> None:
    model = make_model(family=family)
    session = session_of(graph_of(model, precision), tmp_path)
    ids_BT, mask_BT, types_BT = inputs_for(model, 5, model.config.max_length)
    mask_BT[:, 1:] = 0
    for task in DEFAULT_TASKS:
        assert np.isfinite(session.run(task, ids_BT, mask_BT, types_BT)).all()
