"""What a user without an optional extra is told."""

import pytest

from swisscli.commands.extras import requires_extra
from swisscli.core.errors import MissingExtraError


def test_a_missing_package_names_the_pip_line():
    with (
        pytest.raises(MissingExtraError, match="'no_such_package'") as caught,
        requires_extra("train"),
    ):
        import no_such_package.inner  # type: ignore[import-not-found]  # noqa: F401
    assert caught.value.exit_code == 5
    assert caught.value.hint == "pip install 'swissbert[train]'"


def test_a_missing_module_of_our_own_is_a_bug():
    with pytest.raises(ModuleNotFoundError), requires_extra("train"):
        import swisscli.no_such_module  # type: ignore[import-not-found]  # noqa: F401
