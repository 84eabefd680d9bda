"""Sentiment that depends on whose opinion it is, and when."""

from swiss_training.synthesis.contrast import opinions
from swiss_training.synthesis.example import ContrastSet
from swiss_training.synthesis.registry import bucket
from swiss_training.synthesis.scene import Scene


@bucket
def changed_opinion(scene: Scene) -> ContrastSet:
    """What the writer used to think and thinks now."""
    return opinions(scene, "changed-opinion")


@bucket
def whose_opinion(scene: Scene) -> ContrastSet:
    """Others say one thing, the writer another."""
    return opinions(scene, "whose-opinion")


@bucket
def expectations(scene: Scene) -> ContrastSet:
    """What was expected and what came."""
    return opinions(scene, "expectations")


@bucket
def compared_opinions(scene: Scene) -> ContrastSet:
    """Which of two things is the better one."""
    return opinions(scene, "compared-opinions")
