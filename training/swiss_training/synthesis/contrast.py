"""Contrast sets from one line of a template file."""

from swiss_training.synthesis.example import (
    NEGATIVE,
    NEUTRAL,
    POSITIVE,
    ContrastSet,
    Example,
)
from swiss_training.synthesis.scene import Scene


def pairs(
    scene: Scene, name: str, *, changed: float | None = None, same: float = 5.0
) -> ContrastSet:
    """Make a paraphrase and a pair that is none, from a line `A == B != C`.

    Each side of `!=` may have several texts. Two of the left side are drawn for the first pair, and
    one of each side for the second.

    Args:
        scene: The words.
        name: Name of the file of templates.
        changed: Similarity of the second pair, 0 to 5; None makes no examples of similarity.
        same: Similarity of the first pair, 0 to 5.
    """
    alike, different = (side.split("==") for side in scene.template(name).split("!="))
    first, second = scene.draw.shuffle(alike)[:2]
    base = scene.draw.choice([first, second])
    texts = [
        _random_order(scene, scene.fill(first), scene.fill(second)),
        _random_order(scene, scene.fill(base), scene.fill(scene.draw.choice(different))),
    ]
    examples = [
        Example("paraphrase", pair, float(label)) for pair, label in zip(texts, (1, 0), strict=True)
    ]
    if changed is not None:
        scores = zip(texts, (same, changed), strict=True)
        examples += [Example("similarity", pair, score) for pair, score in scores]
    return examples


def _random_order(scene: Scene, first: str, second: str) -> tuple[str, str]:
    return (second, first) if scene.draw.chance(0.5) else (first, second)


def opinions(scene: Scene, name: str) -> ContrastSet:
    """Make a positive and a negative text from `positive || negative`; a third is neutral."""
    texts = scene.template(name).split("||")
    labels = (POSITIVE, NEGATIVE, NEUTRAL)[: len(texts)]
    return [
        Example("sentiment-coarse", (scene.fill(text),), label)
        for text, label in zip(texts, labels, strict=True)
    ]
