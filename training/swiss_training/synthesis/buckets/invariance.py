"""Changes that must not change an answer."""

import re
from collections.abc import Callable

from swiss_training.synthesis import noise
from swiss_training.synthesis.contrast import opinions, pairs
from swiss_training.synthesis.example import ContrastSet, Example
from swiss_training.synthesis.registry import bucket
from swiss_training.synthesis.scene import Scene

_OPINIONS = ("plain-opinions", "negation", "changed-opinion", "expectations", "contradictions")
_PAIRS = ("synonyms", "numbers", "direction", "specificity", "question-focus")
_NAMED_PAIRS = ("converse-relations", "comparisons", "direction", "before-after")
_NAMES = re.compile(r"\{(person|surname|company|team|city|country|language)(\d*)")


def _with_variants(originals: ContrastSet, change: Callable[[str], str]) -> ContrastSet:
    """The originals and a variant of each; nothing if one of them stays as it is."""
    variants = [
        Example(each.grain, tuple(map(change, each.texts)), each.label, each.texts)
        for each in originals
    ]
    if any(variant.texts == variant.original for variant in variants):
        return []
    return [*originals, *variants]


def _opinions(scene: Scene) -> ContrastSet:
    return opinions(scene, scene.draw.choice(_OPINIONS))


@bucket
def typos(scene: Scene) -> ContrastSet:
    """A letter left out, doubled or exchanged."""
    return _with_variants(_opinions(scene), lambda text: noise.with_typo(scene.draw, text))


@bucket
def letter_case(scene: Scene) -> ContrastSet:
    """Small letters, capitals."""
    return _with_variants(_opinions(scene), lambda text: noise.in_other_case(scene.draw, text))


@bucket
def punctuation(scene: Scene) -> ContrastSet:
    """Marks spaced out, left out or turned into others."""
    return _with_variants(
        _opinions(scene), lambda text: noise.with_other_punctuation(scene.draw, text)
    )


@bucket
def contractions(scene: Scene) -> ContrastSet:
    """Don't and do not, it's and it is."""
    if scene.draw.chance(0.5):
        return _with_variants(_opinions(scene), noise.contract)
    return _with_variants(_opinions(scene), noise.expand)


@bucket
def handles_and_links(scene: Scene) -> ContrastSet:
    """@names, links and hashtags around a text."""

    def decorate(text: str) -> str:
        frame = scene.draw.choice(
            [
                "{handle} %s",
                "%s {link}",
                "%s {hashtag}",
                "%s {hashtag} {link}",
                "{handle} %s {link}",
            ]
        )
        return scene.fill(frame).replace("%s", text)

    return _with_variants(_opinions(scene), decorate)


@bucket
def names_and_places(scene: Scene) -> ContrastSet:
    """Opinions that mention another person or place."""
    template = scene.template("named-opinions").split("||")
    originals, renamed = (
        [
            Example("sentiment-coarse", (scene.fill(text),), label)
            for text, label in zip(texts, (2.0, 0.0), strict=True)
        ]
        for texts in (template, map(_rename, template))
    )
    return originals + [
        Example(new.grain, new.texts, new.label, old.texts)
        for old, new in zip(originals, renamed, strict=True)
    ]


def _rename(template: str) -> str:
    return _NAMES.sub(lambda found: f"{{{found[1]}{int(found[2] or 1) + 4}", template)


@bucket
def noisy_pairs(scene: Scene) -> ContrastSet:
    """Pairs with typos, other letter case or other punctuation in one or both texts."""
    originals = pairs(scene, scene.draw.choice(_PAIRS))
    change = scene.draw.choice([noise.with_typo, noise.in_other_case, noise.with_other_punctuation])
    return _with_variants(originals, lambda text: change(scene.draw, text))


@bucket
def renamed_pairs(scene: Scene) -> ContrastSet:
    """Pairs in which both texts speak of other persons, companies or places."""
    name = scene.draw.choice(_NAMED_PAIRS)
    alike, different = (side.split("==") for side in scene.template(name).split("!="))
    examples = []
    for pair, label in (((alike[0], alike[1]), 1.0), ((alike[0], different[0]), 0.0)):
        original = tuple(scene.fill(text) for text in pair)
        variant = tuple(scene.fill(_rename(text)) for text in pair)
        examples.append(Example("paraphrase", original, label))
        examples.append(Example("paraphrase", variant, label, original))
    if any(example.texts == example.original for example in examples):
        return []
    return examples
