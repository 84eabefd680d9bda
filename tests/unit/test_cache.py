"""The cache: exact keys, bounded, the oldest go first."""

import numpy as np

from swisscli.inference.cache import LogitsCache


def row(value: float) -> np.ndarray:
    return np.array([value], dtype=np.float32)


def test_tasks_and_exact_texts_are_the_key() -> None:
    cache = LogitsCache()
    cache.put(["a"], ("x", "y"), row(1))
    assert cache.get(["a"], ("x", "y")) == row(1)
    for tasks, texts in ((["b"], ("x", "y")), (["a"], ("y", "x")), (["a"], ("X", "y"))):
        assert cache.get(tasks, texts) is None


def test_a_row_is_kept_without_its_batch() -> None:
    batch = np.arange(6, dtype=np.float32).reshape(3, 2)
    cache = LogitsCache()
    cache.put(["a"], ("x",), batch[1])
    batch[:] = 0
    kept = cache.get(["a"], ("x",))
    assert kept is not None
    assert kept.tolist() == [2, 3]
    assert kept.base is None


def test_those_not_used_for_longest_go_first() -> None:
    cache = LogitsCache(max_rows=3)
    for text in "abc":
        cache.put(["t"], (text,), row(0))
    cache.get(["t"], ("a",))
    cache.put(["t"], ("c",), row(1))
    cache.put(["t"], ("d",), row(0))
    assert [cache.get(["t"], (text,)) is not None for text in "abcd"] == [True, False, True, True]


def test_characters_are_bounded_too() -> None:
    cache = LogitsCache(max_rows=100, max_chars=1000)
    for index in range(1000):
        cache.put(["t"], (f"{index:010}",), row(index))
        cache.put(["t"], (f"{index:010}",), row(index))
    assert len(cache) == 100
    cache = LogitsCache(max_rows=1000, max_chars=1000)
    for index in range(1000):
        cache.put(["t"], (f"{index:010}",), row(index))
    assert len(cache) == 100
    cache.put(["t"], ("x" * 11,), row(0))
    assert cache.get(["t"], ("x" * 11,)) is None
