"""Text made safe to show and to encode."""

import re

# C0, DEL, C1, line separators, direction overrides and lone surrogates.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def visible(text: str) -> str:
    r"""Spell control characters and direction overrides as `\u001b`, so that none acts."""
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def readable(text: str) -> str:
    """A text with U+FFFD for each lone surrogate, which JSON and arguments can hold, UTF-8 not."""
    return _LONE_SURROGATE.sub("\ufffd", text)
