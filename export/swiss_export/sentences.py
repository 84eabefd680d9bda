"""Real text of many lengths and scripts, to compare a graph with torch."""

from itertools import pairwise

SENTENCES = (
    "Yes.",
    "A lovely film!",
    "I would not watch it again.",
    "It was neither good nor bad, it was simply there.",
    "What is the best way to learn to play the guitar?",
    "How can I learn the guitar quickly?",
    "A man is slicing a tomato on a wooden board.",
    "Someone cuts a vegetable.",
    "The plane lands at 7:45 a.m. on the 3rd of June, 2019; tickets cost $1,299.99.",
    "the cast is terrific , the script is n't , and the ending -- oh , the ending ...",
    "Why won't my laptop start after the update (it worked yesterday)?",
    "E = mc², a² + b² = c², ½ + ¼ = ¾ and 20 °C is 68 °F.",
    "Der Fluß trat über die Ufer, und die Straßen Münchens standen unter Wasser.",
    "Le cœur déçu mais l'âme plutôt naïve, Louÿs rêva de crapaüter en canoë.",
    "El pingüino Wenceslao hizo kilómetros bajo exhaustiva lluvia y frío, añoraba a su querido.",
    "Зарегистрируйтесь сейчас на конференцию.",
    "今日はとてもいい天気ですね。散歩に行きましょう。",
    "الطقس جميل اليوم",
    "이 영화는 정말 재미있었어요.",
    "Absolutely brilliant 🎬🍿 — ten out of ten 👏👏👏",
    "naïve café, nai\u0308ve cafe\u0301: the same words, composed and decomposed",
    "Pneumonoultramicroscopicsilicovolcanoconiosis is antidisestablishmentarianism's rival.",
    "[CLS] this text spells [SEP] the special tokens [MASK] of the tokenizer [PAD]",
    'C:\\Users\\me> pip install --upgrade swissbert && echo "done" # <b>not</b> &amp; markup',
)

PASSAGE = """\
It is a truth universally acknowledged, that a single man in possession of a good fortune, must be
in want of a wife. However little known the feelings or views of such a man may be on his first
entering a neighbourhood, this truth is so well fixed in the minds of the surrounding families, that
he is considered the rightful property of some one or other of their daughters. "My dear Mr.
Bennet," said his lady to him one day, "have you heard that Netherfield Park is let at last?" Mr.
Bennet replied that he had not. "But it is," returned she; "for Mrs. Long has just been here, and
she told me all about it." Mr. Bennet made no answer. "Do you not want to know who has taken it?"
cried his wife impatiently. "You want to tell me, and I have no objection to hearing it." This was
invitation enough. "Why, my dear, you must know, Mrs. Long says that Netherfield is taken by a young
man of large fortune from the north of England; that he came down on Monday in a chaise and four to
see the place, and was so much delighted with it that he agreed with Mr. Morris immediately; that he
is to take possession before Michaelmas, and some of his servants are to be in the house by the end
of next week." "What is his name?" "Bingley." "Is he married or single?" "Oh! single, my dear, to be
sure! A single man of large fortune; four or five thousand a year. What a fine thing for our girls!"
"How so? how can it affect them?" "My dear Mr. Bennet," replied his wife, "how can you be so
tiresome! You must know that I am thinking of his marrying one of them." "Is that his design in
settling here?" "Design! nonsense, how can you talk so! But it is very likely that he may fall in
love with one of them, and therefore you must visit him as soon as he comes."
"""
"""Jane Austen, Pride and Prejudice (1813), the beginning of chapter 1."""

_PREFIXES = (12, 24, 40, 57, 90, 128, 180, 256, 333)


def make_texts(max_length: int) -> list[tuple[str, ...]]:
    """Return single texts and pairs, from no words to more than `max_length` tokens."""
    words = PASSAGE.split()
    # Every word has at least one token.
    full = " ".join(words * (max_length // len(words) + 1))
    singles = ["", *SENTENCES, *(" ".join(words[:count]) for count in _PREFIXES), full]
    pairs = pairwise(singles[1:])
    return [*((text,) for text in singles), *pairs]
