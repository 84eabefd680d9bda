"""What training, export and prediction agree on."""

import json
from dataclasses import replace
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import get_args

import pytest

from swisscli.core.errors import ConfigurationError, ModelError
from swisscli.core.methods import HEADS, METHODS, find_method, method_names, method_options
from swisscli.core.model import model_dir
from swisscli.core.model.model_dir import EncoderConfig, Heads, Manifest, ModelConfig
from swisscli.core.tasks import DEFAULT_TASKS, TASKS, resolve_task, task_names

CONFIG = ModelConfig(
    encoder=EncoderConfig(
        vocab_size=10,
        hidden_size=4,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=16,
    ),
    pooling="mean",
    max_length=16,
    tasks=tuple(TASKS[name] for name in DEFAULT_TASKS),
)
MANIFEST = Manifest(files={}, versions={"swissbert": "0"}, source_encoder={"name": "x"})


def test_every_task_is_complete_and_found_by_all_its_names() -> None:
    assert len(set(task_names())) == len(task_names())
    for name, task in TASKS.items():
        assert all(resolve_task(alias) is task for alias in (name, *task.aliases))
        assert len(task.columns.texts) == task.arity
        assert (task.score_range is None) == bool(task.labels)
        assert {split for split, _ in task.files} in ({"train", "dev", "test"}, set())
    with pytest.raises(ConfigurationError, match="unknown task 'qa'"):
        resolve_task("qa")


def test_every_method_is_where_its_target_says_and_takes_its_options() -> None:
    for spec in METHODS:
        module, _, attribute = spec.target.partition(":")
        parameters = signature(getattr(import_module(module), attribute)).parameters
        given = {"weighting": ["num_tasks"], "aggregation": ["num_tasks"], "regularizer": ["model"]}
        arguments = [option.argument for option in spec.options]
        assert list(parameters) == [*given.get(spec.kind, []), *arguments]
        assert find_method(spec.kind, spec.name) is spec
    assert method_names("weighting") == ("none", "learnable", "uncertainty", "awl")


def test_no_two_methods_share_a_name_or_an_option() -> None:
    for names in (
        [(spec.kind, spec.name) for spec in METHODS],
        [option.key for option in method_options()],
    ):
        assert len(set(names)) == len(names)


def test_the_heads_of_a_model_are_those_that_are_documented() -> None:
    assert tuple(head.name for head in HEADS) == get_args(Heads)


MPNET = {
    "model_type": "mpnet",
    "vocab_size": 10,
    "hidden_size": 4,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "max_position_embeddings": 514,
}


def test_an_encoder_has_the_keys_of_its_family() -> None:
    bert, mpnet = CONFIG.encoder, EncoderConfig.from_dict(MPNET | {"type_vocab_size": 1})
    assert "relative_attention_num_buckets" not in bert.to_dict()
    assert bert.to_dict()["type_vocab_size"] == 2
    assert mpnet.to_dict()["relative_attention_num_buckets"] == 32
    assert "type_vocab_size" not in mpnet.to_dict()
    for config in (bert, mpnet):
        assert EncoderConfig.from_dict(config.to_dict()) == config
    assert (bert.longest_input, mpnet.longest_input) == (16, 512)
    assert (bert.pad_token_id, mpnet.pad_token_id) == (0, 1)
    assert replace(bert, type_vocab_size=2).tells_pairs_apart
    assert not replace(bert, type_vocab_size=1).tells_pairs_apart
    assert mpnet.tells_pairs_apart


def test_an_unknown_family_is_told_the_known_ones() -> None:
    with pytest.raises(ModelError, match="architecture is 'roberta'") as caught:
        EncoderConfig.from_dict(MPNET | {"model_type": "roberta"})
    assert caught.value.hint == "supported are: bert, mpnet"


def write(directory: Path) -> None:
    with model_dir.update(directory, MANIFEST) as staging:
        model_dir.write_json(staging / model_dir.CONFIG, CONFIG.to_json())
        (staging / model_dir.TOKENIZER).write_text("{}")


def test_a_directory_reads_as_it_was_written(tmp_path: Path) -> None:
    write(tmp_path / "model")
    assert model_dir.read_config(tmp_path / "model") == CONFIG
    manifest = model_dir.verify(tmp_path / "model", (model_dir.CONFIG, model_dir.TOKENIZER))
    assert replace(manifest, files={}) == MANIFEST
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        "config.json",
        "manifest.json",
        "tokenizer.json",
    ]


def test_an_update_that_fails_leaves_the_directory_as_it_was(tmp_path: Path) -> None:
    write(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail() -> None:
        with model_dir.update(tmp_path, MANIFEST, remove=(model_dir.TOKENIZER,)) as staging:
            (staging / model_dir.CONFIG).write_text("other")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_update_removes_what_it_makes_wrong(tmp_path: Path) -> None:
    write(tmp_path)
    with model_dir.update(tmp_path, MANIFEST, remove=(model_dir.TOKENIZER,)) as staging:
        model_dir.write_json(staging / model_dir.CONFIG, CONFIG.to_json())
    assert not (tmp_path / model_dir.TOKENIZER).exists()
    assert set(model_dir.read_manifest(tmp_path).files) == {model_dir.CONFIG}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 2}, "unknown format version 2"),
        ({"pooling": "max"}, "damaged model configuration"),
        ({"max_length": "16"}, "damaged model configuration"),
        ({"tasks": [{"name": "qa", "kind": "binary", "labels": []}]}, "the task 'qa' is not one"),
        ({"encoder": {"model_type": "gpt2"}}, "architecture is 'gpt2'"),
        ({"encoder": {"model_type": "bert"}}, "incomplete encoder configuration"),
    ],
)
def test_a_configuration_that_is_not_understood(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    model_dir.write_json(tmp_path / model_dir.CONFIG, CONFIG.to_json() | change)
    with pytest.raises(ModelError, match=message):
        model_dir.read_config(tmp_path)


def test_damage_is_found(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not found"):
        model_dir.verify(tmp_path, ())
    write(tmp_path)
    with pytest.raises(ModelError, match=r"model\.onnx: the model has no such file"):
        model_dir.verify(tmp_path, (model_dir.GRAPH,))
    (tmp_path / model_dir.TOKENIZER).write_text("[]")
    with pytest.raises(ModelError, match="its sha256 differs from the manifest"):
        model_dir.verify(tmp_path, (model_dir.TOKENIZER,))
    values = json.loads((tmp_path / model_dir.MANIFEST).read_text())
    del values["files"]
    model_dir.write_json(tmp_path / model_dir.MANIFEST, values)
    with pytest.raises(ModelError, match="damaged manifest"):
        model_dir.read_manifest(tmp_path)
    (tmp_path / model_dir.MANIFEST).write_text("{")
    with pytest.raises(ModelError, match="cannot be read"):
        model_dir.read_manifest(tmp_path)
