"""Turns emoji into words, by a normalizer inside `tokenizer.json`. Needs no torch.

BERT has no emoji in its vocabulary: it reads an emoji, and any word next to it, as the unknown
token. The normalizer replaces common emoji by English words, for every user of `tokenizer.json`.
"""

import base64
import json
import struct
from typing import Any

WORDS: dict[str, str] = {
    "😀😃😄😁😊☺🙂😸😺": "smile",
    "😆😅😂🤣😹": "laughing",
    "😍🥰😻🤩": "love it",
    "😘😗😙😚💋": "kiss",
    "😉": "wink",
    "😋🤤": "delicious",
    "😎": "cool",
    "🤗": "hug",
    "😌🙏": "grateful",
    "🥳🎉🎊🎈": "celebrate",
    "😢😥😪🥲": "sad tear",
    "😭😿": "crying",
    "😞😔☹🙁😟😣😖😕": "sad",
    "😩😫": "weary",
    "😡😠🤬👿😤😾": "angry",
    "😱😨😰😧😦🙀": "scared",
    "😮😯😲🤯😳": "surprised",
    "😴💤🥱": "sleepy",
    "🤢🤮": "disgusting vomit",
    "🤒🤕😷🤧": "sick",
    "😒🙄😑": "annoyed",
    "😐😶": "neutral",
    "🤔🤨": "thinking",
    "😏": "smirk",
    "😬": "awkward",
    "🤷": "shrug",
    "🤦": "facepalm",
    "🤡": "clown",
    "💩": "crap",
    "💀☠": "dead",
    "👍": "thumbs up good",
    "👎": "thumbs down bad",
    "👏🙌": "applause",
    "👌💯": "perfect",
    "💪": "strong",
    "✌🤞🍀": "luck",
    "👋": "hello",
    "👊✊🤜🤛": "fist",
    "🖕": "insult",
    "👀": "look",
    "❤♥💕💖💗💓💞💘💝💛💚💙💜🖤🤍🤎🧡😽": "love",
    "💔": "heartbroken",
    "⭐🌟✨🏆🥇": "star",
    "🔥": "great",
    "🚀": "rocket",
    "💰💵💸🤑": "money",
    "📈": "up",
    "📉": "down",
    "⚠🚨🚩": "warning",
    "❌🚫⛔": "no",
    "✅✔☑": "yes",
    "❓❔": "?",
    "❗❕‼": "!",
    "☀🌞🌈": "sunny",
    "🌧⛈☔": "rain",
    "❄⛄": "snow",
    "🎂🍰🎁": "birthday",
    "🎄🎅": "christmas",
    "🍕🍔🍟🌮🍝🍣🍜🍗🥩🍖🍳🥗🍽": "food",
    "🍺🍻🍷🍸🥂🍾": "drink",
    "☕🍵": "coffee",
    "✈🛫🛬": "plane",
    "🎬🎥🍿": "movie",
    "🎵🎶🎸🎤": "music",
    "⚽🏀🏈⚾": "sport",
    "📱💻": "device",
    "🐶🐕🐱🐈": "pet",
    "👻🎃": "halloween",
    "😈": "devil",
    "😇": "angel",
}
"""Emoji that mean much the same, and the words that stand for them."""

_NOT_SHOWN = (0x200D, 0x2640, 0x2642, 0xFE0E, 0xFE0F, *range(0x1F3FB, 0x1F400))
"""Joiners, gender signs, variation selectors and skin tones, which change no meaning here."""
_OTHER = (*range(0x2600, 0x27C0), *range(0x1F300, 0x1FB00))
"""Code points that are kept, but separated from adjacent words."""


def spell_emoji(tokenizer_json: str) -> str:
    """Put the normalizer in front of those of a `tokenizer.json`; one that has it stays as it is.

    Args:
        tokenizer_json: The file's text.

    Returns:
        The text with the normalizer.
    """
    values: dict[str, Any] = json.loads(tokenizer_json)
    own = {"type": "Precompiled", "precompiled_charsmap": _charsmap()}
    before = values.get("normalizer")
    if before and before["type"] == "Sequence" and before["normalizers"][:1] == [own]:
        return tokenizer_json
    after = [before] if before else []
    values["normalizer"] = {"type": "Sequence", "normalizers": [own, *after]}
    return json.dumps(values, ensure_ascii=False)


def _charsmap() -> str:
    """The table in the form of the tokenizers library's `Precompiled`, in base 64.

    One pass over the text whatever the number of entries; a `Replace` each costs more than the rest
    of the tokenizer. The form is SentencePiece's: a trie's size in bytes, the trie, the strings.
    """
    table = {chr(code): f" {chr(code)} " for code in _OTHER}
    table |= {emoji: f" {words} " for all_, words in WORDS.items() for emoji in all_}
    table |= {chr(code): "" for code in _NOT_SHOWN}
    strings, values = bytearray(), {}
    for text in sorted(set(table.values())):
        values[text] = len(strings)
        strings += text.encode() + b"\0"
    trie = _double_array({key.encode(): values[text] for key, text in sorted(table.items())})
    units = struct.pack(f"<{len(trie)}I", *trie)
    return base64.b64encode(struct.pack("<I", len(units)) + units + strings).decode()


def _double_array(values: dict[bytes, int]) -> list[int]:
    """A trie as a double array of 32-bit units, as the Darts-clone library lays it out.

    A node's children lie at its base XOR their byte, its value at the base itself. Every node that
    has children gets 256 units of its own: larger than need be, and simple.
    """
    children: dict[bytes, list[bytes]] = {}
    for key in values:
        for length in range(len(key)):
            nodes = children.setdefault(key[:length], [])
            if (child := key[: length + 1]) not in nodes:
                nodes.append(child)
    inner = {node: 256 * (index + 1) for index, node in enumerate(children)}
    leaves = {key: 256 * (len(inner) + 1) + index for index, key in enumerate(values)}
    units = [0] * (256 * (len(inner) + 1) + len(leaves))
    units[0] = inner[b""] << 10
    for node, nodes in children.items():
        for child in nodes:
            position, byte = inner[node] ^ child[-1], child[-1]
            base = inner.get(child, leaves.get(child, 0))
            units[position] = (position ^ base) << 10 | (child in leaves) << 8 | byte
    for key, position in leaves.items():
        units[position] = 1 << 31 | values[key]
    return units
