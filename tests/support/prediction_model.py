"""A tiny real model for the prediction tests: run by ONNX Runtime, built in milliseconds."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from swisscli.core.model.directory import CONFIG, GRAPH, TOKENIZER, update_directory
from swisscli.core.model.encoder_config import EncoderConfig
from swisscli.core.model.manifest import Manifest
from swisscli.core.model.model_config import ModelConfig
from swisscli.core.model.schema import write_json
from swisscli.core.tasks import DEFAULT_TASKS, TASKS

MAX_LENGTH = 16
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
WORDS = ("good", "bad", "film", "a", "the", "##s", "!", ".", "nan", *"bcdefghijklmnopqrstuvwxyz")
HIDDEN = 6


def build_tokenizer() -> Tokenizer:
    vocab = {token: index for index, token in enumerate((*SPECIAL, *WORDS))}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocab["[CLS]"]), ("[SEP]", vocab["[SEP]"])],
    )
    return tokenizer


def build_graph(tasks: Sequence[str]) -> onnx.ModelProto:
    """Embeddings, a mean over the real tokens, one linear head per task, and the
    mean scaled to length 1 as the embedding; "nan" is not a number."""
    rng = np.random.default_rng(1)
    words = rng.normal(size=(len(SPECIAL) + len(WORDS), HIDDEN)).astype(np.float32)
    words[SPECIAL.index("[PAD]")] = 1e3  # a mask that is not applied shows at once
    words[len(SPECIAL) + WORDS.index("nan")] = np.nan
    constants: dict[str, npt.NDArray[np.generic]] = {
        "words": words,
        "types": rng.normal(scale=0.3, size=(2, HIDDEN)).astype(np.float32),
        "zero": np.zeros(1, dtype=np.float32),
        "last": np.array([-1], dtype=np.int64),
        "one": np.array([1], dtype=np.int64),
    }
    node = helper.make_node
    nodes = [
        node("Gather", ["words", "input_ids"], ["word_BTD"]),
        node("Gather", ["types", "token_type_ids"], ["type_BTD"]),
        node("Add", ["word_BTD", "type_BTD"], ["x_BTD"]),
        node("Cast", ["attention_mask"], ["is_token_BT"], to=TensorProto.BOOL),
        node("Unsqueeze", ["is_token_BT", "last"], ["is_token_BT1"]),
        node("Where", ["is_token_BT1", "x_BTD", "zero"], ["masked_BTD"]),
        node("ReduceSum", ["masked_BTD", "one"], ["sum_BD"], keepdims=0),
        node("Cast", ["attention_mask"], ["mask_BT"], to=TensorProto.FLOAT),
        node("ReduceSum", ["mask_BT", "one"], ["num_tokens_B1"], keepdims=1),
        node("Div", ["sum_BD", "num_tokens_B1"], ["mean_BD"]),
        node("LpNormalization", ["mean_BD"], ["embedding"], axis=1, p=2),
    ]
    outputs = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["B", HIDDEN])]
    for task in tasks:
        num_outputs = TASKS[task].num_outputs
        weights = 4 * rng.normal(size=(HIDDEN, num_outputs)).astype(np.float32)
        constants[f"{task}.weight"] = weights
        nodes.append(node("MatMul", ["mean_BD", f"{task}.weight"], [task]))
        outputs.append(helper.make_tensor_value_info(task, TensorProto.FLOAT, ["B", num_outputs]))
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["B", "T"])
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def build_model(
    directory: Path, tasks: Sequence[str] = DEFAULT_TASKS, precision: str = "fp32"
) -> Path:
    """Write a model directory as training and export would."""
    config = ModelConfig(
        encoder=EncoderConfig(
            vocab_size=len(SPECIAL) + len(WORDS),
            hidden_size=HIDDEN,
            num_hidden_layers=1,
            num_attention_heads=1,
            intermediate_size=HIDDEN,
            max_position_embeddings=MAX_LENGTH,
        ),
        pooling="mean",
        max_length=MAX_LENGTH,
        tasks=tuple(TASKS[name] for name in tasks),
    )
    manifest = Manifest({}, {}, {}, export={"precision": precision, "opset": 17, "parity": {}})
    with update_directory(directory, manifest) as staging:
        write_json(staging / CONFIG, config.to_json())
        build_tokenizer().save(str(staging / TOKENIZER))
        onnx.save(build_graph(tasks), staging / GRAPH)
    return directory
