"""Texts longer than the model: their beginning, their beginning and end, or all of them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from swisscli import Predictor
from swisscli.core.errors import ConfigurationError
from swisscli.core.model.directory import CONFIG, ModelDirectory, update_directory
from swisscli.core.model.schema import write_json
from swisscli.core.tasks import TASKS
from swisscli.inference.long_text import merge

LETTERS = [*"bcdefghijklmnopqrstuvwxyzb"]
LONG = " ".join(LETTERS)  # 26 tokens; the model reads 14 and two special ones
SIZE = 14


def answers(model: Path, long_text: str | None, *texts: str) -> list[Any]:
    return list(Predictor(model, device="cpu", long_text=long_text).predict("sentiment", texts))


def test_head_reads_the_beginning(tiny_model: Path) -> None:
    long, cut = answers(tiny_model, "head", LONG, " ".join(LETTERS[:SIZE]))
    assert long.probabilities == cut.probabilities
    assert (long.truncated, long.num_tokens) == (True, 16)


def test_head_and_tail_read_the_beginning_and_the_end(tiny_model: Path) -> None:
    ends = " ".join(LETTERS[:7] + LETTERS[-7:])
    long, cut = answers(tiny_model, "head-tail", LONG, ends)
    assert long.probabilities == cut.probabilities
    assert (long.truncated, long.num_tokens) == (True, 16)
    assert not cut.truncated


def test_chunks_read_everything_and_average_the_probabilities(tiny_model: Path) -> None:
    parts = [" ".join(LETTERS[:SIZE]), " ".join(LETTERS[-SIZE:])]
    long, *chunks = answers(tiny_model, "chunks", LONG, *parts)
    mean = np.mean([chunk.probabilities for chunk in chunks], axis=0)
    np.testing.assert_allclose(long.probabilities, mean, atol=1e-6)
    assert long.class_index == mean.argmax()
    assert (long.truncated, long.num_tokens) == (False, 32)


def test_chunks_are_no_longer_than_they_must_be(tiny_model: Path) -> None:
    parts = [" ".join(LETTERS[:9]), " ".join(LETTERS[7:16])]
    long, *chunks = answers(tiny_model, "chunks", " ".join(LETTERS[:16]), *parts)
    mean = np.mean([chunk.probabilities for chunk in chunks], axis=0)
    np.testing.assert_allclose(long.probabilities, mean, atol=1e-6)
    assert long.num_tokens == sum(chunk.num_tokens for chunk in chunks)


def test_chunks_reach_the_end_of_a_text_of_any_length(tiny_model: Path) -> None:
    for length in range(SIZE, 5 * SIZE):
        text = " ".join((LETTERS * 3)[:length])
        other = f"{text.rpartition(' ')[0]} good"
        one, two = answers(tiny_model, "chunks", text, other)
        assert one.probabilities != two.probabilities
        assert not one.truncated


@pytest.mark.parametrize("long_text", ["head", "head-tail", "chunks"])
def test_a_text_that_fits_and_a_pair_are_read_the_same(tiny_model: Path, long_text: str) -> None:
    short = " ".join(LETTERS[:SIZE])
    assert answers(tiny_model, long_text, short) == answers(tiny_model, None, short)
    predictor, plain = Predictor(tiny_model, long_text=long_text), Predictor(tiny_model)
    (pair,), (cut,) = (list(p.predict("paraphrase", [(LONG, "good")])) for p in (predictor, plain))
    assert pair == cut
    assert pair.truncated


def test_an_answer_does_not_depend_on_what_it_is_computed_with(tiny_model: Path) -> None:
    texts = [" ".join(LETTERS[start:] * (start % 3 + 1)) for start in range(20)]
    together = answers(tiny_model, "chunks", *texts)
    one_by_one = [answers(tiny_model, "chunks", text)[0] for text in texts]
    for a, b in zip(together, one_by_one, strict=True):
        np.testing.assert_allclose(a.probabilities, b.probabilities, atol=1e-5)
        assert a.num_tokens == b.num_tokens


def test_the_model_says_what_is_read_where_the_caller_does_not(make_model: Any) -> None:
    model = make_model()
    directory = ModelDirectory.open(model)
    values = json.loads((model / CONFIG).read_text())
    assert directory.config.long_text == "head"
    with update_directory(model, directory.manifest) as staging:
        write_json(staging / CONFIG, values | {"long_text": "chunks"})
    assert not answers(model, None, LONG)[0].truncated
    assert answers(model, "head", LONG)[0].truncated


def test_an_unknown_choice_is_refused(tiny_model: Path, swiss: Any) -> None:
    with pytest.raises(ConfigurationError, match="long_text=tail"):
        Predictor(tiny_model, long_text="tail")
    outcome = swiss("predict", "sst", "--long-text", "tail", input=b"good\n")
    assert outcome.exit_code == 2
    assert "--long-text tail" in outcome.stderr
    assert "head-tail" in outcome.stderr


def test_the_program_says_what_it_is_told_to_read(swiss: Any, jsonl: Any) -> None:
    for long_text, truncated in (("head", True), ("head-tail", True), ("chunks", False)):
        arguments = ("predict", "sst", "--format", "jsonl", "--long-text", long_text)
        outcome = swiss(*arguments, input=f"{LONG}\n".encode())
        assert [record["truncated"] for record in jsonl(outcome.stdout)] == [truncated]
        assert ("truncated to" in outcome.stderr) is truncated


@pytest.mark.parametrize("long_text", ["head", "head-tail", "chunks"])
def test_evaluation_reads_what_prediction_reads(
    tiny_model: Path, tmp_path: Path, swiss: Any, long_text: str
) -> None:
    texts = [" ".join(LETTERS[start:] + LETTERS) for start in range(20)]
    rows = [f"r{index}\t{text}\t{index % 5}\n" for index, text in enumerate(texts)]
    (tmp_path / "dev.tsv").write_text("id\tsentence\tsentiment\n" + "".join(rows))
    outcome = swiss(
        *("evaluate", tiny_model, "--data", tmp_path, "--dev", f"sst={tmp_path / 'dev.tsv'}"),
        *("--long-text", long_text, "--output", tmp_path / "out"),
    )
    assert outcome.exit_code == 0, outcome.stderr
    lines = (tmp_path / "out" / "sst-dev-output.csv").read_text().splitlines()[1:]
    written = [int(line.split(",")[1]) for line in lines]
    assert written == [answer.class_index for answer in answers(tiny_model, long_text, *texts)]


def test_infinite_logits_of_a_part_give_no_number() -> None:
    logits = np.array([[0, 0, 0, 0, 0], [np.nan, 0, 0, 0, 0], [0, 1, 0, 0, 0]], np.float32)
    examples: Any = [((), ()), ((),)]
    first, second = merge([TASKS["sentiment"]], examples, logits)
    assert not np.isfinite(first).all()
    assert second.tolist() == [0, 1, 0, 0, 0]
