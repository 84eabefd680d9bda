"""The run configuration."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from swiss_training.multitask.config import TrainConfig
from swisscli.core.errors import ConfigurationError
from tests.support.paths import ROOT

RECIPES = ROOT / "training" / "swiss_training" / "recipes"


def test_toml_round_trip(tmp_path: Path) -> None:
    config = TrainConfig(
        encoder='a "quoted" \\ näme',
        learning_rate=3e-5,
        train_files={"sentiment": ["a.tsv", "b.tsv"]},
        extra_dev_files={"similarity": ["c.tsv"]},
    )
    path = tmp_path / "config.toml"
    path.write_text(config.to_toml(), encoding="utf-8")
    assert TrainConfig.read(path) == config
    assert TrainConfig.read(path, epochs=3).epochs == 3


def test_all_problems_are_listed_together() -> None:
    with pytest.raises(ConfigurationError) as caught:
        TrainConfig(pooling="max", epochs=0, dropout=1.0, weighting="x")  # type: ignore[arg-type]
    for part in ("pooling is 'max'", "weighting is 'x'", "epochs is 0", "dropout is 1.0"):
        assert any(line.startswith(part) for line in caught.value.summaries)
    assert caught.value.summary == "4 problems:"
    assert caught.value.hint == "see: swiss train `help`"


def test_unknown_keys_and_wrong_types(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('epoch = 3\nepochs = "3"\nlearning_rate = 1\nseed = true\ndropout = 2\n')
    with pytest.raises(ConfigurationError) as caught:
        TrainConfig.read(path)
    assert "unknown key 'epoch'" in caught.value.message
    assert "epochs must be a whole number" in caught.value.message
    assert "seed must be a whole number" in caught.value.message
    assert "dropout is 2" in caught.value.message
    assert "learning_rate" not in caught.value.message
    path.write_text("epochs 3")
    with pytest.raises(ConfigurationError, match="not TOML"):
        TrainConfig.read(path)
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        TrainConfig.read(tmp_path / "absent.toml")


def test_file_tables_are_checked_and_take_aliases(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('tasks = ["sst", "para"]\n[train_files]\nsst = ["a"]\npara = ["b"]\n')
    config = TrainConfig.read(path, train_files={"paraphrase": ["c"]})
    assert config.train_files == {"sentiment": ["a"], "paraphrase": ["c"]}
    assert config.tasks == ["sentiment", "paraphrase"]
    path.write_text('[train_files]\nsentimnt = ["a"]\n')
    with pytest.raises(ConfigurationError, match="train_files names 'sentimnt': unknown task"):
        TrainConfig.read(path)
    path.write_text('[dev_files]\nsst = "a"\n')
    with pytest.raises(ConfigurationError, match=r"dev_files\.sst must be a list of file names"):
        TrainConfig.read(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_are_finite(value: float) -> None:
    with pytest.raises(ConfigurationError, match=r"learning_rate is .*, not a finite number"):
        TrainConfig(learning_rate=value)


@pytest.mark.parametrize("recipe", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_recipes_are_valid(recipe: Path) -> None:
    written = tomllib.loads(TrainConfig.read(recipe).to_toml())
    values = tomllib.loads(recipe.read_text(encoding="utf-8"))
    assert {key: written[key] for key in values} == values


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"heads": "cosine"}, "turn it off .`pair_encoding=False`"),
        (
            {"heads": "cosine", "pair_encoding": False, "tasks": ["sentiment"]},
            "has no two texts to compare",
        ),
        (
            {"heads": "layer-sharing", "tasks": ["sentiment", "similarity"]},
            "needs two tasks of two",
        ),
        ({"aggregation": "pcgrad", "tasks": ["sentiment"]}, "one task has no gradients to combine"),
        ({"aggregation": "cagrad", "freeze_encoder": True}, "leaves no shared parameters"),
        (
            {"heads": "cosine", "pair_encoding": False, "freeze_encoder": True},
            "nothing is left to train of paraphrase and similarity",
        ),
        (
            {"r_drop_weight": 1.0, "freeze_encoder": True, "dropout": 0.0},
            "both passes are the same",
        ),
        ({"layer_decay": 0.9, "freeze_encoder": True}, "a frozen encoder does not learn"),
        ({"freeze_layers": 1, "freeze_encoder": True}, "the whole encoder is frozen"),
        ({"sampling_weights": {"paraphrase": 2.0}}, "the sampler is 'balanced', not 'biased'"),
        (
            {"sampling_weights": {"nli": 2.0}, "sampler": "biased"},
            "names 'nli', which is not among the tasks",
        ),
        ({"teacher": "runs/large"}, "distillation needs both"),
        ({"distillation_weight": 0.5}, "distillation needs both"),
        ({"smart_radius": 0.1}, "smart_radius is given, but smart is off: smart_weight is 0"),
        ({"bregman_momentum": 0.9, "smart_weight": 1.0}, "bregman is off: bregman_weight is 0"),
        ({"distillation_temperature": 1.0}, "distillation is off: distillation_weight is 0"),
    ],
)
def test_combinations_that_make_no_sense(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        TrainConfig(**values)


def test_a_shared_layer_over_a_frozen_encoder_has_gradients_to_combine() -> None:
    TrainConfig(heads="layer-sharing", aggregation="pcgrad", freeze_encoder=True)


_SWITCHES: dict[str, dict[str, Any]] = {
    "smart_radius": {"smart_weight": 1.0},
    "bregman_momentum": {"bregman_weight": 1.0},
    "distillation_temperature": {"distillation_weight": 0.5, "teacher": "runs/large"},
}
"""What turns the method of an option on."""


@pytest.mark.parametrize(
    ("name", "wrong", "right"),
    [
        ("smart_weight", -1.0, 0.0),
        ("smart_radius", 0.0, 1e-5),
        ("bregman_momentum", 1.0, 0.0),
        ("r_drop_weight", -0.1, 5.0),
        ("distillation_temperature", 0.0, 1.0),
        ("ema_decay", 1.0, 0.999),
        ("layer_decay", 0.0, 1.0),
        ("freeze_layers", -1, 0),
        ("max_dev_rows", -1, 0),
        ("schedule", "cosine", "constant"),
        ("aggregation", "mgda", "gradvac"),
        ("sampler", "random", "square-root"),
        ("weighting", "uncertain", "uncertainty"),
        ("device", "tpu", "cuda:1"),
    ],
)
def test_ranges_of_the_methods(name: str, wrong: Any, right: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        TrainConfig(**{name: wrong})
    assert caught.value.summaries[0].startswith(f"{name} is {wrong!r}, ")
    assert getattr(TrainConfig(**{name: right}, **_SWITCHES.get(name, {})), name) == right


def test_combinations_and_values_are_listed_with_unknown_keys(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('heads = "cosine"\nema_decay = 2.0\nsurgery = true\nfreeze_encoder = 1\n')
    with pytest.raises(ConfigurationError) as caught:
        TrainConfig.read(path)
    for part in (
        "unknown key 'surgery'",
        "freeze_encoder must be true or false",
        "heads is 'cosine'",
        "ema_decay is 2.0, but must be in [0, 1)",
    ):
        assert part in caught.value.message


def test_recipes_are_read_in_bounded_time_and_memory(tmp_path: Path) -> None:
    """Each of them once: without that, 2 ** 40 are read, and the test never ends."""
    for number in range(40):
        names = f'["{number + 1}.toml", "{number + 1}.toml"]'
        (tmp_path / f"{number}.toml").write_text(f"extends = {names}\n")
    (tmp_path / "40.toml").write_text("seed = 3\n")
    assert TrainConfig.read(tmp_path / "0.toml").seed == 3
    for content, message in (
        ("seed = " + "[" * 100_000, "not TOML"),
        ("#" * 2**23, "larger than"),
        ('extends = ["/dev/zero"]', "/dev/zero: is not a regular file"),
    ):
        (tmp_path / "odd.toml").write_text(content)
        with pytest.raises(ConfigurationError, match=message):
            TrainConfig.read(tmp_path / "odd.toml")
    for number in range(100):
        (tmp_path / f"{number}.toml").write_text(f'extends = ["{number + 1}.toml"]\n')
    with pytest.raises(ConfigurationError, match="more than 50 recipes extend each other"):
        TrainConfig.read(tmp_path / "0.toml")


@pytest.mark.parametrize("key", ["max_steps", "learning_rate", "smart_weight", "seed"])
def test_a_number_that_no_float_can_hold_is_refused(key: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{key} is 1000"):
        TrainConfig(**{key: 10**400})


def test_a_recipe_extends_others(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "base.toml").write_text("epochs = 3\nseed = 1\n[sampling_weights]\nsst = 2\n")
    (tmp_path / "more.toml").write_text('extends = ["base.toml"]\nseed = 2\nsampler = "biased"\n')
    path = tmp_path / "sub" / "row.toml"
    path.write_text('extends = ["../more.toml"]\ndropout = 0.1\n')
    config = TrainConfig.read(path)
    assert (config.epochs, config.seed, config.dropout) == (3, 2, 0.1)
    assert vars(config)["sampling_weights"] == {"sentiment": 2}
    (tmp_path / "base.toml").write_text('extends = ["more.toml"]\n')
    with pytest.raises(ConfigurationError, match=r"more\.toml: extends itself"):
        TrainConfig.read(path)
    path.write_text('extends = "more.toml"\n')
    with pytest.raises(ConfigurationError, match="extends must be a list of file names"):
        TrainConfig.read(path)
