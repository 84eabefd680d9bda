"""Changes of a text's surface that must not change an answer."""

import re

from swiss_training.synthesis.draw import Draw

_WORD = re.compile(r"(?<![@#/\w])[a-z]{5,}(?![\w/])")
_CONTRACTIONS = (
    ("do not", "don't"),
    ("does not", "doesn't"),
    ("did not", "didn't"),
    ("is not", "isn't"),
    ("are not", "aren't"),
    ("was not", "wasn't"),
    ("were not", "weren't"),
    ("would not", "wouldn't"),
    ("should not", "shouldn't"),
    ("could not", "couldn't"),
    ("cannot", "can't"),
    ("will not", "won't"),
    ("has not", "hasn't"),
    ("have not", "haven't"),
    ("had not", "hadn't"),
    ("need not", "needn't"),
    ("I am", "I'm"),
    ("I have", "I've"),
    ("I would", "I'd"),
    ("it is", "it's"),
    ("that is", "that's"),
    ("what is", "what's"),
    ("who is", "who's"),
    ("there is", "there's"),
    ("they are", "they're"),
    ("you are", "you're"),
)
# "what it is." and "I have a dog" do not contract.
_NOT_BEFORE = r"(?! *(?:[.,;:!?)]|$|an? |the |no |any |never |to ))"


def with_typo(draw: Draw, text: str) -> str:
    """Leave out, double or exchange with its neighbour one letter of one word.

    The first and the last letter stay. A text without a word of five letters is unchanged.
    """
    words = list(_WORD.finditer(text))
    if not words:
        return text
    word = draw.choice(words)
    at = word.start() + 1 + draw.index(len(word[0]) - 3)
    first, second = text[at], text[at + 1]
    changed = draw.choice([second, first * 2 + second, second + first])
    return text[:at] + changed + text[at + 2 :]


def in_other_case(draw: Draw, text: str) -> str:
    """Return the text in small letters or, one time in three, in capitals."""
    return text.upper() if draw.chance(1 / 3) else text.lower()


def with_other_punctuation(draw: Draw, text: str) -> str:
    """Space out the punctuation marks, change the last mark, or remove the commas."""
    return draw.choice(
        [
            re.sub(r"(?<=\w)([.,;:!?])(?= |$)", r" \1", text),
            text.rstrip(".!?"),
            text.rstrip(".!?") + "!",
            text.replace(", ", " "),
        ]
    )


def contract(text: str) -> str:
    """Write "do not" as "don't", and so on."""
    for long, short in _CONTRACTIONS:
        after = "" if short.endswith("n't") else _NOT_BEFORE
        pattern = re.compile(rf"\b{long}\b{after}", re.I)
        text = pattern.sub(lambda found, short=short: found[0][0] + short[1:], text)  # type: ignore[misc]
    return text


def expand(text: str) -> str:
    """Write "don't" as "do not", and so on; leave "it's" and "I'd", which are ambiguous."""
    for long, short in _CONTRACTIONS:
        if short.endswith("n't"):
            pattern = re.compile(rf"\b{short}\b(?! (?:I|you|we|they|it|he|she)\b)", re.I)
            text = pattern.sub(lambda found, long=long: found[0][0] + long[1:], text)  # type: ignore[misc]
    return text
