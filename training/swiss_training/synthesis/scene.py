"""A scene: the words of one contrast set, and templates filled with them."""

import re

from swiss_training.synthesis.draw import Draw
from swiss_training.synthesis.source import Part, Word, templates, word_lists

TOPICS = ("film", "book", "gadget", "hotel", "restaurant", "airline", "app", "course")

_ALTERNATIVES = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"\{(?P<list>[a-z]+)(?P<number>\d*)(?:\.(?P<form>\w+))?\}")
_ARTICLE = re.compile(r"\b([Aa]) (?=\"?(?P<next>[\w-]+))")
_VOWEL = re.compile(r"(?!uni|use|usu|eu|one\b|once)[aeiou]|hour|honest|heir|8|11\b|18\b", re.I)
_START = re.compile(r"(^[\"(]?|[.?!] \"?)([a-z])")


class Scene:
    """Fills templates. A slot has the same word in all templates of a scene.

    `{person}` and `{person2}` are two different persons; `{act.past}` is a form of a word. Of
    `[good|great]` one alternative is drawn each time.

    Args:
        draw: Source of the random choices.
        part: Which templates and words may be used.
    """

    def __init__(self, draw: Draw, part: Part) -> None:
        self.draw = draw
        self.part = part
        self.topic = draw.choice(TOPICS)
        self._words: dict[tuple[str, str], Word] = {}

    def template(self, name: str) -> str:
        """Draw a line of `templates/NAME.txt`."""
        return self.draw.choice(templates(name, self.part))

    def word(self, name: str, number: str = "") -> Word:
        """Return the scene's word of a list, a different one for each number."""
        if (name, number) not in self._words:
            lists = word_lists(self.part)
            words = lists.get(f"{name}@{self.topic}") or lists[name]
            taken = [word for key, word in self._words.items() if key[0] == name]
            free = [word for word in words if word not in taken]
            self._words[name, number] = self.draw.choice(free)
        return self._words[name, number]

    def fill(self, template: str) -> str:
        """Return the template's text, with correct articles and capitals."""
        text, count = template, 1
        while count:
            text, count = _ALTERNATIVES.subn(
                lambda found: self.draw.choice(found[1].split("|")), text
            )
        text = _SLOT.sub(
            lambda found: self.word(found["list"], found["number"])[found["form"] or ""], text
        )
        return correct_grammar(text)


def correct_grammar(text: str) -> str:
    """Set single spaces, "an" before vowels, and a capital at the start of each sentence."""
    text = re.sub(r" +([,.?!])", r"\1", " ".join(text.split()))
    text = _ARTICLE.sub(lambda m: f"{m[1]}n " if _VOWEL.match(m["next"]) else f"{m[1]} ", text)
    return _START.sub(lambda found: found[1] + found[2].upper(), text)
