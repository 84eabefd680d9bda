"""Commands that need packages of an optional extra."""

from collections.abc import Iterator
from contextlib import contextmanager

from swisscli.core.errors import MissingExtraError

_OWN_PACKAGES = {"swisscli", "swiss_training", "swiss_export", "swiss_evaluation"}


@contextmanager
def requires_extra(extra: str) -> Iterator[None]:
    """Turn a package that is not installed into the pip line that installs it.

    Args:
        extra: The extra that brings the packages imported inside the block.

    Raises:
        MissingExtraError: if one of them is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in _OWN_PACKAGES:
            raise
        raise MissingExtraError(
            f"this command needs the package {package!r}, which is not installed",
            hint=f"pip install 'swissbert[{extra}]'",
        ) from error
