"""Writes bytes to a file or to standard output, and makes the error if they cannot be written."""

import errno
import io
from collections.abc import Iterator
from contextlib import contextmanager

from swisscli.core.errors import OutputError

FULL = {errno.ENOSPC, errno.EDQUOT}
FULL_HINT = "free some space there, or write to another place, then run it again"


def write_error(name: str, error: OSError) -> OutputError:
    """Return the error for an output that cannot be written."""
    reason = error.strerror or str(error)
    hint = FULL_HINT if error.errno in FULL else "write to another place"
    return OutputError(f"{name}: cannot be written: {reason}", hint=hint)


@contextmanager
def report_write_errors(name: str) -> Iterator[None]:
    """Turn an `OSError` of the block into an error with the file and what to do.

    Args:
        name: What is written, for an error that names no file.

    Raises:
        OutputError: if the block raises an `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise write_error(str(error.filename or name), error) from None


class RawWriter(io.RawIOBase):
    """A raw stream that writes to another.

    Args:
        raw: Stream to write to.
    """

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw

    def writable(self) -> bool:
        """Return True: the stream can be written to."""
        return True

    def fileno(self) -> int:
        """Return the file descriptor of the raw stream."""
        return self._raw.fileno()

    def isatty(self) -> bool:
        """Whether the raw stream is a terminal."""
        return self._raw.isatty()


class Sink(RawWriter):
    """A raw stream that raises its first failure with its name, and drops later bytes.

    So an error is reported once, and not again when buffers are flushed at the end.

    Args:
        raw: Stream to write to; closed with this.
        name: Name of the stream in errors.
    """

    def __init__(self, raw: io.RawIOBase, name: str) -> None:
        super().__init__(raw)
        self._name = name
        self._has_failed = False

    def write(self, data: object) -> int | None:
        """Write bytes.

        Raises:
            BrokenPipeError: if the reader has closed the pipe.
            OutputError: if the bytes cannot be written.
        """
        if self._has_failed:
            return memoryview(data).nbytes  # type: ignore[arg-type]
        try:
            return self._raw.write(data)  # type: ignore[arg-type]
        except BrokenPipeError:
            self._has_failed = True
            raise
        except OSError as error:
            self._has_failed = True
            raise write_error(self._name, error) from None

    def close(self) -> None:
        """Flush and close."""
        super().close()
        self._raw.close()
