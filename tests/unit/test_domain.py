"""Texts that the model cannot judge: which are marked, and which are not."""

import csv
import pickle
from collections import defaultdict

import pytest

from swisscli import Predictor
from swisscli.core.model.directory import ModelDirectory, default_model
from swisscli.core.tokenization import Tokenizer
from swisscli.inference.domain import Domain
from tests.support.paths import ASSETS, ENCODER, data_file

TEXTS = ASSETS / "other-languages.tsv"
ENGLISH = (
    "Great!",
    "OK",
    "lol",
    "I",
    "meh.",
    "Worst. Movie. Ever.",
    "luv luv luv this soooo much!!! gr8 phone 4 the $$$",
    "@united ur awful smh, neva flyin w/ u again :( #fail http://t.co/aBcDe",
    "Definately recomend, excelent servise and delishous food",
    "Siobhan Nguyen and Krzysztof Wojciechowski thanked the staff.",
    "Arnold Schwarzenegger and Jean-Claude Van Damme",
    "The café's crème brûlée is très bon, as they say in Paris.",
    "The title 七人の侍 means Seven Samurai.",
    "A man wears a hat.",
    "Battery died after 2 weeks",
    "10/10 would buy again 😀",
    "strengths and weaknesses",
    "yay",
)


@pytest.fixture(scope="module")
def domain() -> Domain:
    return Domain(Tokenizer.of(ModelDirectory.open(default_model())))


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(device="cpu")


def _others() -> dict[str, list[str]]:
    texts = defaultdict(list)
    with TEXTS.open(encoding="utf-8", newline="") as source:
        for row in csv.DictReader(source, delimiter="\t", quoting=csv.QUOTE_NONE):
            texts[row["language"]].append(row["text"])
    return texts


@pytest.mark.parametrize(
    "language", [language for language, texts in _others().items() if len(texts) >= 8]
)
def test_nine_of_ten_texts_of_a_language_and_of_no_language_are_marked(
    domain: Domain, language: str
) -> None:
    texts = _others()[language]
    assert sum(domain.is_outside([text]) for text in texts) >= 0.9 * len(texts)


def test_of_texts_in_forty_languages_all_but_a_few_are_marked(domain: Domain) -> None:
    texts = [text for of_language in _others().values() for text in of_language]
    assert len(texts) >= 200
    assert sum(domain.is_outside([text]) for text in texts) >= 0.95 * len(texts)


@pytest.mark.parametrize("text", ENGLISH)
def test_english_with_slang_typing_errors_names_and_quotations_is_not_marked(
    domain: Domain, text: str
) -> None:
    assert not domain.is_outside([text])


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("extra/tweets-airline.tsv", "sentence"),
        ("extra/meld-3class.tsv", "sentence"),
        ("cs224n/ids-sst-dev.csv", "sentence"),
        ("cs224n/quora-dev.csv", "sentence1"),
        ("cs224n/sts-dev.csv", "sentence2"),
    ],
)
def test_one_in_a_hundred_texts_of_a_data_set_in_english_is_marked_at_most(
    domain: Domain, name: str, column: str
) -> None:
    with data_file(name).open(encoding="utf-8", newline="") as source:
        texts = [row[column] for row in csv.DictReader(source, delimiter="\t")]
    assert sum(domain.is_outside([text]) for text in texts if text) <= 0.01 * len(texts)


def test_a_marked_text_is_answered_all_the_same(predictor: Predictor) -> None:
    good, other = predictor.predict("sentiment", ["A lovely film.", "この映画は面白くなかった。"])
    assert not good.out_of_domain
    assert other.out_of_domain
    assert other.label is not None
    assert other.skipped is None


@pytest.mark.parametrize(
    ("pair", "marked"),
    [
        (("A man sings a song.", "A man is singing."), False),
        (("A man sings a song.", "Ein Mann singt ein Lied für die Kinder."), True),
        (("Ein Mann singt ein Lied für die Kinder.", "A man sings a song."), True),
    ],
)
def test_a_pair_is_marked_for_either_of_its_texts(
    predictor: Predictor, pair: tuple[str, str], marked: bool
) -> None:
    for of_pair in predictor.predict_tasks(["paraphrase", "similarity"], [pair]):
        assert [answer.out_of_domain for answer in of_pair] == [marked, marked]


def test_strict_language_skips_what_is_marked_and_answers_the_others_the_same() -> None:
    texts = ["A lovely film.", "Das war ein sehr schöner Film.", "", "😀", "A lovely film."]
    lenient = list(Predictor(device="cpu").predict("sentiment", texts))
    strict = pickle.loads(pickle.dumps(Predictor(device="cpu", strict_language=True)))
    answers = list(strict.predict("sentiment", texts))
    reasons = [None, "out_of_domain", "empty", "out_of_domain", None]
    assert [answer.skipped for answer in answers] == reasons
    assert [answer.out_of_domain for answer in answers] == [False, True, False, True, False]
    assert [answers[i] for i in (0, 2, 4)] == [lenient[i] for i in (0, 2, 4)]
    assert answers[1].label is None
    assert answers[1].error is None


def test_a_text_of_a_model_with_a_small_vocabulary_is_not_marked_for_unknown_words() -> None:
    domain = Domain(Tokenizer(ENCODER / "tokenizer.json", 64))
    assert not domain.is_outside(["Siobhan thanked Krzysztof warmly yesterday"])
    assert domain.is_outside(["Das ist nicht sehr gut"])
    assert domain.is_outside(["最高"])


@pytest.mark.parametrize("text", ["a" * 10**6, "a-" * 10**6, "@" * 10**6, "é" * 10**6])
def test_a_huge_text_is_judged_by_its_beginning(domain: Domain, text: str) -> None:
    assert domain.is_outside([text]) in (True, False)
