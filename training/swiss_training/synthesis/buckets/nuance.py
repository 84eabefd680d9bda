"""Sentiment of several aspects, degrees and layers."""

from swiss_training.synthesis.contrast import opinions
from swiss_training.synthesis.example import ContrastSet, Example
from swiss_training.synthesis.registry import bucket
from swiss_training.synthesis.scene import Scene


@bucket
def contradictions(scene: Scene) -> ContrastSet:
    """Two opposed judgements of which one wins: the paper's glorious failure."""
    return opinions(scene, "contradictions")


@bucket
def irony(scene: Scene) -> ContrastSet:
    """Words of praise that are meant, and the same that are not."""
    return opinions(scene, "irony")


@bucket
def aspects(scene: Scene) -> ContrastSet:
    """Praise of some aspects, blame of others: the paper's "so little movie"."""
    return opinions(scene, "aspects")


@bucket
def implied_opinions(scene: Scene) -> ContrastSet:
    """What the writer did says what the writer thinks."""
    return opinions(scene, "implied-opinions")


@bucket
def intensity(scene: Scene) -> ContrastSet:
    """One scale of five steps: the answers must be in their order."""
    template = scene.template("intensity")
    grade = scene.word("grade")
    return [
        Example("sentiment", (scene.fill(template.replace("{c}", grade[f"c{step}"])),), step)
        for step in range(5)
    ]


@bucket
def degree(scene: Scene) -> ContrastSet:
    """Intensifiers and reducers around one judgement."""
    texts = scene.template("degree").split("||")
    return [
        Example("sentiment", (scene.fill(text),), step)
        for text, step in zip(texts, (4, 3, 1, 0), strict=True)
    ]
