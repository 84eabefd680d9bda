"""The multitask model as one ONNX graph, built operator by operator from its weights."""

from collections.abc import Mapping

import onnx
from onnx import TensorProto, helper

from swiss_export.builder import Array
from swiss_export.families import FAMILIES
from swiss_export.heads import HeadBuilder
from swiss_export.metadata import metadata
from swiss_export.precision.backend import Range
from swisscli.core.model.graph import INPUTS, Precision
from swisscli.core.model.model_config import ModelConfig


def build_graph(
    config: ModelConfig,
    weights: Mapping[str, Array],
    precision: Precision,
    ranges: Mapping[str, Range],
) -> onnx.ModelProto:
    """Build the graph of the encoder, all heads and the embedding.

    Args:
        config: Encoder configuration, pooling and tasks.
        weights: The model's float32 weights by name.
        precision: Precision of the encoder. Everything behind it is float32.
        ranges: Activation ranges of the input channels, by the product's name; only int8 needs
            them.

    Returns:
        The model. Equal arguments give equal bytes.
    """
    encoder = FAMILIES[config.encoder.model_type](config, weights, precision, ranges)
    pooled_SD = encoder.pool(encoder.encode())
    heads = HeadBuilder(encoder.graph, config, weights)
    for task in config.tasks:
        heads.add(task, pooled_SD)
    embedding_SD = encoder.embedding()
    # A row is an example, or one of its sequences if two texts are encoded separately.
    rows = "B" if config.pair_encoding else "S"
    model = encoder.graph.model(
        [helper.make_tensor_value_info(name, TensorProto.INT64, [rows, "T"]) for name in INPUTS],
        [
            helper.make_tensor_value_info(
                task.output,
                TensorProto.FLOAT,
                [rows if config.sequences(task) == 1 else "B", task.num_outputs],
            )
            for task in config.tasks
        ]
        + [
            helper.make_tensor_value_info(
                embedding_SD, TensorProto.FLOAT, [rows, config.encoder.hidden_size]
            )
        ],
    )
    for key, value in metadata(config, precision).items():
        model.metadata_props.add(key=key, value=value)
    return model
