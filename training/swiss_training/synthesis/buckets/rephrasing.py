"""Pairs that say the same in other words or another order."""

from swiss_training.synthesis.contrast import pairs
from swiss_training.synthesis.example import ContrastSet
from swiss_training.synthesis.registry import bucket
from swiss_training.synthesis.scene import Scene


@bucket
def synonyms(scene: Scene) -> ContrastSet:
    """The same in other words, against the same frame with another content."""
    return pairs(scene, "synonyms")


@bucket
def reordered(scene: Scene) -> ContrastSet:
    """Clauses and conjuncts in another order, against the wrong ones exchanged."""
    return pairs(scene, "reordered")


@bucket
def changed_subject(scene: Scene) -> ContrastSet:
    """The same question from the other side: the paper's pledge of allegiance."""
    return pairs(scene, "changed-subject")


@bucket
def shared_structure(scene: Scene) -> ContrastSet:
    """One structure with another content: the paper's "you should do it"."""
    return pairs(scene, "shared-structure", changed=0.5, same=4.5)
