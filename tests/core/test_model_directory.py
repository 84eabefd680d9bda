"""The model directory: written, opened, verified; what it refuses is in test_hostile_model.py."""

import hashlib
import json
import resource
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from swisscli.core.errors import ModelError
from swisscli.core.model.directory import CONFIG, GRAPH, TOKENIZER, ModelDirectory, update_directory
from swisscli.core.model.encoder_config import EncoderConfig
from swisscli.core.model.families import FAMILY_RULES
from swisscli.core.model.manifest import Manifest
from swisscli.core.model.model_config import ModelConfig
from swisscli.core.model.schema import Place, write_json
from swisscli.core.tasks import DEFAULT_TASKS, TASKS

ENCODER: dict[str, Any] = {
    "vocab_size": 10,
    "hidden_size": 4,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "max_position_embeddings": 16,
}
MODEL = ModelConfig(
    encoder=EncoderConfig(**ENCODER),
    pooling="mean",
    max_length=16,
    tasks=tuple(TASKS[name] for name in DEFAULT_TASKS),
)
WRITTEN = Manifest(files={}, versions={"swissbert": "0"}, source_encoder={"name": "x"})
PLACE = Place("config.json")


def write(directory: Path) -> None:
    with update_directory(directory, WRITTEN) as staging:
        write_json(staging / CONFIG, MODEL.to_json())
        (staging / TOKENIZER).write_text("{}")


def test_an_encoder_has_the_keys_of_its_family() -> None:
    mpnet = EncoderConfig.from_json(
        ENCODER | {"model_type": "mpnet", "max_position_embeddings": 514, "type_vocab_size": 1},
        PLACE,
    )
    bert = MODEL.encoder
    assert "relative_attention_num_buckets" not in bert.to_json()
    assert bert.to_json()["type_vocab_size"] == 2
    assert mpnet.to_json()["relative_attention_num_buckets"] == 32
    assert "type_vocab_size" not in mpnet.to_json()
    for config in (bert, mpnet):
        assert EncoderConfig.from_json(config.to_json(), PLACE) == config
    assert (bert.longest_input, mpnet.longest_input) == (16, 512)
    assert (bert.pad_token_id, mpnet.pad_token_id) == (0, 1)
    assert replace(bert, type_vocab_size=2).tells_pairs_apart
    assert not replace(bert, type_vocab_size=1).tells_pairs_apart
    assert mpnet.tells_pairs_apart


def test_an_unknown_family_is_told_the_known_ones() -> None:
    with pytest.raises(ModelError, match='architecture is "gpt2"') as caught:
        EncoderConfig.from_json(ENCODER | {"model_type": "gpt2"}, PLACE)
    assert caught.value.hint == f"supported are: {', '.join(FAMILY_RULES)}"


def test_a_directory_reads_as_it_was_written(tmp_path: Path) -> None:
    write(tmp_path / "model")
    opened = ModelDirectory.open(tmp_path / "model", (CONFIG, TOKENIZER))
    assert opened.config == MODEL
    assert replace(opened.manifest, files={}) == WRITTEN
    assert opened.file(TOKENIZER).read_text() == "{}"
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        "config.json",
        "manifest.json",
        "tokenizer.json",
    ]


OWN = {"name": "qa", "kind": "multiclass", "labels": ["no", "yes"]}


@pytest.mark.parametrize(
    ("export", "precision"), [(None, "fp32"), ({}, "fp32"), ({"precision": "int8"}, "int8")]
)
def test_the_precision_is_the_exports_and_fp32_without_one(
    tmp_path: Path, export: dict[str, Any] | None, precision: str
) -> None:
    with update_directory(tmp_path, replace(WRITTEN, export=export)) as staging:
        write_json(staging / CONFIG, MODEL.to_json())
    assert ModelDirectory.open(tmp_path).precision == precision


def test_an_unchanged_file_is_hashed_once_and_a_changed_one_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    ModelDirectory.open(tmp_path, (TOKENIZER,))
    hashed = []
    digest = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda *a: hashed.append(1) or digest(*a))
    ModelDirectory.open(tmp_path, (TOKENIZER,)).file(TOKENIZER)
    assert not hashed
    (tmp_path / TOKENIZER).unlink()
    (tmp_path / TOKENIZER).write_text("[]")
    with pytest.raises(ModelError, match="its sha256 differs"):
        ModelDirectory.open(tmp_path, (TOKENIZER,))


def test_an_update_that_fails_leaves_the_directory_as_it_was(tmp_path: Path) -> None:
    write(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail() -> None:
        with update_directory(tmp_path, WRITTEN, remove=(TOKENIZER,)) as staging:
            (staging / CONFIG).write_text("other")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_disk_that_is_full_for_the_manifest_leaves_the_directory_as_it_was(
    tmp_path: Path,
) -> None:
    write(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, most))
    try:
        with pytest.raises(OSError, match="File too large"):  # noqa: SIM117
            with update_directory(tmp_path, WRITTEN, remove=(TOKENIZER,)) as staging:
                (staging / GRAPH).write_text("small")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_update_removes_what_it_makes_wrong(tmp_path: Path) -> None:
    write(tmp_path)
    with update_directory(tmp_path, WRITTEN, remove=(TOKENIZER,)) as staging:
        write_json(staging / CONFIG, MODEL.to_json())
    assert not (tmp_path / TOKENIZER).exists()
    assert set(ModelDirectory.open(tmp_path).manifest.files) == {CONFIG}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 2}, "config.json: unknown format version 2"),
        ({"pooling": "max"}, 'pooling is "max", but must be cls or mean'),
        ({"max_length": "16"}, 'max_length is "16", but must be a whole number'),
        ({"max_length": 17}, "max_length is 17, but must be at most 16"),
        ({"heads": "round"}, 'heads is "round", but must be linear or layer-sharing or cosine'),
        ({"pair_encoding": 1}, "pair_encoding is 1, but must be true or false"),
        (
            {"tasks": [{"name": "nli", "kind": "binary", "labels": []}]},
            'this version does not know the task "nli"',
        ),
        ({"tasks": [OWN | {"kind": "binary"}]}, '"qa" has neither classes nor a range of scores'),
        ({"tasks": [OWN | {"name": "a/b"}]}, "tasks.0..name: 'a/b' cannot be the name of a task"),
        ({"tasks": [OWN | {"labels": ["a", "a"]}]}, "labels is a list, but must be two or more"),
        ({"tasks": [OWN | {"labels": ["a"]}]}, "labels is a list, but must be two or more"),
        ({"tasks": [OWN | {"labels": ["a", "b\x1b[m"]}]}, "labels.1. is .*act on a terminal"),
        ({"tasks": [OWN | {"labels": [f"{i}" for i in range(10_000)]}]}, "has 10,000 entries"),
        ({"tasks": [OWN | {"arity": 3}]}, "arity is 3"),
        (
            {"tasks": [OWN | {"kind": "regression", "labels": [], "score_range": [5, 1]}]},
            '"qa" has neither classes nor a range of scores',
        ),
        ({"tasks": 2 * MODEL.to_json()["tasks"][:1]}, "tasks names a task twice"),
        ({"encoder": {"model_type": "gpt2"}}, 'encoder.model_type: .* architecture is "gpt2"'),
        ({"encoder": {"model_type": "bert"}}, "encoder.vocab_size is missing"),
        ({"encoder": ENCODER | {"pad_token_id": 10}}, "encoder.pad_token_id is 10, but must be b"),
        ({"encoder": ENCODER | {"hidden_size": 5}}, "encoder.hidden_size is 5, but must be a mul"),
    ],
)
def test_a_configuration_that_is_not_understood(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    with update_directory(tmp_path, WRITTEN) as staging:
        write_json(staging / CONFIG, MODEL.to_json() | change)
    with pytest.raises(ModelError, match=message):
        ModelDirectory.open(tmp_path)


def test_damage_is_found(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not found"):
        ModelDirectory.open(tmp_path)
    write(tmp_path)
    with pytest.raises(ModelError, match=r"model\.onnx: the model has no such file"):
        ModelDirectory.open(tmp_path, (GRAPH,))
    (tmp_path / TOKENIZER).write_text("damage")
    with pytest.raises(ModelError, match="its sha256 differs from the manifest"):
        ModelDirectory.open(tmp_path).file(TOKENIZER)
    manifest = tmp_path / "manifest.json"
    values = json.loads(manifest.read_text())
    del values["files"]
    write_json(manifest, values)
    with pytest.raises(ModelError, match=r"manifest\.json: files is missing"):
        ModelDirectory.open(tmp_path)
    manifest.write_text("{")
    with pytest.raises(ModelError, match="cannot be read"):
        ModelDirectory.open(tmp_path)
