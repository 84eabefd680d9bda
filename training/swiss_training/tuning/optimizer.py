"""What Optuna decides: the values of the next trial, whether to stop one, which option mattered.

Its study is made anew from the trials of the ledger each time, and its sampler seeded by the number
of the trial. So the ledger is all that a search has to keep, and one that was killed chooses the
same values as one that was not.
"""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from random import Random
from typing import cast

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from swiss_training.tuning.search import Search
from swiss_training.tuning.space import Choices, Dimension, Value, Values, identity
from swiss_training.tuning.trial import Trial
from swisscli.core.errors import ConfigurationError

optuna.logging.set_verbosity(optuna.logging.ERROR)

MIN_FOR_IMPORTANCE = 10
"""Complete trials below which the importance of options is mere chance."""
_ATTEMPTS = 100
"""Draws for one trial, until one is possible and new."""


def propose(search: Search, trials: Sequence[Trial], number: int) -> Values | None:
    """Choose the values of a trial.

    Args:
        search: The search.
        trials: The trials that have ended.
        number: The new trial's number.

    Returns:
        Values that no other trial had; None if there are no more.
    """
    tried = {identity(trial.values) for trial in trials}
    if search.algorithm != "grid":
        for attempt in range(_ATTEMPTS):
            trial = _study(search, trials, f"{number} {attempt}").ask()
            with suppress(ConfigurationError):  # a combination that is not possible
                values = search.space.draw(partial(_suggest, trial))
                if identity(values) not in tried:
                    return values
    return next((v for v in search.space.grid() if identity(v) not in tried), None)


def is_worse(search: Search, trials: Sequence[Trial], scores: Sequence[float]) -> bool:
    """Return whether a trial's best score is below the median of the others' at that evaluation.

    The first five trials are complete before any is stopped (Optuna's MedianPruner; Golovin et al.
    2017, Google Vizier, section 3.2.2).

    Args:
        search: The search.
        trials: The trials that have ended.
        scores: The trial's scores so far.
    """
    trial = _study(search, trials).ask()
    for evaluation, score in enumerate(scores, start=1):
        trial.report(score, evaluation)
    return trial.should_prune()


def importance(search: Search, trials: Sequence[Trial]) -> dict[str, float]:
    """Compute how much each option mattered for being among the best trials.

    Returns:
        Shares of 1, the largest first (PED-ANOVA; Watanabe et al. 2023, arXiv:2304.10255); empty
        with too few trials.
    """
    complete = [trial for trial in trials if trial.state == "complete"]
    if len(complete) < MIN_FOR_IMPORTANCE or len({trial.score for trial in complete}) == 1:
        return {}
    return optuna.importance.get_param_importances(
        _study(search, complete), evaluator=optuna.importance.PedAnovaImportanceEvaluator()
    )


def _study(search: Search, trials: Sequence[Trial], draw: str = "") -> optuna.Study:
    """Return the trials as Optuna knows them.

    Args:
        search: The search.
        trials: The trials that have ended.
        draw: Which random numbers the sampler gets, together with the search's seed.
    """
    seed = Random(f"{search.space.base.seed} {draw}").getrandbits(32)
    sampler: BaseSampler = RandomSampler(seed)
    if search.algorithm == "tpe":
        sampler = TPESampler(seed=seed)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    distributions = {d.key: _distribution(d) for d in search.space.dimensions}
    for trial in trials:
        is_complete = trial.state == "complete"
        study.add_trial(
            optuna.trial.create_trial(
                # One that failed is, without a score, the worst of those that were stopped.
                state=TrialState.COMPLETE if is_complete else TrialState.PRUNED,
                value=trial.score if is_complete else None,
                params=trial.values,
                distributions={key: distributions[key] for key in trial.values},
                intermediate_values=dict(enumerate(trial.scores, start=1)),
            )
        )
    return study


def _distribution(dimension: Dimension) -> BaseDistribution:
    if isinstance(dimension, Choices):
        return CategoricalDistribution(dimension.values)
    if isinstance(dimension.high, int):
        return IntDistribution(int(dimension.low), dimension.high, log=dimension.is_log)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.is_log)


def _suggest(trial: optuna.Trial, dimension: Dimension) -> Value:
    if isinstance(dimension, Choices):
        return cast(Value, trial.suggest_categorical(dimension.key, dimension.values))
    low, high, is_log = dimension.low, dimension.high, dimension.is_log
    if isinstance(high, int):
        return trial.suggest_int(dimension.key, int(low), high, log=is_log)
    number = trial.suggest_float(dimension.key, low, high, log=is_log)
    return min(max(float(f"{number:.3g}"), low), high)  # so that a recipe can be read and typed
