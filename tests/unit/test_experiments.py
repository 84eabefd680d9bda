"""The paper's tables: recipes, numbers, ledger, plan, comparison."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from swiss_training import comparison, experiments, ledger, loop, reproduction
from swiss_training.comparison import Measured, compare
from swiss_training.config import TrainConfig
from swiss_training.experiments import RECIPES, Selection, recipe_path
from swiss_training.ledger import Entry
from swiss_training.paper_tables import TABLES, Row, Table
from swisscli.errors import ConfigurationError, DataError, DeviceError

ASSETS = Path(__file__).parents[1] / "assets"

PAPER = {
    "table1": """
minBERT(pretrain)	0.391	0.788
minBERT(finetune)	0.518	0.967
""",
    "table2": """
Baseline: no extension(pretrain)	0.334	0.649	0.267	0.417
no extension(finetune)	0.508	0.755	0.492	0.585
layer sharing	0.500	0.756	0.464	0.573
cosine similarity	0.482	0.506	0.463	0.484
pair encoding	0.506	0.855	0.842	0.734
pair encoding, learnable weights	0.510	0.847	0.848	0.735
pair encoding, homoscedastic uncertainty	0.500	0.855	0.846	0.734
pair encoding, auto weighted loss(awl_lr=1e-5)	0.508	0.862	0.849	0.740
pair encoding, gradient surgery	0.503	0.837	0.843	0.728
pair encoding, gradient surgery, learnable weights	0.503	0.837	0.842	0.727
pair encoding, gradient surgery, auto weighted loss(awl_lr=1e-4)	0.510	0.850	0.851	0.737
pair encoding, sample task, auto weighted loss(awl_lr=1e-4)	0.495	0.865	0.841	0.734
""",
    "table3": """
1e-5	0.3	0	1e-5	0.508	0.862	0.849	0.740
1e-4	0.3	1e-5	1e-4	0.467	0.862	0.834	0.721
1e-5	0.3	1e-5	1e-4	0.525	0.849	0.868	0.747
1e-5	0.3	1e-4	1e-3	0.501	0.861	0.875	0.746
1e-6	0.3	1e-5	1e-4	0.489	0.788	0.793	0.690
1e-5	0.5	1e-5	1e-4	0.507	0.851	0.842	0.733
1e-5	0.1	1e-5	1e-4	0.517	0.854	0.848	0.740
""",
    "table4": """
Dev	0.754	0.510	0.883	0.868
Test	0.758	0.527	0.885	0.862
""",
}
"""As the paper prints them."""

SHARED = {
    "encoder": "bert-base-uncased",
    "pooling": "cls",
    "epochs": 20,
    "batch_size": 32,
    "learning_rate": 1e-5,
    "dropout": 0.3,
    "weight_decay": 0.0,
    "schedule": "constant",
    "max_steps": 0,
    "max_dev_rows": 0,
}
"""Section 5.3: what the rows of Table 2 share."""

APART: dict[str, dict[str, Any]] = {"pair_encoding": False}  # type: ignore[dict-item]
AWL_5 = {"weighting": "awl", "awl_learning_rate": 1e-5}
AWL_4 = {"weighting": "awl", "awl_learning_rate": 1e-4}
TABLE_2: dict[str, dict[str, Any]] = {
    "baseline": APART | {"freeze_encoder": True},
    "no-extension": APART,
    "layer-sharing": APART | {"heads": "layer-sharing"},
    "cosine-similarity": APART | {"heads": "cosine"},
    "pair-encoding": {},
    "pair-encoding-learnable-weights": {"weighting": "learnable"},
    "pair-encoding-uncertainty": {"weighting": "uncertainty"},
    "pair-encoding-awl": AWL_5,
    "pair-encoding-gradient-surgery": {"aggregation": "pcgrad"},
    "pair-encoding-gradient-surgery-learnable-weights": {
        "aggregation": "pcgrad",
        "weighting": "learnable",
    },
    "pair-encoding-gradient-surgery-awl": {"aggregation": "pcgrad"} | AWL_4,
    "pair-encoding-sample-task-awl": {
        "sampler": "biased",
        "sampling_weights": {"sentiment": 1, "paraphrase": 1.7, "similarity": 1},
    }
    | AWL_4,
}


def read(table: str, recipe: str, small: bool = False) -> TrainConfig:
    return TrainConfig.read(recipe_path(TABLES[table], recipe, small))


@pytest.mark.parametrize("name", TABLES)
def test_the_papers_rows_and_numbers_in_order(name: str) -> None:
    table = TABLES[name]
    lines = ["\t".join((*row.labels, *(f"{v:.3f}" for v in row.paper))) for row in table.rows]
    assert lines == PAPER[name].strip().splitlines()
    assert all(len(row.paper) == len(table.columns) for row in table.rows)
    assert all(len(row.labels) == len(table.labels) for row in table.rows)


@pytest.mark.parametrize("name", ["table2", "table3", "table4"])
def test_overall_is_the_mean_of_the_tasks(name: str) -> None:
    names = [column.name for column in TABLES[name].columns]
    for row in TABLES[name].rows:
        scores = dict(zip(names, row.paper, strict=True))
        assert scores.pop("Overall Score") == pytest.approx(mean(scores.values()), abs=6e-4)


def test_every_recipe_belongs_to_a_row_and_reads_with_its_small_twin() -> None:
    expected = set()
    for table in TABLES.values():
        for recipe in (recipe for row in table.rows for recipe in row.recipes):
            for small in (False, True):
                path = recipe_path(table, recipe, small)
                config = TrainConfig.read(path)
                assert (config.max_steps == 120) is small
                assert (config.encoder == "bert-base-uncased") is not small
                expected.add(path)
    assert set(RECIPES.glob("table*/**/*.toml")) == expected


def test_table_1_settings() -> None:
    for kind, frozen, rate in (("pretrain", True, 1e-3), ("finetune", False, 1e-5)):
        for task, name in (("sst", "sentiment"), ("cfimdb", "cfimdb")):
            config = read("table1", f"{kind}-{task}")
            assert (config.tasks, config.freeze_encoder) == ([name], frozen)
            assert (config.learning_rate, config.epochs, config.batch_size) == (rate, 10, 64)


def test_table_2_settings() -> None:
    assert list(TABLE_2) == [row.slug for row in TABLES["table2"].rows]
    for slug, own in TABLE_2.items():
        config, plain = read("table2", slug), TrainConfig()
        methods = {
            key: getattr(plain, key)
            for key in (
                *("tasks", "pair_encoding", "heads", "freeze_encoder"),
                *("weighting", "aggregation", "sampler", "sampling_weights"),
            )
        }
        expected = methods | SHARED | own
        assert {key: getattr(config, key) for key in expected} == expected, slug


def test_table_3_settings_are_its_labels() -> None:
    keys = ("learning_rate", "dropout", "weight_decay", "awl_learning_rate")
    for row in TABLES["table3"].rows:
        paper, small = (read("table3", row.slug, small) for small in (False, True))
        assert [getattr(paper, key) for key in keys] == [float(label) for label in row.labels]
        assert (paper.weighting, paper.pair_encoding, paper.epochs) == ("awl", True, 20)
        assert small.learning_rate == pytest.approx(20 * paper.learning_rate)
        assert small.awl_learning_rate == pytest.approx(20 * paper.awl_learning_rate)
        assert (small.dropout, small.weight_decay) == (paper.dropout, paper.weight_decay)


def test_table_4_is_the_best_row_of_table_3_with_a_schedule() -> None:
    best, final = read("table3", "best"), read("table4", "final")
    assert replace(best, schedule="linear", warmup_ratio=0.1) == final


def test_small_twins_keep_the_methods() -> None:
    scaled = ("encoder", "pooling", "batch_size", "max_length", "max_steps", "max_dev_rows")
    scaled += ("learning_rate", "awl_learning_rate", "schedule", "warmup_ratio", "max_grad_norm")
    for table in TABLES.values():
        for recipe in (recipe for row in table.rows for recipe in row.recipes):
            paper, small = (asdict(read(table.name, recipe, small)) for small in (False, True))
            assert {key for key in paper if paper[key] != small[key]} <= set(scaled)
            trained = pytest.approx(20 * paper["learning_rate"])
            assert small["learning_rate"] == (1e-2 if paper["freeze_encoder"] else trained)
    gradients = read("table2", "pair-encoding-gradient-surgery-awl", small=True)
    assert gradients.awl_learning_rate == 2e-3


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
        "metrics": {
            task: {"metric": "accuracy", "value": score, "rows": 1101},
            "overall": score,
        },
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
        " more than one standard deviation (the deviation of 2 is not known: one seed):"
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
        " Note: Small twins: a small encoder, few steps, and learning rates 20 times the paper's"
        " (1e-2 where heads alone are trained) with warm-up and decay; what the rows are called is"
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
    def rows(*measured: Sequence[float]) -> list[tuple[int, float, Measured]]:
        paper = (0.4, 0.5, 0.6)
        return [
            (number, score, Measured(tuple(values)))
            for number, (score, values) in enumerate(zip(paper, measured, strict=True), start=1)
        ]

    same = comparison.order_note(rows((0.1, 0.1), (0.2, 0.2), (0.3, 0.3)))
    assert "is 1.00 (3 rows)" in same
    assert same.endswith("one standard deviation: none")
    # 2 and 3 change places, but their seeds differ more than they do.
    close = comparison.order_note(rows((0.1, 0.1), (0.25, 0.35), (0.2, 0.3)))
    assert "is 0.33 (3 rows)" in close
    assert close.endswith("one standard deviation: none")
    far = comparison.order_note(rows((0.1, 0.1), (0.9, 0.91), (0.2, 0.3)))
    assert far.endswith("one standard deviation: 2 above 3")
    tied = comparison.order_note(rows((0.1,), (0.1,), (0.1,)))
    assert "is undefined" in tied
    assert "the deviation of 1, 2, 3 is not known" in tied


def test_the_ledger_survives_half_a_line(tmp_path: Path) -> None:
    assert ledger.read(tmp_path) == []
    ledger.append(tmp_path, ENTRIES[0])
    path = tmp_path / ledger.FILE
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:100])
    assert ledger.read(tmp_path) == ENTRIES[:1]
    ledger.append(tmp_path, ENTRIES[1])
    assert ledger.read(tmp_path) == ENTRIES[:2]
    assert path.read_bytes().startswith(whole)
    path.write_bytes(b"{}\n" + whole)
    with pytest.raises(DataError, match=r"ledger\.jsonl:1: no entry of a ledger"):
        ledger.read(tmp_path)


def test_what_makes_a_configuration_another() -> None:
    config = TrainConfig()
    recorded = json.loads(json.dumps(ledger.settings(config)))
    same = replace(config, seed=1, output="x", device="cpu", log_every=1, save_every=1)
    assert ledger.differences(recorded, same) == []
    assert ledger.settings_sha256(same) == ledger.settings_sha256(config)
    other = replace(config, epochs=3, train_files={"sentiment": ["a"]})
    assert ledger.differences(recorded, other) == [
        'train_files was {}, is now {"sentiment": ["a"]}',
        "epochs was 20, is now 3",
    ]
    assert ledger.settings_sha256(other) != ledger.settings_sha256(config)
    # A key that came later had its default.
    del recorded["patience"]
    assert ledger.differences(recorded, config) == []


def choose(folder: Path, table: str = "table2", **values: Any) -> Selection:
    tiny = {
        "encoder": str(ASSETS / "tiny-encoder"),
        "data": str(ASSETS / "tiny-data"),
        "max_steps": 4,
        "precision": "fp32",
        "device": "cpu",
    }
    changes = tiny | values.pop("changes", {})
    defaults: dict[str, Any] = {"small": False, "rows": ["5"], "seeds": 1}
    return experiments.select(TABLES[table], folder=folder, changes=changes, **(defaults | values))


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
    monkeypatch.setattr(experiments, "RECIPES", tmp_path)
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "a.toml").write_text("epoch = 3\ndropout = 2.0\n")
    (tmp_path / "t" / "b.toml").write_text('heads = "cosine"\n')
    (tmp_path / "t" / "c.toml").write_text("epochs = 1\n")
    rows = tuple(Row(slug, (slug,), (), (slug,)) for slug in ("a", "b", "c", "d"))
    table = Table("t", "", ("Row",), (), rows)
    with pytest.raises(ConfigurationError) as caught:
        experiments.select(table, small=False, folder=None, rows=["e"], seeds=0, changes={})
    lines = caught.value.message.splitlines()
    assert lines[0] == "seeds is 0, it must be at least 1"
    assert lines[1] == "no row 'e' to run in t, which has 1 a, 2 b, 3 c, 4 d"
    assert lines[2] == "a: unknown key 'epoch'; dropout is 2.0, it must be in [0, 1)"
    assert lines[3].startswith("b: heads is 'cosine', which compares two texts")
    assert lines[4] == "d: cannot be read: No such file or directory"
    assert len(lines) == 5


def test_a_run_that_has_begun_goes_on(tmp_path: Path) -> None:
    selection = choose(tmp_path)
    ((experiment, state),) = reproduction.plan(selection, [])
    assert state == "new"
    for event in reproduction.run(experiment):
        if isinstance(event, loop.Saved):
            break
    assert [state for _, state in reproduction.plan(selection, [])] == ["begun"]
    changed = choose(tmp_path, changes={"max_steps": 6})
    with pytest.raises(ConfigurationError, match="seed 11711: max_steps was 4, is now 6"):
        reproduction.plan(changed, [])
    first, *_, last = reproduction.run(experiment)
    assert isinstance(first, loop.Started)
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
        reproduction.tidy(experiment, keep_model=keep_model)
        assert not checkpoint.exists()
        assert (experiment.folder / "model.safetensors").exists() is keep_model
    assert [state for _, state in reproduction.plan(selection, [entry])] == ["done"]
    more = choose(tmp_path, seeds=2)
    assert [state for _, state in reproduction.plan(more, [entry])] == ["done", "new"]
    before = replace(entry, train_rows={**entry.train_rows, "paraphrase": 99})
    with pytest.raises(ConfigurationError, match="the training data has changed"):
        reproduction.plan(more, [before])


def test_what_is_missing_is_found_before_training(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"ids-cfimdb-train\.csv.*ids-cfimdb-dev\.csv"):
        reproduction.plan(choose(tmp_path, "table1", rows=[]), [])
    with pytest.raises(DeviceError, match="cuda:99"):
        reproduction.plan(choose(tmp_path, changes={"device": "cuda:99"}), [])
    bad = tmp_path / "bad.tsv"
    bad.write_text("sentence\tsentiment\na film\t7\n")
    files = {"train_files": {"sentiment": [str(bad)]}}
    with pytest.raises(DataError, match=r"bad\.tsv:2: column 'sentiment' is '7'"):
        reproduction.plan(choose(tmp_path, changes=files), [])
    (tmp_path / "pair-encoding" / "seed-11711").mkdir(parents=True)
    (tmp_path / "pair-encoding" / "seed-11711" / "mine.txt").touch()
    with pytest.raises(ConfigurationError, match="is not an empty folder"):
        reproduction.plan(choose(tmp_path), [])


def test_a_ledger_of_another_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="an entry of table1, not of table2"):
        experiments.check_ledger(choose(tmp_path), ENTRIES)
