"""Caches the logits of texts, in bounded memory."""

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

import numpy as np
import numpy.typing as npt

Key = tuple[tuple[str, ...], tuple[str, ...]]
Row = npt.NDArray[np.float32]


class LogitsCache:
    """A least-recently-used cache of logits, by the names of the tasks and the exact texts.

    Args:
        max_rows: Largest number of rows.
        max_chars: Largest number of characters of all texts. A text with more than a hundredth of
            this is not cached, because it would evict many texts that are likelier to repeat.
    """

    def __init__(self, max_rows: int = 16_384, max_chars: int = 1 << 22) -> None:
        self._max_rows = max_rows
        self._max_chars = max_chars
        self._rows: OrderedDict[Key, Row] = OrderedDict()
        self._num_chars = 0
        self._lock = Lock()  # two streams of one predictor may be consumed at a time

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, tasks: Sequence[str], texts: tuple[str, ...]) -> Row | None:
        """Return the logits (K,) of the tasks one after the other; None if not cached."""
        key = (tuple(tasks), texts)
        with self._lock:
            row = self._rows.get(key)
            if row is not None:
                self._rows.move_to_end(key)
            return row

    def put(self, tasks: Sequence[str], texts: tuple[str, ...], logits_K: Row) -> None:
        """Keep a copy of a row and evict the least recently used rows."""
        size = sum(map(len, texts))
        if size * 100 > self._max_chars:
            return
        key = (tuple(tasks), texts)
        with self._lock:
            self._num_chars += 0 if key in self._rows else size
            self._rows[key] = logits_K.copy()
            self._rows.move_to_end(key)
            while len(self._rows) > self._max_rows or self._num_chars > self._max_chars:
                (_, oldest), _ = self._rows.popitem(last=False)
                self._num_chars -= sum(map(len, oldest))
