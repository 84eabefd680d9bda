"""The multitask model as one ONNX graph, built operator by operator from its weights."""

from collections.abc import Mapping

import onnx
from onnx import TensorProto, helper

from swiss_export.arithmetic import Precision, Range
from swiss_export.builder import Array
from swiss_export.families import FAMILIES
from swiss_export.heads import HeadBuilder
from swisscli.core.model.model_dir import ModelConfig

INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def build_graph(
    config: ModelConfig,
    weights: Mapping[str, Array],
    precision: Precision,
    ranges: Mapping[str, Range],
) -> onnx.ModelProto:
    """Build the graph of the encoder, the pooled output and all heads.

    Args:
        config: Encoder shape, pooling and tasks.
        weights: The model's state by name, float32.
        precision: Of the encoder; the pooled output and the heads are float32.
        ranges: Of the input channels of products, by name; int8 alone uses them.

    Returns:
        The model, a function of the arguments alone: equal weights give equal bytes.
    """
    encoder = FAMILIES[config.encoder.model_type](config, weights, precision, ranges)
    pooled_SD = encoder.pool(encoder.encode())
    heads = HeadBuilder(encoder.graph, config, weights)
    for task in config.tasks:
        heads.add(task, pooled_SD)
    rows = "B" if config.pair_encoding else "S"
    return encoder.graph.model(
        [helper.make_tensor_value_info(name, TensorProto.INT64, [rows, "T"]) for name in INPUTS],
        [
            helper.make_tensor_value_info(
                task.name,
                TensorProto.FLOAT,
                [rows if config.sequences(task) == 1 else "B", task.num_outputs],
            )
            for task in config.tasks
        ],
    )
