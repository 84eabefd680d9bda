"""Batches: within the budget, nothing lost, few shapes on a GPU."""

import random

import pytest

from swisscli.inference.batching import Batching

LENGTHS = [random.Random(1).randint(3, 512) for _ in range(2000)]


@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
@pytest.mark.parametrize("sequences", [1, 2])
def test_every_item_once_and_within_the_budget(device: str, sequences: int) -> None:
    among = range(1, 2000, 2)
    batches = list(Batching.for_device(device, 512, 4000).batches(LENGTHS, sequences, among))
    assert sorted(index for batch in batches for index in batch.items) == list(among)
    for items, length in batches:
        assert length >= max(LENGTHS[index] for index in items)
        assert length * sequences * len(items) <= 4000


def test_a_cpu_pads_no_further_than_the_longest() -> None:
    for items, length in Batching.for_device("cpu", 512, None).batches(LENGTHS, 1, range(2000)):
        assert length == max(LENGTHS[index] for index in items)


def test_an_item_above_the_budget_goes_alone() -> None:
    batches = list(Batching(10).batches([12, 3, 3, 3, 4], 1, range(5)))
    assert [sorted(batch.items) for batch in batches] == [[0], [1, 4], [2, 3]]


@pytest.mark.parametrize("max_length", [512, 200, 16, 7])
def test_a_gpu_gets_few_lengths(max_length: int) -> None:
    lengths = [min(length, max_length) for length in LENGTHS]
    batching = Batching.for_device("cuda:1", max_length, None)
    used = {batch.length for batch in batching.batches(lengths, 1, range(2000))}
    assert used <= set(batching.buckets)
    assert len(batching.buckets) <= 11
    assert max(batching.buckets) == max_length


def test_a_gpu_pads_a_few_items_rather_than_run_again() -> None:
    batching = Batching.for_device("cuda:0", 512, 32768)
    few = list(batching.batches([100, 20, 10], 1, range(3)))
    assert few == [([0, 1, 2], 128)]
    many = list(batching.batches([100] * 100 + [20], 1, range(101)))
    assert [batch.length for batch in many] == [128, 24]


def test_nothing_to_do() -> None:
    assert list(Batching(10).batches([], 1, [])) == []
    assert list(Batching(10).batches([3], 1, [])) == []
