"""Buckets that rewrite labelled rows of real files."""

import re

from swiss_training.synthesis import noise
from swiss_training.synthesis.example import ContrastSet, Example
from swiss_training.synthesis.registry import rewriting
from swiss_training.synthesis.scene import Scene
from swiss_training.synthesis.source import word_lists

_NAME = r"(?!I\b)[A-Z]\w*(?:[ .-][A-Z0-9]\w*)*(?![\w+#-])"
# "did A attack B", "from A to B", "is A richer than B": the two names have roles of their own.
_ROLES = re.compile(
    rf"(.*\b(?:did|does|will|would|could|should|can|if|when|that) )({_NAME})"
    rf"( [a-z]+ (?:(?:to|from|into|against|by|over|after|before|the) )*)({_NAME})(.*)"
    r"|(.*\b(?:from|convert|translate|move|switch|transfer|travel|go|get) (?:[a-z]+ ){0,3})"
    rf"({_NAME})( (?:to|into) )({_NAME})(.*)"
    rf"|((?:Why|How) (?:is|are|was|were) )({_NAME})( (?:[a-z]+ )+than )({_NAME})(.*)"
)
_MAY_BE_MUTUAL = re.compile(
    r" (?:and|or|with|like|as|become|becomes|became|marry|meet|fight|equal|resemble|compare"
    r"|play|sign) |\b(?:that|if|when) [A-Z][\w ]* is "
)
_MUTUAL = re.compile(rf"(.*\b(?:between|both) )({_NAME})( and )({_NAME})(.*)")
_NUMBER = re.compile(r"(?<![\w.,$-])\d{1,4}(?![\w.,%-]*\d)")
_KINDS = ("city", "country", "company", "language")


def _exchange(pattern: re.Pattern[str], text: str) -> str | None:
    """The text with the names in groups 2 and 4 exchanged; None if it has no such two names."""
    found = pattern.fullmatch(text)
    if found is None:
        return None
    before, first, between, second, after = (part for part in found.groups() if part is not None)
    return None if first == second else f"{before}{second}{between}{first}{after}"


@rewriting("sentiment")
def real_noise(scene: Scene, row: Example) -> ContrastSet:
    """Real texts with typos, other case, @names, links and hashtags; the label stays."""
    text = row.texts[0]
    kind = scene.draw.index(4)
    if kind == 0:
        text = noise.with_typo(scene.draw, noise.with_typo(scene.draw, text))
    elif kind == 1:
        text = noise.in_other_case(scene.draw, text)
    elif kind == 2:
        text = scene.fill("{handle} %s [{link}|{hashtag}|]").replace("%s", text)
    else:
        text = noise.contract(text)
    return [] if text == row.texts[0] else [Example(row.grain, (text,), row.label, row.texts)]


@rewriting("paraphrase")
def real_swaps(scene: Scene, row: Example) -> ContrastSet:
    """Real duplicates, and the same with two names exchanged that have different roles."""
    swapped = _exchange(_ROLES, row.texts[0])
    if row.label == 0 or swapped is None or _MAY_BE_MUTUAL.search(row.texts[0]):
        return []
    return [row, Example("paraphrase", (swapped, row.texts[1]), 0.0)]


@rewriting("paraphrase")
def real_mutual_swaps(scene: Scene, row: Example) -> ContrastSet:
    """Real pairs with two names exchanged that stand on one level; the label stays."""
    swapped = _exchange(_MUTUAL, row.texts[0])
    return [] if swapped is None else [Example(row.grain, (swapped, row.texts[1]), row.label)]


@rewriting("paraphrase")
def real_numbers(scene: Scene, row: Example) -> ContrastSet:
    """Real duplicates that share a number, and the same with another number in one text."""
    numbers = [_NUMBER.findall(text) for text in row.texts]
    if row.label == 0 or numbers[0] != numbers[1] or len(numbers[0]) != 1:
        return []
    old = int(numbers[0][0])
    shift = 1 + scene.draw.index(9)
    new = old + shift if old < 100 or scene.draw.chance(0.5) else old - shift
    changed = _NUMBER.sub(str(new), row.texts[0])
    return [row, Example("paraphrase", (changed, row.texts[1]), 0.0)]


@rewriting("paraphrase")
def real_names(scene: Scene, row: Example) -> ContrastSet:
    """Real duplicates that share a name, and the same with another name in one text."""
    if row.label == 0:
        return []
    for kind in _KINDS:
        for word in word_lists(scene.part)[kind]:
            name = re.compile(rf"\b{word['']}\b")
            if all(name.search(text) for text in row.texts):
                other = scene.draw.choice(word_lists(scene.part)[kind])[""]
                changed = name.sub(other, row.texts[0])
                if changed == row.texts[0]:
                    return []
                return [row, Example("paraphrase", (changed, row.texts[1]), 0.0)]
    return []


@rewriting("paraphrase")
def real_noisy_pairs(scene: Scene, row: Example) -> ContrastSet:
    """Real pairs with typos or other letter case in one text; the label stays."""
    change = scene.draw.choice([noise.with_typo, noise.in_other_case])
    changed = change(scene.draw, row.texts[0])
    if changed == row.texts[0]:
        return []
    return [Example(row.grain, (changed, row.texts[1]), row.label, row.texts)]
