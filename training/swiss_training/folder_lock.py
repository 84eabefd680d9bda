"""The lock of a folder, which only one process at a time may write to."""

import os
import sys
from pathlib import Path
from typing import IO


class LockedError(Exception):
    """Another process has locked the folder.

    Attributes:
        owner: The number of that process, as it wrote it.
    """

    def __init__(self, owner: str) -> None:
        super().__init__(f"locked by process {owner}")
        self.owner = owner


class FolderLock:
    """A file that is locked until `release` or the end of the process, in whatever way it ends.

    Args:
        path: The file; it names the process that has locked it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[bytes] | None = None

    @property
    def is_held(self) -> bool:
        """Whether this process has locked it, by this object."""
        return self._file is not None

    def acquire(self) -> None:
        """Lock it; again is as once.

        Raises:
            LockedError: if another process has.
            OSError: if the file cannot be written.
        """
        if self._file:
            return
        file = self.path.open("a+b")
        try:
            _take(file)
        except (BlockingIOError, PermissionError):
            file.seek(0)
            owner = file.read(32).decode(errors="replace").strip()
            file.close()
            raise LockedError(owner) from None
        except OSError:
            pass  # some network file systems have no locks
        file.truncate(0)
        file.write(f"{os.getpid()}\n".encode())
        file.flush()
        self._file = file

    def release(self) -> None:
        """Unlock it."""
        if self._file:
            self._file.close()
            self._file = None


if sys.platform == "win32":
    import msvcrt

    def _take(file: IO[bytes]) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(file: IO[bytes]) -> None:
        """Lock a file until it is closed or its process ends."""
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
