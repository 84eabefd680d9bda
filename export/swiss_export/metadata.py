"""What the graph says about itself, so that a client needs nothing but it and `tokenizer.json`."""

import json
from typing import Any

from swisscli import __version__
from swisscli.core.model.graph import EMBEDDING, INPUTS, Precision
from swisscli.core.model.model_config import ModelConfig
from swisscli.core.model.version import FORMAT_VERSION


def metadata(config: ModelConfig, precision: Precision) -> dict[str, str]:
    """Describe a graph in the strings of its ONNX metadata.

    Returns:
        `swiss.format_version`, `swiss.version`, and three JSON objects: `swiss.tasks`,
        `swiss.input` and `swiss.encoder`. export/README.md explains each key.
    """
    values: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "version": __version__,
        "tasks": [
            {
                "name": task.name,
                "output": task.output,
                "kind": task.kind,
                "arity": task.arity,
                "labels": task.labels,
                "score_range": task.score_range,
                "symmetric": task.symmetric,
            }
            for task in config.tasks
        ],
        "input": {
            "names": INPUTS,
            "tokenizer": "tokenizer.json",
            "max_length": config.max_length,
            "pad_token_id": config.encoder.pad_token_id,
            "pair_encoding": config.pair_encoding,
            "truncation": "longest_first",
            "long_text": config.long_text,
            "order_of_symmetric_pairs": "code_points",
        },
        "encoder": {
            "model_type": config.encoder.model_type,
            "pooling": config.pooling,
            "precision": precision,
            "embedding": EMBEDDING,
        },
    }
    return {
        f"swiss.{key}": value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in values.items()
    }
