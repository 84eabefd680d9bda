"""Intermediate training: the encoder of one run is what the next begins from."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from swiss_training.events import Finished, Started
from swiss_training.families.pretrained import load_pretrained
from swiss_training.multitask import objective as multitask
from swisscli.core.errors import ModelError
from swisscli.core.model.manifest import sha256_of
from tests.support.paths import DATA, ENCODER

TINY = (
    *("--data", DATA, "--batch-size", 16, "--learning-rate", 1e-3),
    *("--precision", "fp32", "--device", "cpu", "--epochs", 1),
)


def write_nli(folder: Path) -> tuple[object, ...]:
    for split in ("train", "dev"):
        rows = "a man sings\ta man plays\tneutral\na dog runs\ta dog sits\tcontradiction\n" * 12
        (folder / f"nli-{split}.tsv").write_text(f"premise\thypothesis\tlabel\n{rows}")
    return ("--tasks", "nli", "--train", "nli=nli-train.tsv", "--dev", "nli=nli-dev.tsv")


@pytest.fixture
def nli_run(swiss: Any, tmp_path: Path) -> Path:
    options = ("--encoder", ENCODER, "--output", "nli")
    outcome = swiss("train", *TINY, *write_nli(tmp_path), *options)
    assert outcome.exit_code == 0, outcome.stderr
    return tmp_path / "nli"


def test_the_encoder_of_a_run_is_taken_as_it_is_and_its_heads_are_left(nli_run: Path) -> None:
    written = load_file(nli_run / "model.safetensors")
    start = load_pretrained(str(ENCODER)).encoder.state_dict()
    loaded = load_pretrained(str(nli_run))
    state = loaded.encoder.state_dict()
    assert {f"encoder.{name}" for name in state} == {n for n in written if "heads." not in n}
    assert all(torch.equal(tensor, written[f"encoder.{n}"]) for n, tensor in state.items())
    assert not torch.equal(state["pooler.weight"], start["pooler.weight"])
    assert not loaded.pooler_initialised
    assert loaded.tokenizer == nli_run / "tokenizer.json"


def test_a_run_begins_from_a_run_and_says_so(swiss: Any, nli_run: Path, tmp_path: Path) -> None:
    written = load_file(nli_run / "model.safetensors")
    rare = ("--learning-rate", 1e-30, "--weight-decay", 0)
    outcome = swiss("train", *TINY, *rare, "--encoder", "nli", "--output", "second")
    assert outcome.exit_code == 0, outcome.stderr
    second = load_file(tmp_path / "second" / "model.safetensors")
    encoder = [name for name in written if name.startswith("encoder.")]
    assert encoder
    # Six steps of at most 1e-30 each: only what was exactly zero can tell.
    assert all((written[name] - second[name]).abs().max() < 1e-28 for name in encoder)
    assert not any(name.startswith("heads.nli") for name in second)
    manifest = json.loads((tmp_path / "second" / "manifest.json").read_text())
    assert manifest["source_encoder"] == {
        "name": "nli",
        "sha256": sha256_of(nli_run / "model.safetensors"),
        "tasks": "nli",
        "source_name": str(ENCODER),
        "source_sha256": sha256_of(ENCODER / "model.safetensors"),
    }


def test_a_damaged_run_is_refused(swiss: Any, nli_run: Path) -> None:
    weights = nli_run / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    outcome = swiss("train", *TINY, "--encoder", "nli", "--output", "second")
    assert outcome.exit_code == 4
    assert outcome.stderr.splitlines()[-2:] == [
        "error: nli/model.safetensors: its sha256 differs from the manifest, the file is damaged",
        "hint: copy or export the model again",
    ]
    (nli_run / "manifest.json").unlink()
    with pytest.raises(ModelError, match=r"manifest\.json: not found"):
        load_pretrained(str(nli_run))


def test_a_run_without_weights_or_of_an_unknown_format_is_refused(nli_run: Path) -> None:
    shipped = nli_run.with_name("shipped")
    shutil.copytree(nli_run, shipped)
    (shipped / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"not an encoder directory; missing: model\.safetensors"):
        load_pretrained(str(shipped))
    values = json.loads((nli_run / "manifest.json").read_text())
    (nli_run / "manifest.json").write_text(json.dumps(values | {"format_version": 99}))
    with pytest.raises(ModelError, match="unknown format version 99"):
        load_pretrained(str(nli_run))


def test_a_resumed_run_begins_from_the_same_run(nli_run: Path, swiss: Any, tmp_path: Path) -> None:
    options = ("--encoder", "nli", "--tasks", "sst", "--save-every", 1, "--max-steps", 3)
    assert swiss("train", *TINY, *options, "--output", "second").exit_code == 0
    started, finished = multitask.resume(tmp_path / "second")
    assert isinstance(started, Started)
    assert started.step == 3
    assert isinstance(finished, Finished)
