"""Where the data of a trained model is found, by export, evaluation and report alike."""

from pathlib import Path

import pytest

from swiss_training.multitask.config import TrainConfig
from swiss_training.multitask.data_files import DataChoice, find_files
from swisscli.core.errors import ConfigurationError, DataError
from swisscli.core.tasks import TASKS

TASK = TASKS["similarity"]
NAME = str(TASK.file_name("dev"))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder whose configuration names a data folder with one dev file."""
    for name in ("run", "own", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "own" / NAME).touch()
    (tmp_path / "more.csv").touch()
    config = TrainConfig(data=str(tmp_path / "own"))
    (tmp_path / "run" / "train_config.toml").write_text(config.to_toml())
    return tmp_path / "run"


def dev_files(choice: DataChoice, run: Path) -> tuple[list[str], list[str]]:
    (found,) = find_files(choice.config(run), [TASK], "dev")
    present, missing = (
        [str(file.path.relative_to(run.parent)) for file in files]
        for files in (found.present, found.missing)
    )
    return present, missing


def test_the_runs_own_files_are_found_unless_others_are_named(run: Path) -> None:
    more, other = str(run.parent / "more.csv"), str(run.parent / "other")
    assert dev_files(DataChoice(), run) == ([f"own/{NAME}"], [])
    assert dev_files(DataChoice(other), run) == ([], [f"other/{NAME}"])
    replaced = DataChoice(dev_files={"similarity": [more]})
    assert dev_files(replaced, run) == (["more.csv"], [])
    added = DataChoice(extra_dev_files={"similarity": [more]})
    assert dev_files(added, run) == ([f"own/{NAME}", "more.csv"], [])


def test_what_is_missing_is_noted(run: Path) -> None:
    choice = DataChoice(str(run.parent / "other"))
    (found,) = find_files(choice.config(run), [TASK], "dev")
    assert found.note == f"similarity: no dev file {run.parent / 'other' / NAME}"
    (unknown,) = find_files(choice.config(run), [TASKS["nli"]], "dev")
    assert unknown.note == "nli: no dev file is known for this task"


def test_a_missing_file_is_known_as_named_whatever_follows_its_name(run: Path) -> None:
    gone = str(run.parent / "gone.csv")
    choice = DataChoice(dev_files={"similarity": [f"{gone}?range=0:10"]})
    (found,) = find_files(choice.config(run), [TASK], "dev")
    assert [choice.names(file) for file in found.missing] == [True]
    (default,) = find_files(DataChoice(str(run.parent / "other")).config(run), [TASK], "dev")
    assert [choice.names(file) for file in default.missing] == [False]


def test_a_folder_that_does_not_exist_is_refused(run: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        DataChoice("absent").config(run)
    with pytest.raises(ConfigurationError, match=r"train_config\.toml: no such file"):
        DataChoice().config(run.parent)
