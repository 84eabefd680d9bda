"""The word lists and the templates: data files, each with a part for training and one held out."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Literal, get_args

Part = Literal["train", "heldout"]
"""`train` to learn from, `heldout` to measure with; they share no template and no word."""

PARTS: tuple[Part, ...] = get_args(Part)
_FOLDER = Path(__file__).parent
_SECTION = re.compile(r"\[(?P<name>[\w@]+)(: *(?P<forms>[\w/]+))?\]")

Word = Mapping[str, str]
"""A word or phrase: its forms by name. The form `""` is the first."""


def _lines(path: Path) -> Iterator[str]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            yield line.strip()


@cache
def word_lists(part: Part) -> Mapping[str, tuple[Word, ...]]:
    """Return the words of one part by the name of their list, such as `person` or `aspect@film`."""
    lists: dict[str, tuple[Word, ...]] = {}
    for path in sorted((_FOLDER / "words").glob("*.txt")):
        name, forms, is_wanted = "", [""], False
        for line in _lines(path):
            if section := _SECTION.fullmatch(line):
                name, forms = section["name"], (section["forms"] or "").split("/")
                assert name not in lists, f"{path}: the list {name} exists twice"
                lists[name] = ()
                continue
            for each in PARTS:
                if line.startswith(f"{each}:"):
                    line, is_wanted = line.removeprefix(f"{each}:"), each == part
            if is_wanted:
                entries = filter(None, map(str.strip, line.split(";")))
                lists[name] += tuple(_word(path, forms, entry) for entry in entries)
    return lists


def _word(path: Path, forms: list[str], entry: str) -> Word:
    values = entry.split("/") if len(forms) > 1 else [entry]
    assert len(values) == len(forms), f"{path}: {entry!r} does not have the forms {forms}"
    return {"": values[0], **dict(zip(forms, values, strict=True))}


@cache
def templates(name: str, part: Part) -> tuple[str, ...]:
    """Return the templates of one part, one per line of `templates/NAME.txt`."""
    lines: list[str] = []
    current = ""
    for line in _lines(_FOLDER / "templates" / f"{name}.txt"):
        if line.rstrip(":") in PARTS:
            current = line.rstrip(":")
        elif current == part:
            lines.append(line)
    return tuple(lines)
