"""Pairs in which the same words stand in other roles."""

from swiss_training.synthesis.contrast import pairs
from swiss_training.synthesis.example import ContrastSet
from swiss_training.synthesis.registry import bucket
from swiss_training.synthesis.scene import Scene


@bucket
def roles_swapped(scene: Scene) -> ContrastSet:
    """Who did what to whom: exchanged roles differ, passive and cleft sentences do not."""
    return pairs(scene, "roles-swapped", changed=3.0)


@bucket
def converse_relations(scene: Scene) -> ContrastSet:
    """One event from both sides: lend and borrow, sell and buy, teacher and student."""
    return pairs(scene, "converse-relations", changed=3.0)


@bucket
def direction(scene: Scene) -> ContrastSet:
    """From A to B is not from B to A."""
    return pairs(scene, "direction", changed=3.0)


@bucket
def before_after(scene: Scene) -> ContrastSet:
    """The order of events, and the same order told the other way round."""
    return pairs(scene, "before-after", changed=3.0)


@bucket
def comparisons(scene: Scene) -> ContrastSet:
    """A is taller than B: as B is shorter than A, unlike B is taller than A."""
    return pairs(scene, "comparisons", changed=2.5)


@bucket
def symmetric_relations(scene: Scene) -> ContrastSet:
    """Mutual relations may be turned round, one-sided ones may not."""
    return pairs(scene, "symmetric-relations")
