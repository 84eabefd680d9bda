"""What is in an exported graph, and how weights are quantised."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import swisscli
from swiss_export.builder import Array
from swiss_export.precision.int8 import (
    quantize_rows,
    quantize_weight,
    smoothing_factors,
    uint8_steps,
)
from swiss_training.families.encoder import pool_mean
from swisscli.core.model.graph import Precision
from swisscli.core.model.model_config import Pooling
from swisscli.core.tasks import DEFAULT_TASKS, TASKS
from tests.support.export import constants_of, graph_of, random_inputs, session_of
from tests.support.paths import ENCODERS
from tests.support.training import make_model

PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")


@pytest.mark.parametrize("family", ENCODERS)
def test_the_contract(family: str) -> None:
    for precision in PRECISIONS:
        graph = graph_of(make_model(family=family), precision)
        onnx.checker.check_model(graph, full_check=True)
        inputs = {value.name: value.type.tensor_type for value in graph.graph.input}
        assert set(inputs) == {"input_ids", "attention_mask", "token_type_ids"}
        for tensor in inputs.values():
            assert tensor.elem_type == onnx.TensorProto.INT64
            assert [size.dim_param for size in tensor.shape.dim] == ["B", "T"]
        outputs = {value.name: value.type.tensor_type for value in graph.graph.output}
        assert list(outputs) == [*DEFAULT_TASKS, "embedding"]
        sizes = {name: TASKS[name].num_outputs for name in DEFAULT_TASKS}
        sizes["embedding"] = make_model(family=family).config.encoder.hidden_size
        for name, tensor in outputs.items():
            batch, width = tensor.shape.dim
            assert tensor.elem_type == onnx.TensorProto.FLOAT
            assert (batch.dim_param, width.dim_value) == ("B", sizes[name])


@pytest.mark.parametrize("family", ENCODERS)
@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize(
    ("precision", "tolerance"), [("fp32", 1e-5), ("fp16", 5e-3), ("int8", 0.1)]
)
def test_the_embedding_is_the_mean_of_all_states_but_the_last(
    precision: Precision, tolerance: float, pooling: Pooling, family: str, tmp_path: Path
) -> None:
    model = make_model(pooling, family=family).eval()
    inputs = random_inputs(6, 20, pad_token_id=model.config.encoder.pad_token_id)
    states: list[torch.Tensor] = []
    encoder = model.encoder
    for module in (encoder.embeddings, *list(encoder.layers)[:-1]):
        module.register_forward_hook(lambda _module, _inputs, output: states.append(output))
    with torch.inference_mode():
        encoder(*map(torch.from_numpy, inputs))
        mean_BD = pool_mean(torch.stack(states).sum(0), torch.from_numpy(inputs[1]))
        expected_BD = torch.nn.functional.normalize(mean_BD).numpy()
    session = session_of(graph_of(model, precision), tmp_path)
    embedding_BD = session.run("embedding", *inputs)
    np.testing.assert_allclose(np.linalg.norm(embedding_BD, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(embedding_BD, expected_BD, atol=tolerance)


def test_the_graph_says_what_a_client_needs() -> None:
    model = make_model()
    held = {entry.key: entry.value for entry in graph_of(model, "int8").metadata_props}
    assert held["swiss.version"] == swisscli.__version__
    tasks = {task["name"]: task for task in json.loads(held["swiss.tasks"])}
    assert list(tasks) == list(DEFAULT_TASKS)
    assert tasks["sentiment"]["labels"] == list(TASKS["sentiment"].labels)
    assert tasks["similarity"]["score_range"] == [0, 5]
    assert [tasks[name]["symmetric"] for name in DEFAULT_TASKS] == [False, True, True]
    given = json.loads(held["swiss.input"])
    assert given["max_length"] == model.config.max_length
    assert given["pad_token_id"] == model.config.encoder.pad_token_id
    assert json.loads(held["swiss.encoder"])["precision"] == "int8"


@pytest.mark.parametrize("family", ENCODERS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_equal_weights_give_equal_bytes(precision: Precision, family: str) -> None:
    first, second = (
        graph_of(make_model(family=family), precision).SerializeToString() for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize("family", ENCODERS)
@pytest.mark.parametrize(
    ("precision", "product", "products"),
    [("fp32", "MatMul", 6), ("int8", "MatMulIntegerToFloat", 6), ("fp16", "MatMul", 3)],
)
def test_fused_operators(precision: Precision, product: str, products: int, family: str) -> None:
    model = make_model("cls", family=family)
    layers = model.config.encoder.num_hidden_layers
    nodes = graph_of(model, precision).graph.node
    operators = Counter(node.op_type for node in nodes if node.name.startswith("encoder."))
    assert operators["Attention"] == layers
    assert operators[product] == products * layers
    if precision == "fp16":
        assert operators["BiasGelu"] == layers
        assert operators["SkipLayerNormalization"] == 2 * layers
    else:
        assert operators["Gelu"] == layers
        assert operators["LayerNormalization"] == 2 * layers + 1
    assert not {"Softmax", "Erf", "Transpose"} & set(operators)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_nothing_is_fused_into_slower_operators(precision: Precision, tmp_path: Path) -> None:
    """ONNX Runtime's own optimiser must leave the sums alone, whoever loads the graph."""
    path, optimised = tmp_path / "model.onnx", tmp_path / "optimised.onnx"
    onnx.save(graph_of(make_model(), precision), path)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(optimised)
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    operators = {node.op_type for node in onnx.load(optimised).graph.node}
    assert {"Sum", "LayerNormalization", "Gelu", "Attention"} <= operators
    assert not {"SkipLayerNormalization", "BiasGelu", "Add"} & operators


@pytest.mark.parametrize("family", ENCODERS)
def test_an_int8_answer_does_not_depend_on_its_neighbours(family: str, tmp_path: Path) -> None:
    model = make_model(family=family)
    session = session_of(graph_of(model, "int8"), tmp_path)
    ids_BT, mask_BT, types_BT = random_inputs(
        12, 30, pad_token_id=model.config.encoder.pad_token_id
    )
    mask_BT[:] = 1
    together_BC = session.run("sentiment", ids_BT, mask_BT, types_BT)
    for row in range(12):
        one = slice(row, row + 1)
        alone_1C = session.run("sentiment", ids_BT[one], mask_BT[one], types_BT[one])
        np.testing.assert_allclose(alone_1C[0], together_BC[row], atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", ENCODERS)
@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize(
    ("precision", "encoder_type"), [("fp32", "float32"), ("fp16", "float16"), ("int8", "int8")]
)
def test_the_encoder_is_narrow_and_the_heads_are_not(
    precision: Precision, encoder_type: str, pooling: Pooling, family: str
) -> None:
    model = make_model(pooling, family=family)
    for name, array in constants_of(graph_of(model, precision)).items():
        head = name.startswith(("heads.", "encoder.pooler"))
        if head or "norm" in name:
            assert array.dtype == np.float32, name
        elif name.endswith((".up.weight", ".down.weight", ".attention.weight", ".word.weight")):
            assert array.dtype == encoder_type, name
        if array.dtype.kind == "f":
            assert np.isfinite(array).all()
            assert np.abs(array).max() < 65504, f"{name} is infinite in float16"


def test_int8_is_a_quarter_of_the_size() -> None:
    sizes = {}
    for precision in PRECISIONS:
        arrays = constants_of(graph_of(make_model(), precision))
        matrices = [a.nbytes for n, a in arrays.items() if a.ndim == 2 and "layers" in n]
        sizes[precision] = sum(matrices) + arrays["encoder.embeddings.word.weight"].nbytes
    assert sizes["fp32"] == 2 * sizes["fp16"] == 4 * sizes["int8"]


def a_matrix(rows: int, columns: int) -> Array:
    matrix = np.random.default_rng(0).normal(size=(rows, columns)).astype(np.float32)
    matrix[:, 1] = 0
    matrix[:, 2] *= 1e-20
    matrix[3] = 0
    return matrix


@pytest.mark.parametrize("rows", [64, 63, 4])
def test_quantised_weights(rows: int) -> None:
    weight_IO = a_matrix(rows, 8)
    integers_IO, scale_O = quantize_weight(weight_IO)
    assert integers_IO.dtype == np.int8
    error_IO = np.abs(integers_IO * scale_O - weight_IO)
    assert (error_IO <= scale_O * 0.501).all()
    padded = np.abs(np.concatenate([integers_IO, np.zeros((rows % 2, 8))]).astype(int))
    sums = padded[::2] + padded[1::2]
    assert sums.max() in (126, 127, 128)
    # What a processor without VNNI adds up in 16 bits.
    assert 255 * sums.max() < 2**15


def test_quantised_rows() -> None:
    table_VD = a_matrix(20, 6)
    integers_VD, scale_V1 = quantize_rows(table_VD)
    assert integers_VD.dtype == np.int8
    assert np.abs(integers_VD.astype(int)).max() == 127
    assert (np.abs(integers_VD * scale_V1 - table_VD) <= scale_V1 * 0.501).all()
    assert not integers_VD[3].any()


@pytest.mark.parametrize(
    ("low", "high", "zero"), [(-1.0, 1.02, 126), (0.0, 5.1, 0), (-0.17, 5.0, 8), (0.5, 2.0, 0)]
)
def test_activations_have_256_steps(low: float, high: float, zero: int) -> None:
    step, zero_point = uint8_steps(low, high)
    assert (step.dtype, zero_point.dtype) == (np.float32, np.uint8)
    assert zero_point == zero
    # Both ends and 0 are within half a step of an integer from 0 to 255.
    assert (255 - zero) * step >= high - step / 2
    assert -zero * step <= low + step / 2 or low > 0


def test_activations_that_are_always_0() -> None:
    step, zero_point = uint8_steps(0.0, 0.0)
    assert (step, zero_point) == (1, 0)


def test_only_outliers_are_scaled_down_and_by_powers_of_two() -> None:
    magnitudes = np.array([0, 0, 0, 0, 0, 0, 1, 2, 2, 2, 8, 8.1, 33], dtype=np.float32)
    assert smoothing_factors(magnitudes).tolist() == [1] * 10 + [2, 2, 8]
    assert smoothing_factors(np.ones(3, dtype=np.float32)).tolist() == [1, 1, 1]
    assert smoothing_factors(np.zeros(3, dtype=np.float32)).tolist() == [1, 1, 1]
