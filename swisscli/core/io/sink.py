"""Bytes on their way to a file or to standard output, and what is said when they cannot be kept."""

import errno
import io

from swisscli.core.errors import OutputError

FULL = {errno.ENOSPC, errno.EDQUOT}
FULL_HINT = "free some space there, or write to another place, then run it again"


def write_error(name: str, error: OSError) -> OutputError:
    """What to tell a user whose output cannot be written."""
    reason = error.strerror or str(error)
    hint = FULL_HINT if error.errno in FULL else "write to another place"
    return OutputError(f"{name}: cannot be written: {reason}", hint=hint)


class Sink(io.RawIOBase):
    """A raw stream whose first failure names it; whatever is written after that is dropped.

    So an error is told once, and not again when buffers are flushed at the end.

    Args:
        raw: Where the bytes go; closed with this.
        name: What it is called in errors.
    """

    def __init__(self, raw: io.RawIOBase, name: str) -> None:
        self._raw = raw
        self._name = name
        self._has_failed = False

    def write(self, data: object) -> int | None:
        """Write bytes.

        Raises:
            BrokenPipeError: if the reader has gone.
            OutputError: if they cannot be written.
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

    def writable(self) -> bool:
        """Yes."""
        return True

    def fileno(self) -> int:
        """The descriptor of the raw stream."""
        return self._raw.fileno()

    def isatty(self) -> bool:
        """Whether the raw stream is a terminal."""
        return self._raw.isatty()
