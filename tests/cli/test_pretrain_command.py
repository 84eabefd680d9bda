"""`swiss pretrain`: output, errors, exit codes, and a run that is killed."""

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from tests.support.paths import DATA, ENCODER, ENCODERS
from tests.support.program import wait_for

TEXT = DATA / "ids-sst-train.csv"
TINY = (
    *("--encoder", ENCODER, "--batch-size", 16, "--learning-rate", 3e-3, "--dev-share", 0.2),
    *("--precision", "fp32", "--device", "cpu"),
)


def test_a_run_prints_its_loss_and_what_it_writes_can_be_trained(
    swiss: Any, tmp_path: Path
) -> None:
    texts = ("more.txt", TEXT, DATA / "quora-train.csv")
    (tmp_path / "more.txt").write_text("the man sings\n\na dog eats rice\n")
    options = ("--epochs", 1, "--log-every", 10, "--output", "run")
    outcome = swiss("pretrain", *texts, *TINY, *options)
    assert outcome.exit_code == 0, outcome.stderr
    record = json.loads((tmp_path / "run" / "pretraining.json").read_text())["dev"]
    loss, perplexity = (line.split("\t") for line in outcome.stdout.decode().splitlines())
    assert loss == ["dev", "loss", f"{record['loss']:.4f}", str(record["num_tokens"])]
    assert perplexity[:2] == ["dev", "perplexity"]
    assert float(perplexity[2]) == pytest.approx(2.718281828 ** record["loss"], abs=1e-3)
    lines = outcome.stderr.splitlines()
    assert lines[0] == "reading text and encoder"
    # 2 lines, 96 sentences, 2 questions each of 128 pairs and one of the pair without a label.
    started = json.loads((tmp_path / "run" / "log.jsonl").open().readline())
    train, dev = started["train_rows"]["sequences"], started["dev_rows"]["sequences"]
    assert train + dev == 2 + 96 + 257
    tokens = re.search(r"of ([\d,]+) tokens", lines[1])
    assert tokens
    assert lines[1] == (
        f"text: {train} sequences of {tokens[1]} tokens, and {dev} held out;"
        f" {started['num_steps']} steps on cpu in fp32"
    )
    assert lines[2] == f"{ENCODER} has no masked language head: a new one is initialised"
    assert lines[3].startswith("step 0  dev loss ")
    assert lines[4].startswith(f"step 10/{started['num_steps']}  epoch 1  lr ")
    assert "loss: masked tokens " in lines[4]
    assert "(x" not in lines[4]
    assert lines[-3].endswith("best so far")
    assert lines[-2] == f"the encoder of step {started['num_steps']} is in run"
    assert lines[-1] == "next: swiss train --encoder run"
    train = ("train", "--encoder", "run", "--data", DATA, "--epochs", 1, "--output", "trained")
    outcome = swiss(*train, "--tasks", "sst", "--learning-rate", 1e-30, "--weight-decay", 0)
    assert outcome.exit_code == 0, outcome.stderr
    trained = load_file(tmp_path / "trained" / "model.safetensors")
    written = load_file(tmp_path / "run" / "model.safetensors")
    words = written["bert.embeddings.word_embeddings.weight"]
    assert (trained["encoder.embeddings.word.weight"] - words).abs().max() < 1e-28


def test_mpnet_is_pretrained_like_bert(swiss: Any, tmp_path: Path) -> None:
    encoder = ENCODERS["mpnet"]
    options = ("--encoder", encoder, "--max-steps", 2, "--output", "run")
    outcome = swiss("pretrain", TEXT, *TINY, *options)
    assert outcome.exit_code == 0, outcome.stderr
    written = load_file(tmp_path / "run" / "model.safetensors")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["architectures"] == ["MPNetForMaskedLM"]
    assert "type_vocab_size" not in config
    source = load_file(encoder / "model.safetensors")
    name = "encoder.relative_attention_bias.weight"
    assert not torch.equal(written[f"mpnet.{name}"], source[name])
    train = ("train", "--encoder", "run", "--data", DATA, "--max-steps", 1, "--output", "trained")
    assert swiss(*train).exit_code == 0


def test_the_encoder_inside_the_package_can_be_pretrained(swiss: Any, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("the man sings\na dog runs\nred grass\n" * 4)
    options = ("--encoder", "packaged", "--max-steps", 1, "--device", "cpu", "--output", "run")
    outcome = swiss("pretrain", "text.txt", *options)
    assert outcome.exit_code == 0, outcome.stderr
    assert "packaged has no masked language head: a new one is initialised" in outcome.stderr
    record = json.loads((tmp_path / "run" / "pretraining.json").read_text())
    assert record["source_encoder"]["name"] == "packaged"


def test_nothing_held_out_prints_no_figure(swiss: Any, tmp_path: Path) -> None:
    options = ("--dev-share", 0, "--max-steps", 1, "--output", "run", "--columns", "2, sentence")
    outcome = swiss("pretrain", TEXT, *TINY, *options)
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stdout == b""
    assert "text: 192 sequences" in outcome.stderr
    assert (tmp_path / "run" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("args", "exit_code", "message", "hint"),
    [
        ((), 2, "no file of text is named", "see: swiss pretrain --help"),
        (
            ("a.pdf",),
            2,
            "a.pdf is none of .txt, .tsv, .csv, .jsonl, .json, .parquet",
            "see: swiss pretrain --help",
        ),
        (
            (TEXT, "--dev-share", 1),
            2,
            "dev_share is 1.0, but must be in [0, 1)",
            "see: swiss pretrain --help",
        ),
        (
            ("a.txt", "--columns", "text"),
            2,
            "columns does not apply to lines of text",
            "see: swiss pretrain --help",
        ),
        ((TEXT, "--columns", "body"), 2, f"{TEXT}:1: there is no column 'body'", "first row has"),
        (("absent.txt",), 3, "absent.txt: cannot be read: No such file or directory", None),
        (("empty.txt",), 3, "empty.txt: no text", None),
        (("folder.txt",), 3, "folder.txt: cannot be read: Is a directory", None),
        (("latin.txt",), 3, "latin.txt:1: byte 4 of the record is not UTF-8 (0xe9)", None),
        (
            ("same.txt",),
            3,
            "all texts are the same: none can be held out",
            "add text, or use --dev-share 0",
        ),
        (
            ("foreign.txt", "--encoder", ENCODER),
            3,
            "the encoder's tokenizer knows no word of the text",
            "use an encoder that was made for this language",
        ),
        ((TEXT, "--encoder", "./absent"), 4, "./absent: no such directory", "name a directory"),
        (
            (TEXT, "--encoder", "maskless"),
            4,
            "maskless: its tokenizer has no mask token, [MASK] or <mask>",
            "use an encoder that was made by masked language modelling",
        ),
        ((TEXT, "--device", "cuda:99"), 6, "cuda:99: no such GPU", "use --device cpu"),
        (
            (TEXT, "--output", "full"),
            2,
            "full: exists and is not an empty folder",
            "choose another --output",
        ),
        (
            ("--resume", "absent"),
            2,
            "absent: no run to resume, checkpoints/pretrain_config.toml is missing",
            "start one: swiss pretrain --output DIR",
        ),
        (
            (TEXT, "--resume", "run", "--seed", 1),
            2,
            "--resume takes the run's own configuration, but files, seed was given",
            "type: swiss pretrain --resume run",
        ),
        (
            ("--resume", "run", "--columns", "text"),
            2,
            "--resume takes the run's own configuration, but columns was given",
            "type: swiss pretrain --resume run",
        ),
    ],
)
def test_mistakes(
    swiss: Any,
    tmp_path: Path,
    args: tuple[object, ...],
    exit_code: int,
    message: str,
    hint: str | None,
) -> None:
    (tmp_path / "empty.txt").touch()
    (tmp_path / "folder.txt").mkdir()
    (tmp_path / "latin.txt").write_bytes("café\n".encode("latin-1"))
    (tmp_path / "same.txt").write_text("a dog\na dog\n")
    (tmp_path / "foreign.txt").write_text("\u4e00 \u4e8c\n\u4e09\n")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    maskless = tmp_path / "maskless"
    maskless.mkdir()
    for file in ("config.json", "model.safetensors"):
        (maskless / file).write_bytes((ENCODER / file).read_bytes())
    content = (ENCODER / "tokenizer.json").read_text().replace("[MASK]", "[HIDE]")
    (maskless / "tokenizer.json").write_text(content)
    assert Tokenizer.from_file(str(maskless / "tokenizer.json")).token_to_id("[MASK]") is None
    outcome = swiss("pretrain", *args)
    assert outcome.exit_code == exit_code, outcome.stderr
    assert outcome.stdout == b""
    errors = [line for line in outcome.stderr.splitlines() if not line.startswith("reading")]
    assert errors[0] == f"error: {message}"
    assert len(errors) == (1 if hint is None else 2)
    if hint:
        assert errors[1].startswith("hint: ")
        assert hint in errors[1]
    assert not Path("runs").exists()


def test_several_mistakes_are_counted_and_listed(swiss: Any) -> None:
    assert swiss("pretrain", "a.pdf", "--epochs", 0).stderr.splitlines() == [
        "error: 2 problems:",
        "  a.pdf is none of .txt, .tsv, .csv, .jsonl, .json, .parquet",
        "  epochs is 0, but must be at least 1",
        "hint: see: swiss pretrain --help",
    ]


def test_a_usage_error(swiss: Any) -> None:
    outcome = swiss("pretrain", TEXT, "--epochs", "many")
    assert outcome.exit_code == 2
    assert "Invalid value for '--epochs'" in outcome.stderr


def test_a_killed_run_resumes_as_if_it_had_not_been(spawn: Any, swiss: Any, tmp_path: Path) -> None:
    rhythm = ("--max-steps", 30, "--eval-every", 10, "--save-every", 4, "--log-every", 1)
    options = ("pretrain", TEXT, *TINY, *rhythm)
    assert swiss(*options, "--output", "whole").exit_code == 0
    process = spawn(*options, "--output", "killed")
    log = tmp_path / "killed" / "log.jsonl"
    wait_for(lambda: log.is_file() and '"step": 14,' in log.read_text(), process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    again = swiss(*options, "--output", "killed")
    assert again.exit_code == 2
    assert "resume it with: swiss pretrain --resume killed; or choose another" in again.stderr
    outcome = swiss("pretrain", "--resume", "killed")
    assert outcome.exit_code == 0, outcome.stderr
    for file in ("model.safetensors", "checkpoints/last.safetensors"):
        whole, killed = (load_file(tmp_path / run / file) for run in ("whole", "killed"))
        assert whole.keys() == killed.keys()
        assert all(torch.equal(whole[name], killed[name]) for name in whole)
    losses = []
    for run in ("whole", "killed"):
        entries = [json.loads(line) for line in (tmp_path / run / "log.jsonl").open()]
        losses.append(
            [
                e.get("losses") or e["evaluation"]
                for e in entries
                if "losses" in e or "evaluation" in e
            ]
        )
    assert losses[0] == losses[1]
    assert len(losses[0]) == 30 + 4


def test_an_interrupted_run_says_how_to_go_on(spawn: Any, tmp_path: Path) -> None:
    rare = ("--max-steps", 100000, "--eval-every", 100000, "--save-every", 100000)
    process = spawn("pretrain", TEXT, *TINY, *rare, "--output", "run")
    log = tmp_path / "run" / "log.jsonl"
    wait_for(lambda: log.is_file() and "StepsDone" in log.read_text(), process)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130
    assert re.search(
        rb"interrupted; saved after step \d+ in run\nresume with: swiss pretrain --resume run\n",
        stderr,
    )
    assert b"Traceback" not in stderr
