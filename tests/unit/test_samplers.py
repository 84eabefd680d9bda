"""Task samplers: shares, epoch lengths, determinism."""

import math
from collections import Counter
from typing import Any

import pytest

from swiss_training.samplers.biased import Biased
from swiss_training.samplers.epoch import Epoch
from swisscli.core.methods import find_method, method_names

SIZES = {"sentiment": 267, "paraphrase": 1821, "similarity": 189}
PAPER = {"sentiment": 1.0, "paraphrase": 1.7, "similarity": 1.0}


def sample(name: str, number: int = 0, **changes: Any) -> list[tuple[str, ...]]:
    method = find_method("sampler", name)
    defaults = {option.key: option.default for option in method.options}
    sampler = method.make({**defaults, "sampling_weights": PAPER})
    values = {"sizes": SIZES, "seed": 3, "number": number, "num_epochs": 10}
    return list(sampler(Epoch(**(values | changes))))


def shares(updates: list[tuple[str, ...]]) -> dict[str, float]:
    counts = Counter(task for update in updates for task in update)
    return {task: counts[task] / counts.total() for task in SIZES}


def normalised(weights: dict[str, float]) -> Any:
    total = sum(weights.values())
    return pytest.approx({task: weight / total for task, weight in weights.items()}, abs=0.03)


def test_balanced_epoch_ends_with_the_smallest_task() -> None:
    assert sample("balanced") == [("sentiment", "paraphrase", "similarity")] * 189


def test_biased_draws_by_the_given_weights() -> None:
    updates = sample("biased", sizes={task: 9 * size for task, size in SIZES.items()})
    assert shares(updates) == normalised(PAPER)
    # 9 * 189 batches of similarity at 3 / 3.7 of them per update.
    assert len(updates) == math.floor(9 * 189 * 3.7 / 3)
    assert ("paraphrase", "paraphrase", "sentiment") in updates  # section 4.2's example


def test_biased_gives_a_task_that_is_not_named_the_weight_1() -> None:
    epoch = Epoch(sizes=SIZES, seed=3, number=0, num_epochs=1)
    assert list(Biased({"paraphrase": 1.7})(epoch)) == list(Biased(PAPER)(epoch))


def test_proportional_and_square_root_follow_the_sizes() -> None:
    assert shares(sample("proportional")) == normalised(SIZES)
    roots = {task: math.sqrt(size) for task, size in SIZES.items()}
    assert shares(sample("square-root")) == normalised(roots)


def test_annealed_goes_from_sizes_towards_even() -> None:
    assert shares(sample("annealed", number=0)) == normalised(SIZES)
    last = {task: size**0.2 for task, size in SIZES.items()}
    assert shares(sample("annealed", number=9)) == normalised(last)
    middle = {task: size ** (1 - 0.8 * 4 / 9) for task, size in SIZES.items()}
    assert shares(sample("annealed", number=4)) == normalised(middle)
    assert shares(sample("annealed", number=0, num_epochs=1)) == normalised(SIZES)


@pytest.mark.parametrize("name", method_names("sampler"))
def test_an_epoch_is_the_same_whenever_it_is_asked_for(name: str) -> None:
    assert sample(name, 2) == sample(name, 2)
    assert len(sample(name, 0)) == len(sample(name, 7))


@pytest.mark.parametrize("name", ["biased", "proportional", "square-root", "annealed"])
def test_epochs_and_seeds_draw_as_many_tasks_but_others(name: str) -> None:
    assert sample(name, 2) != sample(name, 3)
    assert sample(name, 2) != sample(name, 2, seed=4)
    assert {len(update) for update in sample(name)} == {3}


@pytest.mark.parametrize("name", ["proportional", "square-root", "annealed"])
def test_an_epoch_holds_as_many_batches_as_the_tasks(name: str) -> None:
    assert len(sample(name)) == math.ceil(sum(SIZES.values()) / 3)


@pytest.mark.parametrize("name", method_names("sampler"))
def test_a_tiny_task_still_makes_an_epoch(name: str) -> None:
    assert sample(name, sizes={"paraphrase": 1, "similarity": 1})
