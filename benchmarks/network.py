"""A model of a training step on several ranks: what the network adds to it.

All-reduce of n bytes over N ranks, by a ring (gloo's algorithm):

    t = 2 (N - 1) latency + 2 (N - 1) / N * n / bandwidth

Rows of embeddings are gathered from all ranks (sizes, indices, values):

    t = 3 (N - 1) latency + (N - 1) n / bandwidth

Source: Thakur, Rabenseifner and Gropp 2005, "Optimization of Collective Communication Operations in
MPICH", sections 3 and 4 (allgather and reduce-scatter by a ring); Patarasuk and Yuan 2009,
"Bandwidth optimal all-reduce algorithms for clusters of workstations".

The ranks exchange one message after the other. When each message is ready, and when the step waits
for it, is measured (`Timeline`). The step then takes as long as the last message that it waits for.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

SECONDS_PER_MESSAGE = 50e-6
"""Latency between two machines: TCP on Ethernet, software included. An assumption."""
SMALL_BYTES, LARGE_BYTES = 4096, 4 * 2**20
"""All-reduces up to the first size decide the latency of a link, those from the second its
bandwidth."""


@dataclass(frozen=True)
class Message:
    """A sum over all ranks that a step starts.

    Attributes:
        ready: Seconds from the begin of the step.
        num_bytes: Bytes of this rank.
        is_gathered: Whether rows are gathered; if not, the ranks reduce a dense tensor.
    """

    ready: float
    num_bytes: int
    is_gathered: bool = False


@dataclass(frozen=True)
class Wait:
    """A place where a step waits.

    Attributes:
        at: Seconds from the begin of the step.
        until: Number of the last message, from 0, that must have arrived.
    """

    at: float
    until: int


@dataclass(frozen=True)
class Timeline:
    """A step that exchanges nothing: when it would send and wait.

    Attributes:
        seconds: Seconds of the whole step.
        messages: What it would send, in order.
        waits: Where it would wait, in order.
    """

    seconds: float
    messages: tuple[Message, ...]
    waits: tuple[Wait, ...]

    def stretched(self, factor: float) -> "Timeline":
        """The same step on a processor that needs `factor` times as long."""
        return Timeline(
            self.seconds * factor,
            tuple(replace(message, ready=message.ready * factor) for message in self.messages),
            tuple(replace(wait, at=wait.at * factor) for wait in self.waits),
        )

    def reduced(self, num_bytes: int) -> "Timeline":
        """The same step where a dense tensor is reduced instead of gathering its rows."""
        messages = (
            replace(message, num_bytes=num_bytes, is_gathered=False)
            if message.is_gathered
            else message
            for message in self.messages
        )
        return replace(self, messages=tuple(messages))

    def bytes_sent(self, ranks: int) -> float:
        """Bytes that each rank sends in a step."""
        return sum(_bytes_sent(message, ranks) for message in self.messages)


@dataclass(frozen=True)
class Link:
    """What connects two ranks.

    Attributes:
        latency: Seconds of an empty message.
        bandwidth: Bytes per second.
    """

    latency: float
    bandwidth: float

    def seconds(self, message: Message, ranks: int) -> float:
        """Seconds of a message, see the head of this file."""
        rounds = 3 if message.is_gathered else 2
        return rounds * (ranks - 1) * self.latency + _bytes_sent(message, ranks) / self.bandwidth

    def shared(self, factor: float) -> "Link":
        """The same link where `factor` times as many ranks want the same cores."""
        return Link(self.latency * factor, self.bandwidth / factor)


def _bytes_sent(message: Message, ranks: int) -> float:
    share = ranks - 1 if message.is_gathered else 2 * (ranks - 1) / ranks
    return share * message.num_bytes


def fit(samples: Sequence[tuple[int, float]], ranks: int) -> Link:
    """Find latency and bandwidth from all-reduces.

    The latency is the median of the small ones, the bandwidth that of the large ones: the messages
    of a step are buckets of many megabytes. Those in between fit into the caches of a processor and
    are several times as fast.

    Args:
        samples: Bytes and seconds of each; some at most `SMALL_BYTES`, some at least `LARGE_BYTES`.
        ranks: Number of ranks.
    """
    rounds = 2 * (ranks - 1)
    small = [seconds for num_bytes, seconds in samples if num_bytes <= SMALL_BYTES]
    latency = statistics.median(small) / rounds
    bandwidths = [
        _bytes_sent(Message(0, num_bytes), ranks) / (seconds - rounds * latency)
        for num_bytes, seconds in samples
        if num_bytes >= LARGE_BYTES
    ]
    return Link(latency, statistics.median(bandwidths))


def overlapped(step: Timeline, seconds: Callable[[Message], float]) -> float:
    """Seconds of a step whose messages travel while it computes: each rank has cores enough."""
    late = free = 0.0
    arrivals: list[float] = []
    events: list[Message | Wait] = sorted([*step.messages, *step.waits], key=_time)
    for event in events:
        if isinstance(event, Message):
            free = max(event.ready + late, free) + seconds(event)
            arrivals.append(free)
        else:
            late += max(0.0, arrivals[event.until] - event.at - late)
    return step.seconds + late


def _time(event: Message | Wait) -> float:
    return event.ready if isinstance(event, Message) else event.at


def serial(step: Timeline, seconds: Callable[[Message], float]) -> float:
    """Seconds of a step whose messages need the cores that compute."""
    return step.seconds + sum(map(seconds, step.messages))
