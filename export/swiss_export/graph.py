"""The multitask model as one ONNX graph, built operator by operator from its weights."""

import json
from collections.abc import Mapping

import onnx
from onnx import TensorProto, helper

from swiss_export.builder import Array
from swiss_export.families import FAMILIES
from swiss_export.heads import HeadBuilder
from swiss_export.precision.backend import Precision, Range
from swisscli.core.model.graph import INPUTS
from swisscli.core.model.model_config import ModelConfig


def build_graph(
    config: ModelConfig,
    weights: Mapping[str, Array],
    precision: Precision,
    ranges: Mapping[str, Range],
) -> onnx.ModelProto:
    """Build the graph of the encoder, the pooled output and all heads.

    Args:
        config: Encoder configuration, pooling and tasks.
        weights: The model's float32 weights by name.
        precision: Precision of the encoder. The pooled output and the heads are float32.
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
        ],
    )
    # A built-in task's classes are known by its name.
    for task in config.tasks:
        if task.own:
            held = {"labels": task.labels, "score_range": task.score_range}
            text = json.dumps(held, ensure_ascii=False)
            model.metadata_props.add(key=f"task.{task.name}", value=text)
    return model
