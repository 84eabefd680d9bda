"""The run configuration."""

import tomllib
from pathlib import Path

import pytest

from swiss_training.config import TrainConfig
from swisscli.errors import ConfigurationError

RECIPES = Path(__file__).parents[2] / "training" / "swiss_training" / "recipes"


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
        assert part in caught.value.message


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
    with pytest.raises(ConfigurationError, match="train_files names 'sentimnt', which is no task"):
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
