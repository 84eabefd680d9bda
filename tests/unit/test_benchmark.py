"""The benchmark in its smallest form. No timing is asserted."""

import json
import math
import shutil
from collections import Counter

import pytest

from benchmarks import own_labels, program
from benchmarks.__main__ import main
from benchmarks.ceiling import needed_operations, training_operations
from benchmarks.figures import Figures, Spread
from benchmarks.goals import goals
from benchmarks.measure import BenchmarkError, Measurements, _compare, _schedule
from benchmarks.workloads import CFIMDB_TOKENS, SST_TOKENS, Workload, load
from swisscli.core.model.encoder_config import EncoderConfig
from tests.support.paths import ASSETS, DATA, ENCODER

OURS_AND_PLAIN = ("onnxruntime-swiss-graph", "swiss", "swiss-int8")
SMALLEST = ("--rounds", "1", "--threads", "1", "--share", "100", "--lines", "20")


def test_measures_compares_and_reports(tmp_path, monkeypatch):
    monkeypatch.setattr(program, "FEW_LINES", 5)
    monkeypatch.delenv("SWISS_MODEL", raising=False)
    encoder = str(ENCODER)
    status = main(
        [
            *("--encoder", encoder, "--output", str(tmp_path), "--workloads", "mix"),
            *("--contenders", *OURS_AND_PLAIN, "cross-encoder-onnx", *SMALLEST),
        ]
    )
    assert status == 0
    results = json.loads((tmp_path / "results.json").read_text())
    runs = results["runs"]
    assert runs[0]["contender"] == "onnxruntime-swiss-graph"
    assert {entry["contender"] for entry in runs} == set(OURS_AND_PLAIN)
    assert all(0 < entry["first_seconds"] <= entry["seconds"] for entry in runs)
    assert {entry["contender"] for entry in results["starts"]} == set(OURS_AND_PLAIN)
    assert [entry["lines"] for entry in results["program"]["memory"]] == [5, 20]
    assert {entry["round"] for entry in results["ceilings"]} == {1}
    same = [x for x in results["agreement"] if x["contender"] == "onnxruntime-swiss-graph"]
    assert max(entry["difference"] for entry in same) < 1e-5
    assert "--onnx-python" in results["missing"]["cross-encoder-onnx"]
    assert str(ASSETS) not in (tmp_path / "results.json").read_text()
    page = (tmp_path / "RESULTS.md").read_text()
    assert "| onnxruntime-swiss-graph | fp32 |" in page
    assert "**This run is a trial, which proves nothing:** fewer than 5 rounds" in page
    assert "mix: swiss at least 2x the best peer in fp32 | not measured" in page
    assert "## Training\n\nNot measured." in page
    assert (tmp_path / "results.svg").read_text().startswith("<?xml")


TRAINERS = ("swiss-train", "swiss-train-fast-dropout")


@pytest.mark.parametrize("peers", [(), ("trainer", "cross-encoder-trainer")])
def test_trains_compares_and_reports(tmp_path, peers):
    for package in ("accelerate", "datasets", "sentence_transformers") if peers else ():
        pytest.importorskip(package, reason=f"{package} is installed by make bench")
    arguments = ["--encoder", str(ENCODER), "--output", str(tmp_path), "--workloads", "training"]
    arguments += ["--contenders", *TRAINERS, *peers, "--rounds", "1", "--threads", "1"]
    assert main([*arguments, "--share", "100"]) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["missing"] == {}
    for name, task in (("training-sst", "sentiment"), ("training-quora", "paraphrase")):
        assert results["workloads"][name]["task"] == task
        assert results["workloads"][name]["records"] == 39
        runs = [entry for entry in results["runs"] if entry["workload"] == name]
        assert {*TRAINERS} <= {entry["contender"] for entry in runs}
        assert all(0 < entry["loss"] < 10 for entry in runs)
        assert {
            entry["contender"] for entry in results["profiles"] if entry["workload"] == name
        } == {*TRAINERS}
    assert {entry["contender"] for entry in results["runs"]} == {*TRAINERS, *peers}
    assert all(entry["difference"] < 1e-4 for entry in results["agreement"])
    assert all(entry["kinds"]["matrix products"] > 0 for entry in results["profiles"])
    assert all(len(entry["bf16"]) == 2 for entry in results["ceilings"])
    assert results["starts"] == []
    assert results["program"] == {}
    page = (tmp_path / "RESULTS.md").read_text()
    assert "### training-quora" in page
    assert "| matrix products |" in page
    assert "training-sst: swiss-train at least 1.5x the best peer" in page


def test_synthetic_texts_are_as_long_as_the_dev_files():
    sst, quora, cfimdb, mix = load(("sst", "quora", "cfimdb", "mix"), None)
    assert [len(workload.texts) for workload in (sst, quora, cfimdb, mix)] == [
        *(1101, 2000, 245, 1961)
    ]
    for workload, quantiles in ((sst, SST_TOKENS), (cfimdb, CFIMDB_TOKENS)):
        lengths = sorted(len(text.split()) for (text,) in workload.texts)
        assert lengths[len(lengths) // 2] == pytest.approx(quantiles[10], rel=0.1)
        assert quantiles[0] <= lengths[0] <= lengths[-1] <= quantiles[-1]
    longest = max(sum(len(text.split()) for text in item) for item in mix.texts)
    assert longest > 512
    assert load(("mix",), None)[0].texts == mix.texts


def test_the_dev_files_are_read(tmp_path):
    data = shutil.copytree(DATA, tmp_path / "data")
    review = data / "ids-cfimdb-dev.csv"
    review.write_text("\tid\tsentence\tsentiment\n0\ta\t a long review .\t1\n")
    sst, quora, cfimdb, training = load(("sst", "quora", "cfimdb", "training-sst"), data)
    assert len(sst.texts) == 30
    assert len(quora.texts) == 62  # one has no second question
    assert cfimdb.texts == [(" a long review .",)]
    assert {sst.origin, quora.origin} == {"CS224N dev files"}
    assert training.origin == "CS224N train file"
    assert training.texts[0] == ("the film is awful and the plot is very horrid .",)
    assert training.labels[:2] == [0, 1]


def test_a_data_folder_without_the_files_is_an_error(tmp_path, capsys):
    arguments = ["--data", str(tmp_path), "--encoder", str(ENCODER)]
    arguments += ["--output", str(tmp_path / "out"), "--contenders", "swiss"]
    assert main(arguments) == 1
    assert "ids-sst-dev.csv: cannot be read" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_every_run_of_ours_follows_the_one_that_it_is_compared_with():
    names = ["pipeline-1", "onnxruntime", "swiss", "swiss-int8"]
    rounds = [list(_schedule(names, number)) for number in (1, 2)]
    for schedule in rounds:
        for pair in ("pipeline-1", "onnxruntime"):
            ran = [name for other, name in schedule if other == pair]
            assert ran[0] == pair
            assert set(ran[1:]) == {"swiss", "swiss-int8"}
    assert rounds[0][0] != rounds[1][0]
    assert [name for _, name in _schedule(["swiss"], 1)] == ["swiss"]


def test_medians_have_their_spread_and_ratios_stay_in_their_pair():
    results = Measurements(workloads={"mix": {"records": 60, "tokens": 600, "operations": 1200}})
    for number, (theirs, ours) in enumerate(((6, 2), (12, 3), (6, 6)), start=1):
        for pair, name, seconds in (
            ("pipeline-1", "pipeline-1", theirs),
            ("pipeline-1", "swiss", ours),
            ("onnxruntime", "swiss", 100),
        ):
            results.runs.append(
                {
                    **{"workload": "mix", "round": number, "pair": pair, "contender": name},
                    **{"seconds": seconds, "first_seconds": 1, "peak_bytes": 2e6},
                }
            )
        results.ceilings.append(
            {"workload": "mix", "round": number, "fp32": {"numpy": 100, "torch": 200}}
        )
    figures = Figures(results)
    assert figures.ratio("mix", "swiss", "pipeline-1") == Spread(3, 1, 4, 3)
    assert figures.rate("mix", "pipeline-1", "records") == Spread(10, 5, 10, 3)
    assert figures.share_of_ceiling("mix", "pipeline-1") == Spread(1, 0.5, 1, 3)
    assert figures.best_peer("mix", "fp32") == "pipeline-1"
    assert figures.best_peer("mix", "int8") is None
    assert "not measured" in {goal.row()[1] for goal in goals(Figures(Measurements()), "cpu")}
    assert Spread(3, 1, 4, 3).text("{:.1f}") == "3.0 (1.0 to 4.0)"
    assert Spread.of([]) is None


class _Worker:
    """Answers with what it was given."""

    def __init__(self, logit: float) -> None:
        self.logit = logit

    def ask(self, **request):
        return {"logits": [[self.logit] for _ in request["rows"]]}


def test_a_contender_that_computes_something_else_ends_the_benchmark():
    workload = Workload("quora", "paraphrase", [("a", "b"), ("c", "d")], "here")
    ours = _Worker(0.5)
    agreement = _compare(workload, {"swiss-int8": _Worker(-0.1), "swiss": ours})
    assert [entry["reference"] for entry in agreement] == ["swiss", "swiss"]
    assert [entry["equal_labels"] for entry in agreement] == [0, 1]
    assert agreement[0]["difference"] == pytest.approx(0.6)
    for other in (_Worker(0.51), _Worker(math.nan)):
        with pytest.raises(BenchmarkError, match="the logits of pipeline-1 and swiss are"):
            _compare(workload, {"pipeline-1": other, "swiss": ours})


def test_the_needed_operations_are_those_of_the_formula():
    shape = EncoderConfig(
        vocab_size=9,
        hidden_size=2,
        num_hidden_layers=2,
        num_attention_heads=1,
        intermediate_size=3,
        max_position_embeddings=9,
    )
    layer = 8 * 5 * 4 + 4 * 25 * 2 + 4 * 5 * 2 * 3
    last = 4 * 5 * 4 + 4 * 4 + 4 * 5 * 2 + 4 * 2 * 3
    assert needed_operations(shape, [5]) == layer + last + 2 * 4
    assert needed_operations(shape, [5, 5]) == 2 * needed_operations(shape, [5])
    assert training_operations(shape, [5]) == 3 * needed_operations(shape, [5])


def test_own_labels_are_split_by_class_and_never_overlap() -> None:
    rows = [(f"text {i}", "spam" if i % 4 == 0 else "ham") for i in range(40)]
    train, test = own_labels.split(rows, 5, seed=1)
    assert Counter(label for _, label in test) == {"spam": 2, "ham": 6}
    assert Counter(label for _, label in train) == {"spam": 5, "ham": 5}
    assert not {*train} & {*test}
    everything, same_test = own_labels.split(rows, 0, seed=1)
    assert (len(everything), same_test) == (32, test)
    assert own_labels.split(rows, 0, seed=2)[1] != test


def test_the_page_of_own_labels_has_the_mean_of_the_seeds_and_their_range() -> None:
    def measured(seed: int, size: int, accuracy: float) -> own_labels.Measurement:
        values = ("a.tsv", size, seed, "swiss train", "python own_labels.py a.tsv", 16, 8)
        return own_labels.Measurement(*values, accuracy, 0.5, 60.4, "2026-11-25", 3.0)

    page = list(own_labels.page([measured(1, 0, 1.0), measured(1, 8, 0.5), measured(2, 8, 0.75)]))
    assert page[-2] == (
        "| a.tsv | 8 | 16 | 8 | swiss train | 0.625 (0.500 to 0.750) | 0.500 (0.500 to 0.500) |"
        " 60 (60 to 60) |"
    )
    assert page[-1] == "| a.tsv | all | 16 | 8 | swiss train | 1.000 | 0.500 | 60 |"
