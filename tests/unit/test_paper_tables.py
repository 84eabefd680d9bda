"""The paper's tables: their numbers, and the settings of every recipe."""

from dataclasses import asdict, replace
from statistics import mean
from typing import Any

import pytest

from swiss_training.experiments.paper_tables import TABLES
from swiss_training.experiments.selection import RECIPES, recipe_path
from swiss_training.multitask.config import TrainConfig

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
    scaled = (
        *("encoder", "pooling", "batch_size", "max_length", "max_steps", "max_dev_rows"),
        *("learning_rate", "awl_learning_rate", "schedule", "warmup_ratio", "max_grad_norm"),
    )
    for table in TABLES.values():
        for recipe in (recipe for row in table.rows for recipe in row.recipes):
            paper, small = (asdict(read(table.name, recipe, small)) for small in (False, True))
            assert {key for key in paper if paper[key] != small[key]} <= set(scaled)
            trained = pytest.approx(20 * paper["learning_rate"])
            assert small["learning_rate"] == (1e-2 if paper["freeze_encoder"] else trained)
    gradients = read("table2", "pair-encoding-gradient-surgery-awl", small=True)
    assert gradients.awl_learning_rate == 2e-3
