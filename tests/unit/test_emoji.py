"""Emoji are words to the tokenizer, at no cost to other text."""

import json

import pytest
import tokenizers

from swiss_training.emoji import WORDS, spell_emoji
from tests.support.paths import ROOT

TOKENIZER = ROOT / "swisscli/models/minilm-l6-v2/tokenizer.json"


def _plain() -> str:
    """The packaged model's tokenizer without the normalizer of emoji."""
    values = json.loads(TOKENIZER.read_text(encoding="utf-8"))
    _, values["normalizer"] = values["normalizer"]["normalizers"]
    return json.dumps(values, ensure_ascii=False)


PLAIN = _plain()


@pytest.fixture(scope="module")
def spelled() -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer.from_str(spell_emoji(PLAIN))


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("great film\U0001f44d\U0001f3fd!", ["great", "film", "thumbs", "up", "good", "!"]),
        ("\u2764\ufe0f", ["love"]),
        ("\u2639 bad", ["sad", "bad"]),
        ("dino\U0001f996dino", ["dino", "[UNK]", "dino"]),
        ("na\u00efve cafe\u0301", ["naive", "cafe"]),
    ],
)
def test_emoji_are_read_as_words(
    spelled: tokenizers.Tokenizer, text: str, tokens: list[str]
) -> None:
    assert spelled.encode(text, add_special_tokens=False).tokens == tokens


def test_every_listed_emoji_has_words(spelled: tokenizers.Tokenizer) -> None:
    for emoji in "".join(WORDS):
        tokens = spelled.encode(f"a{emoji}b", add_special_tokens=False).tokens
        assert "[UNK]" not in tokens
        assert (tokens[0], tokens[-1]) == ("a", "b")


def test_text_without_emoji_is_read_as_before(spelled: tokenizers.Tokenizer) -> None:
    plain = tokenizers.Tokenizer.from_str(PLAIN)
    text = "It lands at 7:45; it cost $1,299.99 \u2014 \u00fcber \u65e5\u672c \u0928\u092e"
    assert spelled.encode(text).ids == plain.encode(text).ids


def test_the_packaged_model_spells_emoji() -> None:
    assert json.loads(spell_emoji(PLAIN)) == json.loads(TOKENIZER.read_text(encoding="utf-8"))


def test_a_tokenizer_that_spells_emoji_stays_as_it_is() -> None:
    assert spell_emoji(spell_emoji(PLAIN)) == spell_emoji(PLAIN)
