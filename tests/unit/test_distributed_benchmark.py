"""The benchmark of several ranks in its smallest form, and its model of a network."""

import json
from pathlib import Path

import pytest

from benchmarks import distributed, network
from benchmarks.distributed_report import state_bytes
from benchmarks.network import Link, Message, Timeline, Wait

LINK = Link(latency=1e-3, bandwidth=1e6)
DENSE, ROWS = Message(0.0, 1_000_000), Message(0.0, 1_000_000, is_gathered=True)


def seconds(message: Message) -> float:
    return LINK.seconds(message, 2)


def test_a_ring_sends_twice_what_a_rank_has_and_gathered_rows_grow_with_the_ranks() -> None:
    assert LINK.seconds(DENSE, 2) == pytest.approx(2 * 1e-3 + 1)
    assert LINK.seconds(DENSE, 4) == pytest.approx(6 * 1e-3 + 1.5)
    assert LINK.seconds(ROWS, 2) == pytest.approx(3 * 1e-3 + 1)
    assert LINK.seconds(ROWS, 4) == pytest.approx(9 * 1e-3 + 3)
    assert LINK.shared(2).seconds(DENSE, 4) == pytest.approx(2 * LINK.seconds(DENSE, 4))


@pytest.mark.parametrize("ranks", [2, 4])
def test_the_fit_finds_the_link(ranks: int) -> None:
    link = Link(latency=1e-4, bandwidth=1e9)
    sizes = (16, 64, 1024, 10**7, 10**8)
    found = network.fit([(size, link.seconds(Message(0, size), ranks)) for size in sizes], ranks)
    assert found.latency == pytest.approx(link.latency, rel=0.01)
    assert found.bandwidth == pytest.approx(link.bandwidth, rel=0.01)


def test_a_message_that_arrives_before_it_is_needed_costs_nothing() -> None:
    one = seconds(DENSE)
    early = Timeline(5.0, (DENSE,), (Wait(4.0, 0),))
    assert network.overlapped(early, seconds) == 5.0
    assert network.serial(early, seconds) == pytest.approx(5 + one)
    late = Timeline(5.0, (Message(3.5, 1_000_000),), (Wait(4.0, 0),))
    assert network.overlapped(late, seconds) == pytest.approx(5 + one - 0.5)


def test_messages_travel_one_after_the_other() -> None:
    step = Timeline(2.0, (Message(0.0, 10**6), Message(0.5, 10**6)), (Wait(1.0, 1),))
    assert network.overlapped(step, seconds) == pytest.approx(1 + 2 * seconds(DENSE))
    # What one wait has delayed, the next one does not pay again.
    twice = Timeline(3.0, step.messages, (Wait(1.0, 0), Wait(1.0, 1), Wait(2.0, 1)))
    assert network.overlapped(twice, seconds) == pytest.approx(2 + 2 * seconds(DENSE))


def test_a_faster_processor_has_less_time_for_the_same_messages() -> None:
    step = Timeline(4.0, (Message(2.0, 10**6),), (Wait(4.0, 0),)).stretched(0.5)
    assert step == Timeline(2.0, (Message(1.0, 10**6),), (Wait(2.0, 0),))
    assert Timeline(1.0, (ROWS,), ()).reduced(8).messages == (Message(0.0, 8),)
    assert Timeline(1.0, (DENSE, ROWS), ()).bytes_sent(4) == pytest.approx(4.5e6)


def test_state_is_sixteen_bytes_a_parameter_and_four_per_task_of_surgery() -> None:
    assert state_bytes(22_700_000, 0) == pytest.approx(0.36e9, rel=0.01)
    assert state_bytes(109_500_000, 3) == pytest.approx(3.1e9, rel=0.02)


def test_measures_checks_and_predicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "SUM_BYTES", (64, 4096, 2**20, 2**22))
    smallest = ("--sizes", "bert-tiny", "--tasks", "2", "--ranks", "1", "2", "--rounds", "1")
    arguments = [*smallest, "--batch", "2", "--output", str(tmp_path)]
    distributed.main(arguments)
    results = json.loads((tmp_path / "distributed.json").read_text())
    assert [entry["ranks"] for entry in results["sums"]] == [2] * 4
    one, one_surgery, two, two_surgery = results["steps"]
    assert one["rounds"][0].keys() == one_surgery["rounds"][0].keys() == {"no exchange"}
    assert two["rounds"][0].keys() == {"no exchange", "after the backward pass", "as trained"}
    plain, surgery = two["timeline"]["messages"], two_surgery["timeline"]["messages"]
    dense = [sum(m["num_bytes"] for m in part if not m["is_gathered"]) for part in (plain, surgery)]
    # The plain sum gathers the rows of the embeddings; surgery reduces everything, task by task.
    assert [m["is_gathered"] for m in plain].count(True) == 1
    parameters, embeddings = two["parameters"], two["embeddings"]
    # Mean pooling leaves the pooler without gradients.
    assert dense[0] == pytest.approx(4 * (parameters - embeddings), rel=0.05)
    assert dense[1] == pytest.approx(2 * 4 * parameters, rel=0.05)
    assert not any(message["is_gathered"] for message in surgery)
    assert one["timeline"]["messages"] == []
    for entry in results["memory"]:
        assert 0 < entry["before"] < min(entry["peaks"])
        assert len(entry["peaks"]) == entry["ranks"] == 2
    page = (tmp_path / "DISTRIBUTED.md").read_text()
    assert "| bert-tiny | pcgrad | 2 | 2 |" in page
    assert "processor: the median error is" in page
    assert "| bert-tiny | none | 2 | 100 |" in page
    monkeypatch.setattr(distributed, "run", None)  # nothing is measured again
    distributed.main(arguments)
    assert (tmp_path / "DISTRIBUTED.md").read_text() == page
