"""The program as a process: its standard streams, and the signals that end it."""

import io
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn, TextIO

from swisscli.core.io.sink import RawWriter, Sink

INTERRUPTED = 130
_ENDING_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
_received: list[int] = []


def run(program: Callable[[], int]) -> NoReturn:
    """Run the program and end the process with its status.

    A signal that ends it is raised as a KeyboardInterrupt first, so that no temporary file stays.
    Then the status is 130 for SIGINT; by any other signal the process dies. A signal that comes
    after that ends it at once.
    """
    _open_streams()
    status = INTERRUPTED
    try:
        try:
            sys.unraisablehook = _end_if_interrupted
            _set_handler(_interrupt)
            status = program()
        finally:
            _set_handler(_end)
    except KeyboardInterrupt:
        _set_handler(_end)
    if was_interrupted():
        status = INTERRUPTED
        if _received[0] != signal.SIGINT:
            _end(_received[0])
    sys.exit(status)


def was_interrupted() -> bool:
    """Whether a signal has asked the program to end."""
    return bool(_received)


def _set_handler(handler: Callable[[int, FrameType | None], None]) -> None:
    for name in _ENDING_SIGNALS:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # as by nohup
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    raise KeyboardInterrupt


def _end(number: int, frame: FrameType | None = None) -> None:
    """End the process at once."""
    if number != signal.SIGINT:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(INTERRUPTED)


def _end_if_interrupted(failure: Any) -> None:
    """End where Python would print an interrupt and forget it: in destructors and callbacks."""
    if failure.exc_type is KeyboardInterrupt and _received:
        _end(_received[-1])
    sys.__unraisablehook__(failure)


class _LossyStream(RawWriter):
    """Standard error, which never fails: what it cannot take is lost."""

    def write(self, data: Any) -> int | None:
        try:
            return self._raw.write(data)
        except OSError:
            return memoryview(data).nbytes


def _open_streams() -> None:
    """Make the standard streams safe to use, whatever the program was started with."""
    # A file that is opened later must not become a standard stream that is closed.
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    if os.environ.get("LOCAL_RANK", "0") != "0":  # torchrun's: the first of a machine speaks
        sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
        return
    if sys.stdout is not None:
        sys.stdout = _wrap_stream(sys.stdout, lambda raw: Sink(raw, "standard output"))
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    else:
        sys.stderr = _wrap_stream(sys.stderr, _LossyStream)


def _wrap_stream(stream: TextIO, wrap: Callable[[io.RawIOBase], io.RawIOBase]) -> TextIO:
    """A text stream like another, over its raw stream."""
    stream.flush()
    buffer: Any = stream.buffer
    return io.TextIOWrapper(
        io.BufferedWriter(wrap(getattr(buffer, "raw", buffer))),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=bool(stream.line_buffering),
    )
