"""Logits of texts that were met before, in bounded memory."""

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

import numpy as np
import numpy.typing as npt

Key = tuple[tuple[str, ...], tuple[str, ...]]
Row = npt.NDArray[np.float32]


class LogitsCache:
    """The rows of logits used last, by the names of the tasks and the exact texts.

    Args:
        max_rows: Most rows that it holds.
        max_chars: Most characters of texts that it holds. Texts with more than a hundredth of
            this are not kept: they would drive out many that are likelier to come again.
    """

    def __init__(self, max_rows: int = 16_384, max_chars: int = 1 << 22) -> None:
        self._max_rows = max_rows
        self._max_chars = max_chars
        self._rows: OrderedDict[Key, Row] = OrderedDict()
        self._num_chars = 0
        self._lock = Lock()  # two streams of one predictor may be drawn from at a time

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, tasks: Sequence[str], texts: tuple[str, ...]) -> Row | None:
        """The logits (K,) of the tasks one after the other; None if they are not known."""
        key = (tuple(tasks), texts)
        with self._lock:
            row = self._rows.get(key)
            if row is not None:
                self._rows.move_to_end(key)
            return row

    def put(self, tasks: Sequence[str], texts: tuple[str, ...], logits_K: Row) -> None:
        """Keep a copy of a row, in the place of those that were not used for the longest time."""
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
