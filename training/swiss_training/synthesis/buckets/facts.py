"""Texts that hold no opinion, beside texts that do."""

from swiss_training.synthesis.contrast import opinions
from swiss_training.synthesis.example import ContrastSet
from swiss_training.synthesis.registry import bucket
from swiss_training.synthesis.scene import Scene


@bucket
def no_opinion(scene: Scene) -> ContrastSet:
    """Facts, plans and requests, beside opinions of the same things."""
    return opinions(scene, "no-opinion")


@bucket
def company_news(scene: Scene) -> ContrastSet:
    """Good, bad and plain news of companies: more profit, more debt."""
    return opinions(scene, "company-news")
