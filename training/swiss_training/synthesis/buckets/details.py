"""Pairs that differ in one detail: STS gives such pairs about 3 of 5."""

from swiss_training.synthesis.contrast import pairs
from swiss_training.synthesis.example import ContrastSet
from swiss_training.synthesis.registry import bucket
from swiss_training.synthesis.scene import Scene


@bucket
def antonyms(scene: Scene) -> ContrastSet:
    """Opposites: up and down, more and less, open and close."""
    return pairs(scene, "antonyms", changed=2.0)


@bucket
def numbers(scene: Scene) -> ContrastSet:
    """Another number, amount, share or hour; figures and words say the same."""
    return pairs(scene, "numbers", changed=3.0)


@bucket
def dates(scene: Scene) -> ContrastSet:
    """Another year, month or day of the week."""
    return pairs(scene, "dates", changed=3.0)


@bucket
def names(scene: Scene) -> ContrastSet:
    """Another person, company, team or language."""
    return pairs(scene, "names", changed=2.5)


@bucket
def places(scene: Scene) -> ContrastSet:
    """Another city, country or place."""
    return pairs(scene, "places", changed=2.5)
