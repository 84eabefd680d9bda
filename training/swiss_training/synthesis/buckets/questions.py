"""Questions that share their topic and key words and ask for something else."""

from swiss_training.synthesis.contrast import pairs
from swiss_training.synthesis.example import ContrastSet
from swiss_training.synthesis.registry import bucket
from swiss_training.synthesis.scene import Scene


@bucket
def specificity(scene: Scene) -> ContrastSet:
    """A broader question against a narrower one: the paper's English vocabulary."""
    return pairs(scene, "specificity")


@bucket
def modifiers(scene: Scene) -> ContrastSet:
    """One word more that changes the question, against one that does not."""
    return pairs(scene, "modifiers")


@bucket
def question_focus(scene: Scene) -> ContrastSet:
    """The same key words under another question: the paper's Hillary Clinton."""
    return pairs(scene, "question-focus")
