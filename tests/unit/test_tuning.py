"""What is searched: options and their values, the choice of trials, when one is stopped."""

from collections.abc import Callable
from typing import Any

import pytest

from swiss_training.multitask.config import TrainConfig
from swiss_training.multitask.metrics import Evaluation, Score
from swiss_training.tuning.search import Search
from swiss_training.tuning.space import Choices, Range, Space, Values, parse
from swiss_training.tuning.trial import Trial, best_of
from swisscli.core.errors import ConfigurationError

optimizer = pytest.importorskip("swiss_training.tuning.optimizer")


def make_space(*specs: str, **settings: Any) -> Space:
    dimensions = tuple(parse(*spec.split("=")) for spec in specs)
    return Space.read(dimensions, lambda **changes: TrainConfig(**{**settings, **changes}))


def make_trial(number: int, values: Values, score: float, **changes: Any) -> Trial:
    facts: dict[str, Any] = {
        "number": number,
        "state": "complete",
        "values": values,
        "score": score,
        "metrics": Evaluation({"sentiment": Score("accuracy", score, 10)}),
        "scores": [score],
        "steps": 10,
        "best_step": 10,
        "seconds": 1.0,
        "reason": "",
        "train_rows": {"sentiment": 100},
        "dev_rows": {"sentiment": 10},
        "device": "cpu",
        "precision": "fp32",
        "date": "2026-11-25T10:00:00+00:00",
        "command": "swiss tune",
    }
    return Trial(**(facts | changes))


def search_of(search: Search, count: int, score: Callable[[Values], float]) -> list[Trial]:
    """The trials of a search in which a score follows from the values."""
    trials: list[Trial] = []
    for number in range(1, count + 1):
        values = optimizer.propose(search, trials, number)
        if values is None:
            break
        trials.append(make_trial(number, values, score(values)))
    return trials


# Options and values


@pytest.mark.parametrize(
    ("key", "text", "found"),
    [
        ("batch_size", "8, 16,32", Choices("batch_size", (8, 16, 32))),
        ("batch_size", "8:32", Range("batch_size", 8, 32, False)),
        ("learning_rate", "1e-5:1e-4:log", Range("learning_rate", 1e-5, 1e-4, True)),
        ("dropout", "0,0.5", Choices("dropout", (0.0, 0.5))),
        ("weighting", "none,awl", Choices("weighting", ("none", "awl"))),
        ("pair_encoding", "true,false", Choices("pair_encoding", (True, False))),
        ("encoder", "a:b,packaged", Choices("encoder", ("a:b", "packaged"))),
    ],
)
def test_values_are_read_by_the_type_of_their_option(key: str, text: str, found: Any) -> None:
    assert parse(key, text) == found
    assert parse(*found.text.split("=")) == found


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("learning_rates", "1,2", "no option 'learning_rates'"),
        ("sampling_weights", "1,2", "for each task"),
        ("tasks", "a,b", "for each task"),
        ("output", "a,b", "does not change what is trained"),
        ("max_dev_rows", "1:5", "scores could not be compared"),
        ("batch_size", "8.5,9", "batch_size=8.5 is not a whole number"),
        ("dropout", "0.1,high", "dropout=high is not a number"),
        ("dropout", "nan:1", "dropout=nan is not a number"),
        ("dropout", "0.1,0.1", "names a value twice"),
        ("dropout", "0.1", "leaves nothing to search"),
        ("dropout", "0.5:0.1", "lower end must be below"),
        ("dropout", "0:0.5:log", "must begin above 0"),
        ("dropout", "0.1:0.5:exp", "is not LOW:HIGH or LOW:HIGH:log"),
        ("dropout", "1:2:log:log", "is not LOW:HIGH or LOW:HIGH:log"),
        ("pair_encoding", "true,no", "is not true or false"),
        ("weighting", "awl,", "has an empty value"),
    ],
)
def test_what_cannot_be_searched_is_refused(key: str, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parse(key, text)


def test_a_value_that_its_option_refuses_is_named_and_no_other() -> None:
    space = make_space("dropout=0.1,1.5", "batch_size=0:8", "weighting=none,sum", "epochs=1,2")
    with pytest.raises(ConfigurationError) as caught:
        space.check()
    assert caught.value.details == (
        "batch_size is 0, but must be at least 1",
        "dropout is 1.5, but must be in [0, 1)",
        "weighting is 'sum', not none or learnable or uncertainty or awl",
    )


def test_a_value_is_fine_that_only_some_combinations_allow() -> None:
    space = make_space("heads=linear,cosine", "pair_encoding=true,false")
    space.check()
    assert list(space.grid()) == [
        {"heads": "linear", "pair_encoding": True},
        {"heads": "linear", "pair_encoding": False},
        {"heads": "cosine", "pair_encoding": False},
    ]
    with pytest.raises(ConfigurationError, match="heads is 'cosine'"):
        make_space("heads=linear,cosine").check()


def test_the_configuration_may_be_complete_only_with_a_searched_value() -> None:
    space = make_space("distillation_weight=0.2:0.8", teacher="runs/teacher")
    space.check()
    with pytest.raises(ConfigurationError, match="distillation needs both"):
        make_space("dropout=0.1,0.2", teacher="runs/teacher")


def test_an_option_of_a_method_is_searched_only_where_the_method_is_on() -> None:
    space = make_space("awl_learning_rate=1e-4,1e-3", "weighting=none,awl")
    space.check()
    assert list(space.grid()) == [
        {"weighting": "none"},
        {"weighting": "awl", "awl_learning_rate": 1e-4},
        {"weighting": "awl", "awl_learning_rate": 1e-3},
    ]
    radius = make_space("smart_radius=0.01,0.02", "smart_weight=0,1")
    assert [values.get("smart_radius") for values in radius.grid()] == [None, 0.01, 0.02]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("awl_learning_rate=1e-4,1e-3", "awl_learning_rate is searched, but the weighting is"),
        ("smart_radius=0.01:0.1", "smart_radius is searched, but smart is off"),
    ],
)
def test_an_option_whose_method_is_always_off_is_refused(spec: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make_space(spec, "dropout=0.1,0.2").check()


# The choice of trials


def near(learning_rate: float) -> Callable[[Values], float]:
    return lambda values: -abs(float(values["learning_rate"]) - learning_rate)


def test_the_same_trials_lead_to_the_same_values() -> None:
    search = Search(make_space("learning_rate=0.001:1", "batch_size=1:64:log"))
    whole = search_of(search, 15, near(0.3))
    assert optimizer.propose(search, whole[:12], 13) == whole[12].values
    other = Search(make_space("learning_rate=0.001:1", "batch_size=1:64:log", seed=1))
    assert optimizer.propose(other, whole[:12], 13) != whole[12].values


def test_tpe_learns_from_earlier_trials_and_random_values_do_not() -> None:
    space = make_space("learning_rate=0.001:1")
    distances = {}
    for algorithm in ("tpe", "random"):
        trials = search_of(Search(space, algorithm=algorithm), 40, near(0.3))
        distances[algorithm] = sum(trial.score for trial in trials[20:])
    assert distances["tpe"] > distances["random"] / 2


@pytest.mark.parametrize("algorithm", ["tpe", "random", "grid"])
def test_no_values_come_twice_and_a_small_space_ends(algorithm: Any) -> None:
    search = Search(make_space("dropout=0,0.1,0.2", "epochs=1:3"), algorithm=algorithm)
    trials = search_of(search, 20, lambda values: float(values["dropout"]))
    assert len(trials) == 9
    assert {(t.values["dropout"], t.values["epochs"]) for t in trials} == {
        (dropout, epochs) for dropout in (0.0, 0.1, 0.2) for epochs in (1, 2, 3)
    }


def test_combinations_that_are_not_possible_are_never_tried() -> None:
    search = Search(make_space("heads=linear,cosine", "pair_encoding=true,false"))
    trials = search_of(search, 20, lambda values: 0.5)
    assert len(trials) == 3


def test_real_values_have_three_digits_and_stay_in_their_range() -> None:
    search = Search(make_space("learning_rate=1.23456e-5:1.23457e-5"))
    for trial in search_of(search, 3, near(0)):
        assert 1.23456e-5 <= float(trial.values["learning_rate"]) <= 1.23457e-5
    wide = search_of(Search(make_space("learning_rate=1e-5:1e-3:log")), 5, near(0))
    for trial in wide:
        assert float(f"{trial.values['learning_rate']:.3g}") == trial.values["learning_rate"]


def test_a_grid_of_real_numbers_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"no ranges of real numbers: dropout=0\.1:0\.5"):
        Search(make_space("dropout=0.1:0.5", "epochs=1:3"), algorithm="grid")


# Stopping and comparing


def test_a_trial_is_stopped_below_the_median_of_others_at_that_evaluation() -> None:
    search = Search(make_space("dropout=0:0.5"), prune=True)
    others = [make_trial(n, {"dropout": n / 100}, 0.9, scores=[n / 10, 0.9]) for n in range(1, 6)]
    assert optimizer.is_worse(search, others, [0.2])
    assert not optimizer.is_worse(search, others, [0.3])
    assert not optimizer.is_worse(search, others, [0.3, 0.2, 0.1])  # others had no third
    assert optimizer.is_worse(search, others, [0.8, 0.7])
    assert not optimizer.is_worse(search, others[:4], [0.0])  # too few to compare with


def test_a_failed_trial_counts_as_the_worst() -> None:
    search = Search(make_space("learning_rate=0.001:1"))
    failed = [
        make_trial(n, {"learning_rate": 0.5 + n / 100}, None, state="failed", scores=[])
        for n in range(1, 16)
    ]
    good = [make_trial(n, {"learning_rate": n / 100}, 0.9) for n in range(16, 26)]
    proposed = [
        optimizer.propose(search, [*failed, *good], number)["learning_rate"]
        for number in range(26, 36)
    ]
    assert sum(0.5 < value < 0.66 for value in proposed) <= 1


def test_the_option_that_decides_is_the_most_important() -> None:
    search = Search(make_space("learning_rate=0.001:1", "dropout=0:0.5"), algorithm="random")
    trials = search_of(search, 40, near(0.3))
    shares = optimizer.importance(search, trials)
    assert next(iter(shares)) == "learning_rate"
    assert sum(shares.values()) == pytest.approx(1)
    assert optimizer.importance(search, trials[:9]) == {}


def test_the_best_trial_is_complete_and_the_first_of_equals() -> None:
    trials = [
        make_trial(1, {}, 0.9, state="pruned"),
        make_trial(2, {}, 0.5),
        make_trial(3, {}, 0.7),
        make_trial(4, {}, 0.7),
        make_trial(5, {}, None, state="failed"),
    ]
    assert best_of(trials) == trials[2]
    assert best_of(trials[:1]) is None
    ranked = sorted(trials, key=lambda trial: trial.rank)
    assert [trial.number for trial in ranked] == [3, 4, 2, 1, 5]
