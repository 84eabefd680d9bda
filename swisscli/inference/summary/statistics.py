"""Counts, means and extremes of a stream of predictions, in memory that does not grow with it."""

import heapq
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from swisscli.core.records import Prediction
from swisscli.core.tasks import TaskSpec
from swisscli.inference.summary.grouping import Grouping

OTHER = "(other)"
_MAX_GROUPS = 1000
_MAX_CHARS = 500
_NUM_BINS = 20
_Z95 = 1.959964  # the standard normal's 97.5 % quantile


@dataclass(frozen=True)
class Scale:
    """The number that is averaged, one for each answer.

    Attributes:
        name: Description of the number.
        low: Its smallest value.
        high: Its largest value.
        lowest: Description of a text with a low value.
        highest: Description of a text with a high value.
    """

    name: str
    low: float
    high: float
    lowest: str
    highest: str

    @classmethod
    def of(cls, task: TaskSpec) -> "Scale":
        """Return the scale of a task.

        Classes that fold are in an order: their number is the expected class, from -1 for the
        first to 1 for the last. For other tasks it is the score.
        """
        if task.folds:
            return cls("sentiment from -1 to 1", -1, 1, "most negative", "most positive")
        if task.score_range:
            low, high = task.score_range
            return cls(f"score from {low:g} to {high:g}", low, high, "least alike", "most alike")
        if task.kind == "binary":
            last = task.labels[-1]
            return cls(f"probability of {last}", 0, 1, f"least {last}", f"most {last}")
        return cls("probability of the label", 0, 1, "least certain", "most certain")

    def value(self, prediction: Prediction) -> float:
        """Return the number of an answer."""
        assert prediction.score is not None
        if self.low < 0 and prediction.probabilities:
            last = len(prediction.probabilities) - 1
            expected = sum(index * p for index, p in enumerate(prediction.probabilities))
            return 2 * expected / last - 1
        return prediction.score


@dataclass
class Moments:
    """Count, mean and spread of numbers, by Welford's recurrence."""

    count: int = 0
    mean: float = 0.0
    _squares: float = 0.0

    def add(self, value: float) -> None:
        """Add a number."""
        self.count += 1
        delta = value - self.mean
        self.mean += delta / self.count
        self._squares += delta * (value - self.mean)

    def interval(self) -> tuple[float, float] | None:
        """Return the 95 % confidence interval of the mean, by the normal distribution."""
        if self.count < 2:
            return None
        half = _Z95 * math.sqrt(self._squares / (self.count - 1) / self.count)
        return self.mean - half, self.mean + half


@dataclass
class Group:
    """Counts of a group of records.

    Attributes:
        counts: `records`, `answered`, `skipped`, `truncated`, `out_of_domain`, `failed`.
        labels: Number of records with each label.
        moments: Moments of the answers' numbers.
    """

    counts: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    moments: Moments = field(default_factory=Moments)

    def add(self, prediction: Prediction, value: float | None) -> None:
        """Count a record; a record without an answer has no value."""
        self.counts["records"] += 1
        self.counts["answered"] += value is not None
        self.counts["skipped"] += prediction.skipped is not None
        self.counts["truncated"] += prediction.truncated
        self.counts["out_of_domain"] += prediction.out_of_domain
        self.counts["failed"] += prediction.error is not None
        if value is not None:
            self.moments.add(value)
            if prediction.label is not None:
                self.labels[prediction.label] += 1

    def as_json(self, labels: Sequence[str]) -> dict[str, Any]:
        """Return counts, shares, mean and interval."""
        answered = self.counts["answered"]
        interval = self.moments.interval()
        return {
            **{
                name: self.counts[name]
                for name in (
                    *("records", "answered", "skipped", "truncated", "out_of_domain", "failed"),
                )
            },
            "labels": [
                {
                    "label": label,
                    "count": self.labels[label],
                    "share": round(self.labels[label] / answered, 6) if answered else 0.0,
                }
                for label in labels
            ],
            "mean": round(self.moments.mean, 6) if answered else None,
            "interval": interval and [round(bound, 6) for bound in interval],
        }


class _Extremes:
    """The few records with the largest keys, each text once; long texts are shortened."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._heap: list[tuple[float, int, dict[str, Any]]] = []

    def add(self, key: float, number: int, prediction: Prediction, value: float) -> None:
        if len(self._heap) >= self._size and key <= self._heap[0][0]:
            return
        texts = [text[:_MAX_CHARS] for text in prediction.record.texts]
        if self._size == 0 or any(item["texts"] == texts for _, _, item in self._heap):
            return
        item = {
            "line": prediction.record.line,
            "id": prediction.record.id,
            "label": prediction.label,
            "value": round(value, 6),
            "texts": texts,
        }
        # Of two that are equal the earlier stays; numbers are distinct, so items are not compared.
        heapq.heappush(self._heap, (key, -number, item))
        if len(self._heap) > self._size:
            heapq.heappop(self._heap)

    def as_json(self) -> list[dict[str, Any]]:
        ordered = sorted(self._heap, key=lambda entry: entry[:2], reverse=True)
        return [item for _, _, item in ordered]


class Summary:
    """A summary of a stream of predictions.

    Args:
        task: The task, with the labels that its answers have.
        groupings: The groupings, each of all records.
        num_extremes: Number of the lowest and of the highest records to keep.
    """

    def __init__(self, task: TaskSpec, groupings: Sequence[Grouping], num_extremes: int) -> None:
        self.task = task
        self.scale = Scale.of(task)
        self._all = Group()
        self._groups: list[tuple[Grouping, dict[str, Group]]] = [(each, {}) for each in groupings]
        self._bins = [0] * _NUM_BINS
        self._lowest = _Extremes(num_extremes)
        self._highest = _Extremes(num_extremes)

    def add(self, predictions: Sequence[Prediction]) -> None:
        """Add predictions."""
        for prediction in predictions:
            value = None if prediction.score is None else self.scale.value(prediction)
            self._all.add(prediction, value)
            for grouping, groups in self._groups:
                _group(groups, grouping.value(prediction.record)).add(prediction, value)
            if value is not None:
                number = self._all.counts["records"]
                self._bins[self._bin(value)] += 1
                self._lowest.add(-value, number, prediction, value)
                self._highest.add(value, number, prediction, value)

    def _bin(self, value: float) -> int:
        share = (value - self.scale.low) / (self.scale.high - self.scale.low)
        return min(_NUM_BINS - 1, max(0, int(share * _NUM_BINS)))

    def as_json(self) -> dict[str, Any]:
        """Return the summary as a JSON object."""
        scale, labels = self.scale, self.task.labels
        width = (scale.high - scale.low) / _NUM_BINS
        return {
            "task": self.task.name,
            "scale": scale.name,
            **self._all.as_json(labels),
            "histogram": [
                {
                    "from": round(scale.low + index * width, 6),
                    "to": round(scale.low + (index + 1) * width, 6),
                    "count": count,
                }
                for index, count in enumerate(self._bins)
            ],
            "lowest": self._lowest.as_json(),
            "highest": self._highest.as_json(),
            "by": [
                {
                    "column": grouping.column,
                    "period": grouping.period,
                    "groups": [
                        {"group": name, **group.as_json(labels)}
                        for name, group in _sort_groups(groups, by_time=grouping.period is not None)
                    ],
                }
                for grouping, groups in self._groups
            ],
        }


def _group(groups: dict[str, Group], name: str) -> Group:
    """Return the group of a name. Beyond the maximum number of groups, new names share one."""
    if name not in groups and len(groups) >= _MAX_GROUPS:
        name = OTHER
    return groups.setdefault(name, Group())


def _sort_groups(groups: dict[str, Group], *, by_time: bool) -> list[tuple[str, Group]]:
    """Sort groups by time, otherwise by size; groups without a value come last."""

    def sort_key(entry: tuple[str, Group]) -> tuple[bool, int, str]:
        name, group = entry
        return name.startswith("("), 0 if by_time else -group.counts["records"], name

    return sorted(groups.items(), key=sort_key)
