"""Pairs that small words tell apart: not, unless, all, still."""

from swiss_training.synthesis.contrast import pairs
from swiss_training.synthesis.example import ContrastSet
from swiss_training.synthesis.registry import bucket
from swiss_training.synthesis.scene import Scene


@bucket
def negated_pairs(scene: Scene) -> ContrastSet:
    """A negation that changes the meaning, and two that cancel out."""
    return pairs(scene, "negated-pairs", changed=2.0)


@bucket
def quantifiers(scene: Scene) -> ContrastSet:
    """All, some, none, at least, only and both."""
    return pairs(scene, "quantifiers", changed=2.5)


@bucket
def conditions(scene: Scene) -> ContrastSet:
    """If, unless, even if; may, must and did."""
    return pairs(scene, "conditions", changed=2.5)


@bucket
def tense(scene: Scene) -> ContrastSet:
    """Was, is and will be; still and no longer; tried and managed."""
    return pairs(scene, "tense", changed=2.5)
