"""The errors that a user can meet: what went wrong, what to type next, and the exit code."""

from typing import ClassVar


class SwissError(Exception):
    """Base of every expected failure. `main.py` prints it without a traceback.

    Args:
        message: What went wrong and where (`file:line` when there is one).
        hint: What to do or type next.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigurationError(SwissError):
    """A wrong argument, option or configuration value."""

    exit_code = 2


class DataError(SwissError):
    """Input data that cannot be read."""

    exit_code = 3


class ModelError(SwissError):
    """A model or encoder that is missing, damaged or of an unknown format."""

    exit_code = 4


class MissingExtraError(SwissError):
    """A command needs packages of an optional extra that is not installed."""

    exit_code = 5


class DeviceError(SwissError):
    """The device asked for is not there."""

    exit_code = 6


class VerificationError(SwissError):
    """An exported graph does not compute what the trained model computes."""

    exit_code = 1
