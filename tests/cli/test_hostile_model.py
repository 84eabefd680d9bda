"""A damaged or hostile model or encoder directory: status 4, one message, no hang."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from swisscli.core.model.directory import CONFIG, GRAPH, MANIFEST, TOKENIZER, update_directory
from swisscli.core.model.manifest import Manifest
from swisscli.core.tasks import DEFAULT_TASKS
from tests.support.paths import DATA, ENCODER
from tests.support.prediction_model import build_graph

DEEP = "[" * 100_000 + "]" * 100_000
INT64, FLOAT, BOOL = TensorProto.INT64, TensorProto.FLOAT, TensorProto.BOOL


def rewrite(model: Path, name: str, content: bytes) -> None:
    """Replace a file of a model directory, and its hash."""
    with update_directory(model, Manifest({}, {}, {}, export={"precision": "fp32"})) as staging:
        (staging / name).write_bytes(content)


def change(path: Path, **values: object) -> bytes:
    return json.dumps(json.loads(path.read_text()) | values).encode()


def refused(outcome: Any, *parts: str) -> None:
    assert outcome.exit_code == 4, (outcome.exit_code, outcome.stderr)
    assert outcome.stderr.count("error:") == 1
    assert "bug in swiss" not in outcome.stderr
    assert "\x1b" not in outcome.stderr
    for part in parts:
        assert part in outcome.stderr


def predict(swiss: Any, model: Path) -> Any:
    return swiss("predict", "sentiment", "--model", model, input=b"good film\nqqq zzz\n")


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"max_length": -1}, "max_length is -1"),
        ({"max_length": 10**30}, "max_length is 1000000"),
        ({"tasks": []}, "tasks has 0 entries"),
        ({"tasks": 7}, "tasks is 7"),
        ({"tasks": [7]}, "tasks[0] is 7"),
        ({"encoder": []}, "encoder is a list"),
        ({"format_version": True}, "unknown format version true"),
    ],
)
def test_a_field_of_the_configuration(
    swiss: Any, make_model: Callable[..., Path], values: dict[str, Any], field: str
) -> None:
    model = make_model()
    rewrite(model, CONFIG, change(model / CONFIG, **values))
    refused(predict(swiss, model), f"{CONFIG}: {field}")


def test_a_padding_token_that_is_no_number(swiss: Any, make_model: Callable[..., Path]) -> None:
    model = make_model()
    encoder = json.loads((model / CONFIG).read_text())["encoder"] | {"pad_token_id": "x"}
    rewrite(model, CONFIG, change(model / CONFIG, encoder=encoder))
    refused(predict(swiss, model), f'{CONFIG}: encoder.pad_token_id is "x"')


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"export": []}, "export is a list"),
        ({"export": {"precision": {}}}, "export.precision is an object"),
        ({"files": {"config.json": {"sha256": "\x1b[31m", "size": 1}}}, "files.config.json.sha256"),
        ({"files": {"\x1b[31m": 1}}, r"files.\u001b[31m is 1"),
        ({"versions": [1]}, "versions is a list"),
    ],
)
def test_a_field_of_the_manifest(
    swiss: Any, make_model: Callable[..., Path], values: dict[str, Any], field: str
) -> None:
    model = make_model()
    (model / MANIFEST).write_bytes(change(model / MANIFEST, **values))
    refused(predict(swiss, model), f"{MANIFEST}: {field}")


@pytest.mark.parametrize("name", [CONFIG, MANIFEST])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (DEEP, "nested more than 32 levels"),
        ('{"a":' + DEEP + "}", "nested more than 32 levels"),
        ("[]" + " " * 2**23, "larger than"),
        ("9" * 100_000, "cannot be read"),
        ('"' + "\\" * 100_001, "cannot be read"),
        ('"' + '\\"' * 1_000_000, "cannot be read"),
        ('{"format_version": 1, "format_version": 2}', 'the key "format_version" occurs twice'),
        ('{"format_version": NaN}', "unknown format version NaN"),
        ("1e400", "is Infinity, but must be an object"),
        ("\udcff", "cannot be read"),
        ("[]", "is a list"),
    ],
)
def test_a_file_that_is_no_plain_json(
    swiss: Any, make_model: Callable[..., Path], name: str, content: str, message: str
) -> None:
    model = make_model()
    data = content.encode("utf-8", "surrogateescape")
    if name == MANIFEST:
        (model / name).write_bytes(data)
    else:
        rewrite(model, name, data)
    refused(predict(swiss, model), name, message)


@pytest.mark.parametrize("command", ["predict", "doctor", "export", "evaluate", "attention"])
@pytest.mark.parametrize("kind", ["fifo", "endless"])
def test_a_manifest_that_is_no_regular_file(
    swiss: Any, make_model: Callable[..., Path], command: str, kind: str
) -> None:
    model = make_model()
    (model / MANIFEST).unlink()
    if kind == "fifo":
        os.mkfifo(model / MANIFEST)
    else:
        (model / MANIFEST).symlink_to("/dev/zero")
    outcome = {
        "predict": lambda: predict(swiss, model),
        "doctor": lambda: swiss("doctor", "--model", model),
        "export": lambda: swiss("export", model),
        "evaluate": lambda: swiss("evaluate", model, "--data", "."),
        "attention": lambda: swiss("attention", "a film", "--model", model),
    }[command]()
    refused(outcome, f"{MANIFEST}: cannot be read: it is not a regular file")


@pytest.mark.parametrize("name", [CONFIG, TOKENIZER, GRAPH])
def test_another_file_that_is_no_regular_file(
    swiss: Any, make_model: Callable[..., Path], name: str
) -> None:
    model = make_model()
    (model / name).unlink()
    os.mkfifo(model / name)
    refused(predict(swiss, model), name)


def test_a_tokenizer_without_its_unknown_token(swiss: Any, make_model: Callable[..., Path]) -> None:
    model = make_model()
    values = json.loads((model / TOKENIZER).read_text())
    values["model"]["unk_token"] = "\x1b[31munknown"
    rewrite(model, TOKENIZER, json.dumps(values).encode())
    refused(predict(swiss, model), TOKENIZER, r'model.unk_token is "\u001b[31munknown"')


def test_a_tokenizer_that_fails_on_a_text(swiss: Any, make_model: Callable[..., Path]) -> None:
    model = make_model()
    values = json.loads((model / TOKENIZER).read_text())
    values["model"] = {"type": "Unigram", "unk_id": None, "vocab": [["good", 0.0]]}
    rewrite(model, TOKENIZER, json.dumps(values).encode())
    refused(predict(swiss, model), f"{TOKENIZER}: cannot tokenize a text")


def test_a_tokenizer_of_more_tokens_than_the_encoder(
    swiss: Any, make_model: Callable[..., Path]
) -> None:
    model = make_model()
    encoder = json.loads((model / CONFIG).read_text())["encoder"] | {"vocab_size": 5}
    rewrite(model, CONFIG, change(model / CONFIG, encoder=encoder))
    refused(predict(swiss, model), TOKENIZER, "more than the encoder's vocab_size")


def graph_of(nodes: list[onnx.NodeProto], kind: int = FLOAT, **options: Any) -> bytes:
    """A graph with the inputs of a model and one output `sentiment`."""
    names = ("input_ids", "attention_mask", "token_type_ids")
    inputs = [helper.make_tensor_value_info(name, INT64, ["B", "T"]) for name in names]
    outputs = [helper.make_tensor_value_info("sentiment", kind, None)]
    graph = helper.make_graph(nodes, "hostile", inputs, outputs)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    return helper.make_model(
        graph, opset_imports=opsets, ir_version=8, **options
    ).SerializeToString()


def endless_loop() -> onnx.NodeProto:
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_out"]),
            helper.make_node("Identity", ["x"], ["x_out"]),
        ],
        "body",
        [value("i", INT64, []), value("go", BOOL, []), value("x", FLOAT, None)],
        [value("go_out", BOOL, []), value("x_out", FLOAT, None)],
    )
    return helper.make_node("Loop", ["", "", "number"], ["sentiment"], body=body)


CAST = helper.make_node("Cast", ["input_ids"], ["number"], to=FLOAT)


def test_a_graph_with_an_endless_loop(swiss: Any, make_model: Callable[..., Path]) -> None:
    model = make_model(tasks=["sentiment"])
    rewrite(model, GRAPH, graph_of([CAST, endless_loop()]))
    refused(predict(swiss, model), GRAPH, "a subgraph (Loop, If, Scan)")


def test_a_loop_inside_a_function(swiss: Any, make_model: Callable[..., Path]) -> None:
    model = make_model(tasks=["sentiment"])
    opsets = [helper.make_opsetid("", 17)]
    hidden = helper.make_function(
        "own", "Hidden", ["number"], ["sentiment"], [endless_loop()], opsets
    )
    nodes = [CAST, helper.make_node("Hidden", ["number"], ["sentiment"], domain="own")]
    rewrite(model, GRAPH, graph_of(nodes, functions=[hidden]))
    refused(predict(swiss, model), GRAPH, "functions of its own")


def test_a_graph_with_string_output(swiss: Any, make_model: Callable[..., Path]) -> None:
    model = make_model(tasks=["sentiment"])
    node = helper.make_node("Cast", ["input_ids"], ["sentiment"], to=TensorProto.STRING)
    rewrite(model, GRAPH, graph_of([node], TensorProto.STRING))
    refused(predict(swiss, model), GRAPH, "of another type: sentiment")


def test_a_graph_that_reads_another_file(swiss: Any, make_model: Callable[..., Path]) -> None:
    model = make_model()
    graph = build_graph(DEFAULT_TASKS)
    tensor = next(t for t in graph.graph.initializer if t.HasField("raw_data"))
    onnx.external_data_helper.set_external_data(tensor, "/etc/passwd")
    rewrite(model, GRAPH, graph.SerializeToString())
    refused(predict(swiss, model), GRAPH, "reads tensors from other files")


@pytest.mark.parametrize("content", [b"", b"no graph", b"\xff" * 100])
def test_a_graph_that_is_none(swiss: Any, make_model: Callable[..., Path], content: bytes) -> None:
    model = make_model()
    rewrite(model, GRAPH, content)
    refused(predict(swiss, model), GRAPH)


@pytest.mark.parametrize("operator", ["Reshape", "NoSuchOperator"])
def test_escape_sequences_in_the_name_of_a_node_do_not_reach_the_terminal(
    spawn: Any, make_model: Callable[..., Path], operator: str
) -> None:
    model = make_model(tasks=["sentiment"])
    nodes = [
        CAST,
        helper.make_node("Constant", [], ["shape"], value_ints=[7, 11, 13]),
        helper.make_node(operator, ["number", "shape"], ["sentiment"], name="\x1b[31mred\x1b]0;x"),
    ]
    rewrite(model, GRAPH, graph_of(nodes))
    # As a process, since ONNX Runtime writes to the file descriptor.
    process = spawn("predict", "sentiment", "--model", model)
    _, told = process.communicate(b"good film\n", timeout=60)
    assert process.returncode == 4
    assert b"\x1b" not in told
    assert rb"\u001b[31mred" in told
    assert told.count(b"error:") == 1


def train(swiss: Any, encoder: Path) -> Any:
    return swiss("train", "--encoder", encoder, "--data", DATA, "--output", "run")


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ENCODER, tmp_path / "encoder"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hidden_size", 10**12),
        ("hidden_size", -8),
        ("hidden_size", "x"),
        ("hidden_size", 8.0),
        ("num_attention_heads", 0),
        ("vocab_size", -1),
        ("vocab_size", True),
        ("num_hidden_layers", 10**9),
        ("layer_norm_eps", "a"),
        ("layer_norm_eps", float("nan")),
        ("hidden_dropout_prob", 7),
        ("hidden_act", []),
        ("hidden_act", "\x1b[31m"),
        ("model_type", []),
        ("pad_token_id", None),
        ("max_position_embeddings", 4),
    ],
)
def test_a_field_of_an_encoders_configuration(
    swiss: Any, encoder: Path, key: str, value: object
) -> None:
    (encoder / CONFIG).write_bytes(change(encoder / CONFIG, **{key: value}))
    outcome = train(swiss, encoder)
    refused(outcome, f"{encoder / CONFIG}: {key}")
    assert not Path("run").exists()


def test_an_encoder_that_is_larger_than_its_weights_takes_no_memory(
    swiss: Any, encoder: Path
) -> None:
    # Within every bound, yet terabytes.
    sizes = {"hidden_size": 65_536, "intermediate_size": 1_000_000, "num_hidden_layers": 100}
    content = change(encoder / CONFIG, num_attention_heads=1, vocab_size=10_000_000, **sizes)
    (encoder / CONFIG).write_bytes(content)
    outcome = train(swiss, encoder)
    refused(outcome, "model.safetensors")


def test_a_tokenizer_with_an_id_beyond_the_encoders_vocabulary(swiss: Any, encoder: Path) -> None:
    values = json.loads((encoder / TOKENIZER).read_text())
    values["model"]["vocab"]["a"] = 10**6
    (encoder / TOKENIZER).write_text(json.dumps(values))
    outcome = train(swiss, encoder)
    refused(outcome, "1,000,001 ids, more than the encoder's vocab_size")


@pytest.mark.parametrize("content", [DEEP, "[]", "7"])
def test_an_encoders_configuration_that_is_no_object(
    swiss: Any, encoder: Path, content: str
) -> None:
    (encoder / CONFIG).write_text(content)
    outcome = train(swiss, encoder)
    refused(outcome, str(encoder / CONFIG))
