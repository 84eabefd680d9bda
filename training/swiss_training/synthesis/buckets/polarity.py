"""Sentiment that a negation or an answer decides."""

from swiss_training.synthesis.contrast import opinions
from swiss_training.synthesis.example import ContrastSet
from swiss_training.synthesis.registry import bucket
from swiss_training.synthesis.scene import Scene


@bucket
def plain_opinions(scene: Scene) -> ContrastSet:
    """Plain praise and blame of films, hotels, phones, flights, apps and courses."""
    return opinions(scene, "plain-opinions")


@bucket
def negation(scene: Scene) -> ContrastSet:
    """A negation turns the word that it governs."""
    return opinions(scene, "negation")


@bucket
def distant_negation(scene: Scene) -> ContrastSet:
    """Many words between a negation and what it negates."""
    return opinions(scene, "distant-negation")


@bucket
def double_negation(scene: Scene) -> ContrastSet:
    """Two negations that cancel out."""
    return opinions(scene, "double-negation")


@bucket
def answered_questions(scene: Scene) -> ContrastSet:
    """A question that the writer answers with yes or no."""
    return opinions(scene, "answered-questions")


@bucket
def unreal_praise(scene: Scene) -> ContrastSet:
    """Good words for what did not happen: wishes, hopes, conditions."""
    return opinions(scene, "unreal-praise")
