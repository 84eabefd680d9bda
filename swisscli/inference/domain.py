"""Decides whether the model can judge a text: whether it is English, in words.

Three cheap signs, in this order:

1. a text without a letter outside its links and names (bare emoji, a link, digits) is not judged;
2. a text that is mostly of another script than Latin is not English;
3. else each word is evidence for or against English, and the evidence is added up: the most common
   function words of English against those of other languages; words that the model's vocabulary
   has whole against those that it must spell in pieces, with accents, or with pairs of letters that
   words hardly have.

The model still answers a text that fails, and the answer is marked. A text of one or two words
passes unless its words are clearly foreign: "Bon film" passes, "Très décevant" does not.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise

from swisscli.core.tokenization import Tokenizer

# Evidence of a word that a text is not English. Rounded from a logistic regression on texts of the
# training data against sentences in twenty languages; with these weights and this limit, 0.1 % of
# tweets in English are marked.
_ENGLISH_WORD = -2.0
_KNOWN_WORD = -0.5
_LONE_LETTER = 0.25
_UNKNOWN_WORD = 0.75  # a name, a typing error, slang: in English they stand among other words
_ACCENTED_WORD = 1.5
_UNPRONOUNCEABLE_WORD = 2.0
_FOREIGN_WORD = 2.0
_LIMIT = 1.4

_OTHER_SCRIPT_SHARE = 0.5  # of the letters: an English text may quote a word of another script
_UNPRONOUNCEABLE_SHARE = 0.25  # of the pairs of letters; English words and names have fewer
# A small vocabulary spells most English words in pieces, so it tells nothing of a word.
_TELLING_VOCABULARY = 10_000
_MOST_CHARS = 2_000  # the start of a long text is enough
_WORDS_KEPT = 1 << 15

_ADDRESS = re.compile(r"(?:https?://|www\.)\S*|[^\s@]{0,64}+@\S*")
_WORD = re.compile(r"[^\W\d_]{1,32}+")
_VOWEL = re.compile("[aeiouy]")

# The most common function words, and few others that stand in every kind of English text.
_ENGLISH = frozenset(
    """
    about after again against ain all also although always am an and another any anyone anything
    are aren around as at back bad be because been before being best better between both but by
    can could couldn did didn do does doesn don done down during each even ever every everyone
    everything few for from get gets getting go going good got great had has hasn have haven
    having he her here hers him himself his how i if in into is isn it its itself just know least
    less like ll love made make makes many may me might mine more most much must my myself never
    new no not nothing now of off on once one only onto or other our ours out over own please re
    really said same say see shall she should shouldn since so some someone something still such
    take than thank thanks that the their theirs them then there these they thing things think
    this those though through to too two under until up us very want was wasn way we well went
    were what when where which while who whom whose why will with within without won would wouldn
    yeah yes you your yours
    """.split()  # noqa: SIM905 - a list of its own would be a page
)
# Those of other languages in Latin script, without words that are English too.
_FOREIGN = frozenset(
    """
    de le la les un une des du et est dans pour que qui pas sur avec au aux ce cette ces il elle
    nous vous ils sont mais ou où par je tu ne très être été fait comme tout bien ma mes votre
    leur sa ses trop aussi moins der die das den dem ein eine einen einem einer und ist nicht mit
    für auf von zu sich auch wie ich sie wir ihr es war sehr aber wenn nur noch nach bei oder aus
    zum zur wird sind habe kann über mir dass kein keine warum wurde heute el las una del con por
    para se lo como más pero su sus muy está este esta fue todo hay mi ser porque qué también hoy
    había nos yo nada di che è dei della gli sono anche più nel alla questo questa molto si perché
    tutto sia oggi os um uma dos não na foi ao ele ela seu sua muito isso tem já eu você hoje pela
    pelo até mas het een en ik dat niet op te zijn voor er maar om hij zij wij ook als aan dit
    deze geen wat heel erg naar bij uit worden waarom vandaag te omdat dus nog och att det på av
    är inte jag har med hon ett så vi mycket här varför ikke af jeg meget hvorfor svært og nie się
    że jak ale dla czy był bardzo być tak jest proč velmi nem egy az hogy nagyon bir bu çok neden
    için değil yang ini itu tidak dengan untuk sangat saya
    """.split()  # noqa: SIM905 - a list of its own would be a page
)
# By a word's letter, those that follow it in fewer than 1 of 20,000 pairs of letters of the words
# in the training data.
_RARE = {
    item[0]: frozenset(item[1:])
    for item in (  # noqa: SIM905 - as above
        "bfgkqvwxz cfjvwx dqxz fbdghjknpqvwxz gcjkpqvxz hgjqvxz jbcdfghjklmnpqrstvwxyz kcgjqvxz"
        " ljqxz mghjkqvxz oq pgjqvwxz qbcdefghijklmnopqrstvwxyz rqx sjxz tjqx uquw"
        " vbcdfghjklmnpqtvwxz wcgjpqvxz xbdfgjklmnqrsvwyz yjqxy zbcdfgjknpqrstvwx"
    ).split()
}


class Domain:
    """Tells texts that a model can judge from those that it cannot.

    Args:
        tokenizer: Tokenizer of the model.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._is_telling = tokenizer.vocab_size >= _TELLING_VOCABULARY
        self._cached_evidence = lru_cache(_WORDS_KEPT)(self._evidence)

    def is_outside(self, texts: Iterable[str]) -> bool:
        """Whether any of an example's texts is one that the model cannot judge."""
        return any(map(self._is_foreign, texts))

    def _is_foreign(self, text: str) -> bool:
        text = text[:_MOST_CHARS]
        if not text.isascii():
            text = unicodedata.normalize("NFC", text)
        text = text.lower()
        if "@" in text or "://" in text or "www." in text:
            text = _ADDRESS.sub(" ", text)
        words = _WORD.findall(text)
        if not words:
            return True
        if not text.isascii():
            latin = list(filter(_is_latin, words))
            num_letters, num_latin = sum(map(len, words)), sum(map(len, latin))
            if num_letters - num_latin > _OTHER_SCRIPT_SHARE * num_letters:
                return True
            words = latin
        return sum(map(self._cached_evidence, words)) > _LIMIT

    def _evidence(self, word: str) -> float:
        """What a word says against English."""
        if word in _ENGLISH:
            return _ENGLISH_WORD
        if word in _FOREIGN:
            return _FOREIGN_WORD
        if len(word) == 1:
            return _LONE_LETTER if self._is_telling else 0.0
        if self._is_telling and self._tokenizer.token_id(word) is not None:
            return _KNOWN_WORD
        if not word.isascii():
            return _ACCENTED_WORD
        if _is_unpronounceable(word):
            return _UNPRONOUNCEABLE_WORD
        return _UNKNOWN_WORD if self._is_telling else 0.0


def _is_latin(word: str) -> bool:
    return word[0] < "\u0250" or "\u1e00" <= word[0] < "\u1f00"


def _is_unpronounceable(word: str) -> bool:
    """Whether an ASCII word has no vowel, or too many pairs of letters that are rare in words."""
    if len(word) < 3:
        return False
    num_rare = sum(b in _RARE.get(a, ()) for a, b in pairwise(word))
    no_vowel = len(word) >= 5 and not _VOWEL.search(word)
    return no_vowel or num_rare > _UNPRONOUNCEABLE_SHARE * (len(word) - 1)
