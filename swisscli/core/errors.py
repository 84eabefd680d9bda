"""The errors that a user can see: what went wrong, what to type next, and the exit code."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar


class SwissError(Exception):
    """Base of every expected failure. `main.py` prints it without a traceback.

    Args:
        message: What went wrong and where (`file:line` if known), in one line.
        hint: What to do next. Here and in the message, write a parameter in backticks as a Python
            caller passes it, `device=cpu`; the program shows it as a flag.
        details: Lines to show below the message.

    Attributes:
        message: The message with the details below it.
        summary: The first line of the message.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str | None = None, details: Sequence[str] = ()) -> None:
        self.summary = message
        self.details = tuple(details)
        self.message = "\n".join([message, *(f"  {line}" for line in details)])
        super().__init__(self.message)
        self.hint = hint
        self._listed: tuple[SwissError, ...] = ()

    @property
    def summaries(self) -> tuple[str, ...]:
        """The summaries of the errors that it combines, or its own."""
        return tuple(error.summary for error in self._listed) or (self.summary,)

    @classmethod
    def all_of(cls, errors: "Sequence[SwissError]") -> "SwissError":
        """Combine several errors into one, with the lowest of their exit codes."""
        if len(errors) == 1:
            return errors[0]
        # An error may itself list several.
        each = [one for error in errors for one in error._listed or (error,)]
        first = min(each, key=lambda error: error.exit_code)
        lines = []
        for error in each:
            lines.append(f"{error.summary} ({error.hint})" if error.hint else error.summary)
            lines += [f"  {line}" for line in error.details]
        combined = type(first)(f"{len(each)} problems:", details=lines)
        combined._listed = tuple(each)
        return combined


class ConfigurationError(SwissError):
    """A wrong argument, option or configuration value."""

    exit_code = 2


class DataError(SwissError):
    """Input data that cannot be read."""

    exit_code = 3


class OutputError(SwissError):
    """Results that cannot be written."""

    exit_code = 3


class ModelError(SwissError):
    """A model or encoder that is missing, damaged or of an unknown format."""

    exit_code = 4


class MissingExtraError(SwissError):
    """A command needs packages of an optional extra that is not installed."""

    exit_code = 5


class DeviceError(SwissError):
    """The device asked for is not available."""

    exit_code = 6


class DivergedError(SwissError):
    """Training that led to numbers which are not finite."""


class VerificationError(SwissError):
    """An exported graph does not compute the same as the trained model."""

    exit_code = 1


class Problems:
    """Collects errors, so that the user sees all of them before any long work."""

    def __init__(self) -> None:
        self._found: list[SwissError] = []

    @contextmanager
    def collect(self) -> Iterator[None]:
        """Keep an error that the block raises, and continue after the block."""
        try:
            yield
        except SwissError as error:
            self._found.append(error)

    def add(self, error: SwissError) -> None:
        """Keep an error."""
        self._found.append(error)

    def check(self) -> None:
        """Raise the errors that were kept.

        Raises:
            SwissError: if any error was kept; it lists all of them.
        """
        if self._found:
            raise SwissError.all_of(self._found)
