"""Measures how often a model fails in each bucket of errors. It needs no torch."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from swiss_training.synthesis.example import TASK_OF, ContrastSet, Example, Grain
from swiss_training.synthesis.generate import Made
from swisscli.core.events import Advance
from swisscli.core.records import Prediction
from swisscli.inference.predictor import Predictor

Test = Literal["label", "order", "unchanged"]

MOST_SIMILARITY_ERROR = 1.0
"""Largest allowed difference of a similarity, 0 to 5, from its label."""
MOST_PROBABILITY_CHANGE = 0.2
"""Largest allowed change of a probability if the answer must not change."""

_POLARITY_OF_CLASS = (0, 0, 1, 2, 2)


@dataclass(frozen=True)
class Case:
    """One test of a model.

    Attributes:
        bucket: The bucket's name.
        task: The task's name.
        test: `label`: the answer must equal the label. `order`: of two texts, the one with the
            higher label must have the higher score. `unchanged`: the answer to a variant must equal
            the answer to its original.
        texts: One or two texts, and the texts that they are compared with.
        expected: Expected answer.
        found: Answer of the model.
        is_failure: Whether the model fails.
    """

    bucket: str
    task: str
    test: Test
    texts: tuple[str, ...]
    expected: str
    found: str
    is_failure: bool


@dataclass(frozen=True)
class FailureCount:
    """The cases of one bucket, task and test.

    Attributes:
        bucket: The bucket's name.
        task: The task's name.
        test: As in `Case`.
        cases: Number of cases.
        failures: Number of cases in which the model fails.
    """

    bucket: str
    task: str
    test: Test
    cases: int
    failures: int

    @property
    def rate(self) -> float:
        """The fraction of cases that fail."""
        return self.failures / self.cases


class Answers:
    """A model's answers to all texts of some contrast sets.

    Args:
        predictor: The model.
        made: The contrast sets. Examples of tasks that the model does not have are skipped.
        advance: Called with the number of newly predicted texts.
    """

    def __init__(self, predictor: Predictor, made: Sequence[Made], advance: Advance) -> None:
        self.tasks = {task.name for task in predictor.config.tasks}
        texts: dict[str, dict[tuple[str, ...], None]] = {}
        for each in made:
            for example in each.examples:
                distinct = texts.setdefault(TASK_OF[example.grain].name, {})
                distinct.update(dict.fromkeys(filter(None, (example.original, example.texts))))
        self._of: dict[tuple[str, tuple[str, ...]], Prediction] = {}
        for task in filter(self.tasks.__contains__, texts):
            inputs = (each if len(each) > 1 else each[0] for each in texts[task])
            for key, prediction in zip(texts[task], predictor.predict(task, inputs), strict=True):
                self._of[task, key] = prediction
                advance(1)

    def answer(self, example: Example) -> Prediction:
        """Return the answer to an example."""
        return self._of[TASK_OF[example.grain].name, example.texts]

    def answer_to_original(self, example: Example) -> Prediction | None:
        """Return the answer to the original of an example; None if it is not a variant."""
        if example.original is None:
            return None
        return self._of[TASK_OF[example.grain].name, example.original]


def run_cases(answers: Answers, made: Iterable[Made]) -> Iterator[Case]:
    """Test a model's answers."""
    for bucket, examples in made:
        known = [each for each in examples if TASK_OF[each.grain].name in answers.tasks]
        for example in known:
            yield _label_case(bucket, example, answers.answer(example))
        yield from _order_cases(bucket, known, answers)
        yield from _unchanged_cases(bucket, known, answers)


def count_failures(tested: Iterable[Case]) -> list[FailureCount]:
    """Count cases and failures per bucket, task and test, in their order."""
    counts: dict[tuple[str, str, Test], list[int]] = {}
    for case in tested:
        count = counts.setdefault((case.bucket, case.task, case.test), [0, 0])
        count[0] += 1
        count[1] += case.is_failure
    return [FailureCount(*key, *count) for key, count in counts.items()]


def average_rates(tallies: Iterable[FailureCount]) -> dict[tuple[str, Test], float]:
    """Average the buckets' failure rates by task and test. Every bucket counts the same."""
    rates: dict[tuple[str, Test], list[float]] = {}
    for each in tallies:
        rates.setdefault((each.task, each.test), []).append(each.rate)
    return {key: sum(values) / len(values) for key, values in rates.items()}


def _label_case(bucket: str, example: Example, answer: Prediction) -> Case:
    found = _value(example.grain, answer)
    error = abs(found - example.label)
    most = MOST_SIMILARITY_ERROR if example.grain == "similarity" else 0.0
    return Case(
        bucket,
        answer.task,
        "label",
        example.texts,
        expected=_format_value(example.grain, example.label),
        found=_format_value(example.grain, found),
        is_failure=error > most,
    )


def _order_cases(bucket: str, examples: ContrastSet, answers: Answers) -> Iterator[Case]:
    for grain in ("similarity", "sentiment"):
        ranked = sorted((each for each in examples if each.grain == grain), key=_label)
        for low, high in pairwise(ranked):
            if low.label == high.label:
                continue
            scores = [_score(answers.answer(each)) for each in (low, high)]
            yield Case(
                bucket,
                TASK_OF[low.grain].name,
                "order",
                (*low.texts, *high.texts),
                expected="lower, higher",
                found=", ".join(f"{score:.2f}" for score in scores),
                is_failure=scores[0] >= scores[1],
            )


def _unchanged_cases(bucket: str, examples: ContrastSet, answers: Answers) -> Iterator[Case]:
    for variant in examples:
        old, new = answers.answer_to_original(variant), answers.answer(variant)
        if old is None:
            continue
        # Neighbours of the five sentiment classes are often equally probable.
        grain: Grain = "sentiment-coarse" if variant.grain == "sentiment" else variant.grain
        value, changed = _value(grain, old), _value(grain, new)
        before, after = (_probability(grain, value, each) for each in (old, new))
        yield Case(
            bucket,
            new.task,
            "unchanged",
            (*old.record.texts, *variant.texts),
            expected=f"{_format_value(grain, value)} {before:.2f}",
            found=f"{_format_value(grain, changed)} {after:.2f}",
            is_failure=changed != value or abs(after - before) > MOST_PROBABILITY_CHANGE,
        )


def _label(example: Example) -> float:
    return example.label


def _value(grain: Grain, answer: Prediction) -> float:
    """Return the answer on the scale of the grain's labels."""
    if grain == "similarity":
        assert answer.score is not None
        return answer.score
    assert answer.class_index is not None
    return float(
        _POLARITY_OF_CLASS[answer.class_index] if "coarse" in grain else answer.class_index
    )


def _score(answer: Prediction) -> float:
    """Return a number that grows with the label: the similarity or the expected class."""
    if answer.probabilities is None:
        assert answer.score is not None
        return answer.score
    return sum(step * share for step, share in enumerate(answer.probabilities))


def _probability(grain: Grain, value: float, answer: Prediction) -> float:
    """Return the probability of a class, or of all classes with a polarity."""
    assert answer.probabilities is not None
    classes = _POLARITY_OF_CLASS if "coarse" in grain else range(len(answer.probabilities))
    shares = zip(classes, answer.probabilities, strict=True)
    return sum(share for each, share in shares if each == value)


def _format_value(grain: Grain, value: float) -> str:
    if grain == "similarity":
        return f"{value:.2f}"
    labels = TASK_OF[grain].labels
    coarse = ("negative", "neutral", "positive")
    return (coarse if "coarse" in grain else labels)[int(value)]
