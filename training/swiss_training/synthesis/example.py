"""One labelled example, and the files that examples are written to."""

from dataclasses import dataclass, field
from typing import Literal

from swisscli.core.tasks import TASKS, TaskSpec

Grain = Literal["sentiment", "sentiment-coarse", "paraphrase", "similarity"]
"""What a label says; each grain is a file of its own."""

TASK_OF: dict[Grain, TaskSpec] = {
    "sentiment": TASKS["sentiment"],
    "sentiment-coarse": TASKS["sentiment"],
    "paraphrase": TASKS["paraphrase"],
    "similarity": TASKS["similarity"],
}
TARGET_COLUMN: dict[Grain, str] = {
    "sentiment": "sentiment",
    "sentiment-coarse": "sentiment_0neg_1neu_2pos",
    "paraphrase": "is_duplicate",
    "similarity": "similarity",
}

NEGATIVE, NEUTRAL, POSITIVE = 0.0, 1.0, 2.0


@dataclass(frozen=True)
class Example:
    """One labelled example.

    Attributes:
        grain: What the label says.
        texts: One or two texts.
        label: `sentiment`: class 0 to 4; `sentiment-coarse`: 0 negative, 1 neutral, 2 positive;
            `paraphrase`: 0 or 1; `similarity`: 0 to 5.
        original: Texts of which these are a variant: the answer to both must be the same.
    """

    grain: Grain
    texts: tuple[str, ...]
    label: float
    original: tuple[str, ...] | None = field(default=None, compare=False)


ContrastSet = list[Example]
"""Examples that share their words and differ in their labels, so that no word gives them away.

Reference: Gardner et al. 2020 (arXiv:2004.02709).
"""
