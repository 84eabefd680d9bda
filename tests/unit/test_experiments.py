"""Reproducing a table: what is run, the ledger, the comparison."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from swiss_training import ledger
from swiss_training.events import Saved, Started
from swiss_training.experiments import comparison, reproduction, selection
from swiss_training.experiments.comparison import SeedScores, compare
from swiss_training.experiments.entry import Entry
from swiss_training.experiments.paper_tables import TABLES, Row, Table
from swiss_training.experiments.selection import Selection
from swiss_training.multitask.config import TrainConfig
from swiss_training.multitask.metrics import Evaluation, Score
from swisscli.core.errors import ConfigurationError, DataError, DeviceError
from tests.support.paths import DATA, ENCODER


def make_entry(recipe: str, seed: int = 11711, **values: Any) -> Entry:
    """An entry of Table 1, unless told otherwise."""
    config = values.pop("of", TrainConfig(epochs=10, batch_size=64))
    task = "cfimdb" if recipe.endswith("cfimdb") else "sentiment"
    score = values.pop("score", 0.5)
    defaults: dict[str, Any] = {
        "table": "table1",
        "row": recipe.partition("-")[0],
        "recipe": recipe,
        "seed": seed,
        "metrics": Evaluation({task: Score("accuracy", score, 1101)}),
        "steps": 1340,
        "best_step": 1206,
        "train_rows": {task: 8544},
        "dev_rows": {task: 1101},
        "seconds": 61.0,
        "encoder": {"name": "my_bert", "sha256": "0123456789abcdef"},
        "config": ledger.settings(config),
        "config_sha256": ledger.settings_sha256(config),
        "versions": {},
        "machine": {
            "platform": "Linux",
            "processor": "A & B",
            "cores": 8,
            "threads": 2,
            "gpu": None,
        },
        "device": "cpu",
        "precision": "fp32",
        "date": "2026-11-23T10:00:00+00:00",
        "command": "swiss reproduce table1 --seeds 2",
    }
    return Entry(**(defaults | values))


ENTRIES = [
    make_entry("pretrain-sst", score=0.4),
    make_entry("pretrain-sst", 11712, score=0.42, date="2026-11-24T10:00:00+00:00"),
    make_entry("pretrain-cfimdb", score=0.9),
    make_entry("finetune-sst", score=0.38),
]


def test_markdown() -> None:
    assert comparison.markdown(compare(TABLES["table1"], small=False, entries=ENTRIES)) == (
        "**Table 1: minBERT Dev Accuracy for Sentiment Classification**\n"
        "\n"
        "| # | Model | SST Acc, paper | SST Acc, measured | CFIMDB Acc, paper |"
        " CFIMDB Acc, measured |\n"
        "| ---: | --- | ---: | ---: | ---: | ---: |\n"
        "| 1 | minBERT(pretrain) | 0.391 | 0.410 ± 0.014 (n=2) | 0.788 | 0.900 ± - (n=1) |\n"
        "| 2 | minBERT(finetune) | 0.518 | 0.380 ± - (n=1) | 0.967 |  |\n"
        "\n"
        "- Command: swiss reproduce table1 --seeds 2\n"
        "- Encoder: my\\_bert (sha256 0123456789ab)\n"
        "- Training: 10 epochs, 1,340 steps, batch size 64\n"
        "- Seeds: 11711, 11712\n"
        "- Training rows: sentiment 8,544; cfimdb 8,544\n"
        "- Dev rows: sentiment 1,101; cfimdb 1,101\n"
        "- Machine: Linux, A & B, 2 threads, cpu in fp32\n"
        "- Date: 2026-11-23 to 2026-11-24\n"
        "- Order by SST Acc: Kendall's tau-b with the paper's order is -1.00 (2 rows); swapped by"
        " more than one standard deviation (the deviation of 2 is unknown: one seed):"
        " 1 above 2\n"
    )


def test_latex() -> None:
    assert comparison.latex(compare(TABLES["table1"], small=True, entries=ENTRIES[:1])) == (
        "\\begin{table}\n"
        "\\centering\n"
        "\\begin{tabular}{rlrrrr}\n"
        "\\hline\n"
        "\\# & Model & \\multicolumn{2}{c}{SST Acc} & \\multicolumn{2}{c}{CFIMDB Acc} \\\\\n"
        " &  & paper & measured & paper & measured \\\\\n"
        "\\hline\n"
        "1 & minBERT(pretrain) & 0.391 & 0.400 $\\pm$ - (n=1) & 0.788 &  \\\\\n"
        "2 & minBERT(finetune) & 0.518 &  & 0.967 &  \\\\\n"
        "\\hline\n"
        "\\end{tabular}\n"
        "\\caption{Table 1: minBERT Dev Accuracy for Sentiment Classification."
        " Command: swiss reproduce table1 -{}-seeds 2."
        " Encoder: my\\_bert (sha256 0123456789ab)."
        " Training: 10 epochs, 1,340 steps, batch size 64."
        " Seeds: 11711. Training rows: sentiment 8,544. Dev rows: sentiment 1,101."
        " Machine: Linux, A \\& B, 2 threads, cpu in fp32. Date: 2026-11-23."
        " Note: Small recipes: a small encoder, few steps, learning rates 20 times the paper's"
        " (1e-2 where only heads are trained) with warm-up and decay; the names of the rows are"
        " the paper's.}\n"
        "\\end{table}\n"
    )


def test_special_characters_are_escaped() -> None:
    assert comparison.escape_latex("50% of a_b & {c} #1 $x ~^\\ ---") == (
        "50\\% of a\\_b \\& \\{c\\} \\#1 \\$x \\textasciitilde{}\\textasciicircum{}"
        "\\textbackslash{} -{}-{}-"
    )
    assert comparison.escape_markdown("a|b_c*d\n`e` [f](g) <h>") == (
        "a\\|b\\_c\\*d \\`e\\` \\[f\\](g) \\<h\\>"
    )


@pytest.mark.parametrize(
    ("rows", "note"),
    [(113_000, True), (141_498, False), (200_000, True), (None, False)],
)
def test_the_caption_says_when_quoras_pairs_are_not_the_papers(
    rows: int | None, note: bool
) -> None:
    train_rows = {"sentiment": 1} | ({"paraphrase": rows} if rows else {})
    entries = [make_entry("finetune-sst", train_rows=train_rows)]
    text = comparison.markdown(compare(TABLES["table1"], small=False, entries=entries))
    assert ("not on the about 141,500 of the paper's Quora split" in text) is note


def test_the_order_of_the_rows() -> None:
    def rows(*measured: Sequence[float]) -> list[tuple[int, float, SeedScores]]:
        paper = (0.4, 0.5, 0.6)
        return [
            (number, score, SeedScores(tuple(values)))
            for number, (score, values) in enumerate(zip(paper, measured, strict=True), start=1)
        ]

    same = comparison.compare_order(rows((0.1, 0.1), (0.2, 0.2), (0.3, 0.3)))
    assert "is 1.00 (3 rows)" in same
    assert same.endswith("one standard deviation: none")
    # 2 and 3 change places, but their seeds differ more than they do.
    close = comparison.compare_order(rows((0.1, 0.1), (0.25, 0.35), (0.2, 0.3)))
    assert "is 0.33 (3 rows)" in close
    assert close.endswith("one standard deviation: none")
    far = comparison.compare_order(rows((0.1, 0.1), (0.9, 0.91), (0.2, 0.3)))
    assert far.endswith("one standard deviation: 2 above 3")
    tied = comparison.compare_order(rows((0.1,), (0.1,), (0.1,)))
    assert "is undefined" in tied
    assert "the deviation of 1, 2, 3 is unknown" in tied


def test_the_ledger_survives_half_a_line(tmp_path: Path) -> None:
    assert ledger.read(tmp_path, Entry) == []
    ledger.append(tmp_path, ENTRIES[0])
    path = tmp_path / ledger.FILE
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:100])
    assert ledger.read(tmp_path, Entry) == ENTRIES[:1]
    ledger.append(tmp_path, ENTRIES[1])
    assert ledger.read(tmp_path, Entry) == ENTRIES[:2]
    assert path.read_bytes().startswith(whole)
    path.write_bytes(b"{}\n" + whole)
    with pytest.raises(DataError, match=r"ledger\.jsonl:1: not an entry of a ledger"):
        ledger.read(tmp_path, Entry)


def test_what_makes_a_configuration_another() -> None:
    config = TrainConfig()
    recorded = json.loads(json.dumps(ledger.settings(config)))
    same = replace(config, seed=1, output="x", device="cpu", log_every=1, save_every=1)
    assert ledger.differences(recorded, same) == []
    assert ledger.settings_sha256(same) == ledger.settings_sha256(config)
    other = replace(config, epochs=3, train_files={"sentiment": ["a"]})
    assert ledger.differences(recorded, other) == [
        "epochs was 20, is now 3",
        'train_files was {}, is now {"sentiment": ["a"]}',
    ]
    assert ledger.settings_sha256(other) != ledger.settings_sha256(config)
    # A key that came later had its default.
    del recorded["patience"]
    assert ledger.differences(recorded, config) == []


def choose(folder: Path, table: str = "table2", **values: Any) -> Selection:
    tiny = {
        "encoder": str(ENCODER),
        "data": str(DATA),
        "max_steps": 4,
        "precision": "fp32",
        "device": "cpu",
    }
    changes = tiny | values.pop("changes", {})
    defaults: dict[str, Any] = {"small": False, "rows": ["5"], "seeds": 1}
    return selection.select(TABLES[table], folder=folder, changes=changes, **(defaults | values))


def test_rows_by_number_and_name_and_the_first_seed_of_all_first(tmp_path: Path) -> None:
    selection = choose(tmp_path, "table1", rows=["finetune", "1", "2"], seeds=2)
    found = [(e.row.slug, e.recipe, e.config.seed) for e in selection.experiments()]
    assert found == [
        (row, f"{row}-{task}", seed)
        for seed in (11711, 11712)
        for row in ("pretrain", "finetune")
        for task in ("sst", "cfimdb")
    ]
    assert selection.experiments()[1].folder == tmp_path / "pretrain-cfimdb" / "seed-11711"
    assert len(choose(tmp_path, rows=[]).rows) == 12


def test_all_problems_of_all_recipes_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "RECIPES", tmp_path)
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "a.toml").write_text("epoch = 3\ndropout = 2.0\n")
    (tmp_path / "t" / "b.toml").write_text('heads = "cosine"\n')
    (tmp_path / "t" / "c.toml").write_text("epochs = 1\n")
    rows = tuple(Row(slug, (slug,), (), (slug,)) for slug in ("a", "b", "c", "d"))
    table = Table("t", "", ("Row",), (), rows)
    with pytest.raises(ConfigurationError) as caught:
        selection.select(table, small=False, folder=None, rows=["e"], seeds=0, changes={})
    lines = caught.value.message.splitlines()
    assert lines[0] == "5 problems:"
    lines = [line.strip() for line in lines[1:]]
    assert lines[0] == "seeds is 0, but must be at least 1"
    assert lines[1] == "no row 'e' to run in t, which has 1 a, 2 b, 3 c, 4 d"
    assert lines[2] == "a: unknown key 'epoch'; dropout is 2.0, but must be in [0, 1)"
    assert lines[3].startswith("b: heads is 'cosine', which compares two texts")
    assert lines[4] == "d: cannot be read: No such file or directory"
    assert len(lines) == 5


def states(*arguments: Any) -> list[str]:
    found, _ = reproduction.plan(*arguments)
    return [state for _, state in found]


def test_a_run_that_has_begun_goes_on(tmp_path: Path) -> None:
    selection = choose(tmp_path)
    ((experiment, state),), lacking = reproduction.plan(selection, [])
    assert not lacking
    assert state == "new"
    for event in reproduction.run(experiment):
        if isinstance(event, Saved):
            break
    assert states(selection, []) == ["begun"]
    changed = choose(tmp_path, changes={"max_steps": 6})
    with pytest.raises(ConfigurationError, match="seed 11711: max_steps was 4, is now 6"):
        reproduction.plan(changed, [])
    first, *_, last = reproduction.run(experiment)
    assert isinstance(first, Started)
    assert (first.step, last.step) == (3, 4)
    entry = reproduction.make_entry(selection, experiment, "swiss reproduce")
    assert (entry.steps, entry.recipe, entry.seed) == (4, "pair-encoding", 11711)
    assert entry.train_rows == {"sentiment": 96, "paraphrase": 128, "similarity": 112}
    assert entry.dev_rows == {"sentiment": 30, "paraphrase": 62, "similarity": 46}
    assert len(entry.encoder["sha256"]) == 64
    assert (entry.device, entry.precision, entry.machine["gpu"]) == ("cpu", "fp32", None)
    checkpoint = experiment.folder / "checkpoints" / "last.safetensors"
    state_dict = checkpoint.read_bytes()
    for keep_model in (True, False):
        checkpoint.write_bytes(state_dict)
        reproduction.remove_working_files(experiment, keep_model=keep_model)
        assert not checkpoint.exists()
        assert (experiment.folder / "model.safetensors").exists() is keep_model
    assert states(selection, [entry]) == ["done"]
    more = choose(tmp_path, seeds=2)
    assert states(more, [entry]) == ["done", "new"]
    before = replace(entry, train_rows={**entry.train_rows, "paraphrase": 99})
    left = [experiment for experiment, state in reproduction.plan(more, [before])[0]]
    with pytest.raises(ConfigurationError, match="the training data has changed"):
        reproduction.check_data(more, left, [before])


def test_what_is_missing_is_found_before_training(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"ids-cfimdb-train\.csv.*ids-cfimdb-dev\.csv"):
        reproduction.plan(choose(tmp_path, "table1", rows=[]), [])
    with pytest.raises(DeviceError, match="cuda:99"):
        reproduction.plan(choose(tmp_path, changes={"device": "cuda:99"}), [])
    bad = tmp_path / "bad.tsv"
    bad.write_text("sentence\tsentiment\na film\t7\n")
    files = {"train_files": {"sentiment": [str(bad)]}}
    chosen = choose(tmp_path, changes=files)
    with pytest.raises(DataError, match=r"bad\.tsv:2: column 'sentiment' is '7'"):
        reproduction.check_data(chosen, chosen.experiments(), [])
    (tmp_path / "pair-encoding" / "seed-11711").mkdir(parents=True)
    (tmp_path / "pair-encoding" / "seed-11711" / "mine.txt").touch()
    with pytest.raises(ConfigurationError, match="is not an empty folder"):
        reproduction.plan(choose(tmp_path), [])


def test_a_ledger_of_another_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="an entry of table1, not of table2"):
        selection.check_ledger(choose(tmp_path), ENTRIES)
