"""Makes text safe to show and to encode, and finds texts without visible characters."""

import re

# C0, DEL, C1, line separators, direction overrides and lone surrogates.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
# White space, control characters, and what is drawn as nothing: zero-width characters, fillers,
# joiners, variation selectors, tags.
_BLANK = re.compile(
    r"[\s\x00-\x1f\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    r"\u2028-\u202f\u205f-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    r"\U0001d173-\U0001d17a\U000e0000-\U000e0fff]*+\Z"
)
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def escape_control(text: str) -> str:
    r"""Escape control characters and direction overrides, such as `\u001b`."""
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def replace_surrogates(text: str) -> str:
    """Replace lone surrogates, which JSON and arguments can hold but UTF-8 cannot, by U+FFFD."""
    return _LONE_SURROGATE.sub("\ufffd", text)


def is_blank(text: str) -> bool:
    """Whether a text has no visible character."""
    return not "!" <= text[:1] <= "~" and _BLANK.match(text) is not None
