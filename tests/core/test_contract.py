"""What training, export and prediction agree on."""

from importlib import import_module
from inspect import signature

import pytest

from swisscli.core.errors import ConfigurationError
from swisscli.core.methods import METHODS, find_method, method_options
from swisscli.core.tasks import TASKS, resolve_task, task_names


def test_every_task_is_complete_and_found_by_all_its_names() -> None:
    assert len(set(task_names())) == len(task_names())
    for name, task in TASKS.items():
        assert all(resolve_task(alias) is task for alias in (name, *task.aliases))
        assert len(task.columns.texts) == task.arity
        assert (task.score_range is None) == bool(task.labels)
        assert {split for split, _ in task.files} in ({"train", "dev", "test"}, set())
    with pytest.raises(ConfigurationError, match="unknown task 'qa'"):
        resolve_task("qa")


def test_every_method_is_where_its_target_says_and_takes_its_options() -> None:
    for spec in METHODS:
        module, _, attribute = spec.target.partition(":")
        parameters = signature(getattr(import_module(module), attribute)).parameters
        given = {"weighting": ["num_tasks"], "aggregation": ["num_tasks"], "regularizer": ["model"]}
        arguments = [option.argument for option in spec.options]
        assert list(parameters) == [*given.get(spec.kind, []), *arguments]
        assert find_method(spec.kind, spec.name) is spec


def test_no_two_methods_share_a_name_or_an_option() -> None:
    for names in (
        [(spec.kind, spec.name) for spec in METHODS],
        [option.key for option in method_options()],
    ):
        assert len(set(names)) == len(names)
