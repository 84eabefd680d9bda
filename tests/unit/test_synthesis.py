"""Synthetic examples: the same ones everywhere, balanced, with nothing held out among the rest."""

import os
import subprocess
import sys
from collections import Counter, defaultdict
from itertools import chain
from pathlib import Path

import pytest

from swiss_training.multitask.examples import Examples, read_files
from swiss_training.multitask.labels import DataFile, Target
from swiss_training.synthesis.draw import Draw
from swiss_training.synthesis.generate import Made, choose_buckets, generate, write_files
from swiss_training.synthesis.noise import contract, expand, with_typo
from swiss_training.synthesis.registry import BUCKETS
from swiss_training.synthesis.scene import correct_grammar
from swiss_training.synthesis.source import PARTS, Part, templates, word_lists
from swisscli.core.errors import ConfigurationError
from swisscli.core.tasks import TASKS
from tests.support.paths import ROOT

COMPOSED = [name for name, bucket in BUCKETS.items() if bucket.compose]
TEMPLATE_FILES = sorted(
    path.stem for path in (ROOT / "training/swiss_training/synthesis/templates").iterdir()
)


def make(
    *names: str,
    part: Part = "train",
    per_bucket: int = 100,
    seed: int = 3,
    rows: dict[str, Examples] | None = None,
) -> list[Made]:
    chosen = choose_buckets(names or COMPOSED, rows or {})
    return list(generate(chosen, seed=seed, per_bucket=per_bucket, part=part, rows=rows))


def texts_of(made: list[Made]) -> list[tuple[str, ...]]:
    return [example.texts for each in made for example in each.examples]


def rows_of(task: str, *rows: tuple[Target, *tuple[str, ...]]) -> dict[str, Examples]:
    return {task: Examples(TASKS[task], [row[1:] for row in rows], [row[0] for row in rows])}


def test_choices_are_the_same_on_every_machine_and_python() -> None:
    draw = Draw(7, "numbers", "train", 0)
    assert [draw.index(1000) for _ in range(6)] == [876, 612, 697, 739, 711, 526]
    assert draw.shuffle("abcdef") == list("ecfadb")


def test_the_same_seed_gives_the_same_files_in_another_process(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from swiss_training.synthesis.generate import choose_buckets, generate, write_files
made = generate(choose_buckets([]), seed=3, per_bucket=20, part="train")
write_files(Path(sys.argv[1]), made)
"""
    for seed in ("1", "2"):
        environment = {
            **os.environ,
            "PYTHONHASHSEED": seed,
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        command = [sys.executable, "-c", script, str(tmp_path / seed)]
        subprocess.run(command, check=True, env=environment)
    first, second = (sorted((tmp_path / seed).iterdir()) for seed in ("1", "2"))
    assert [path.name for path in first] == [
        "paraphrase.tsv",
        "sentiment-coarse.tsv",
        "sentiment.tsv",
        "similarity.tsv",
    ]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_another_seed_gives_other_examples() -> None:
    assert texts_of(make("numbers")) != texts_of(make("numbers", seed=4))


def test_fewer_examples_are_the_first_of_more() -> None:
    few, many = texts_of(make("roles-swapped", per_bucket=40)), texts_of(make("roles-swapped"))
    assert len(few) == 40
    assert many[:40] == few


def test_a_bucket_does_not_depend_on_which_others_are_made() -> None:
    with_another = [each for each in make("antonyms", "dates") if each.bucket == "dates"]
    assert with_another == make("dates")


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", COMPOSED)
def test_every_bucket_has_each_of_its_labels_equally_often(name: str, part: Part) -> None:
    labels: dict[str, Counter[float]] = defaultdict(Counter)
    made = make(name, part=part)
    for example in chain.from_iterable(each.examples for each in made):
        labels[example.grain][example.label] += 1
    assert labels
    for counts in labels.values():
        assert len(counts) >= 2
        neutral = {1.0} if "sentiment-coarse" in labels else set()
        assert len({n for label, n in counts.items() if label not in neutral}) == 1


@pytest.mark.parametrize("part", PARTS)
def test_nothing_is_there_twice_and_no_slot_stays_open(part: Part) -> None:
    made = make(part=part)
    for name in COMPOSED:
        examples = [(e.grain, e.texts) for m in made if m.bucket == name for e in m.examples]
        assert len(examples) == len(set(examples))
        assert len(examples) >= (30 if part == "train" else 8)
    for text in chain.from_iterable(texts_of(made)):
        assert text == " ".join(text.split()) != ""
        assert not set(text) & set("{}[]|")
        assert "==" not in text
        assert "!=" not in text


def test_no_text_with_words_is_in_both_parts() -> None:
    train, heldout = (set(texts_of(make(part=part, per_bucket=300))) for part in PARTS)
    assert train.isdisjoint(heldout)


@pytest.mark.parametrize("name", TEMPLATE_FILES)
def test_templates_are_held_out(name: str) -> None:
    train, heldout = (templates(name, part) for part in PARTS)
    assert len(train) >= 5
    assert len(heldout) >= 2
    assert set(train).isdisjoint(heldout)


def test_words_are_held_out() -> None:
    train, heldout = (word_lists(part) for part in PARTS)
    assert train.keys() == heldout.keys()
    for name in train:
        assert len(train[name]) >= 3, name
        assert len(heldout[name]) >= 2, name
    # Lists of one name but another topic count as one; "read it" is no content word.
    for name in {key.partition("@")[0] for key in train} - {"item"}:
        forms = [
            {
                form
                for key, words in lists.items()
                for word in words
                for form_name, form in word.items()
                if key.partition("@")[0] == name and form_name != "be"
            }
            for lists in (train, heldout)
        ]
        assert forms[0].isdisjoint(forms[1]), (name, forms[0] & forms[1])


@pytest.mark.parametrize(
    ("bucket", "grain", "expected"),
    [
        ("numbers", "paraphrase", {0.0, 1.0}),
        ("numbers", "similarity", {3.0, 5.0}),
        ("intensity", "sentiment", {0, 1, 2, 3, 4}),
        ("no-opinion", "sentiment-coarse", {0.0, 1.0, 2.0}),
    ],
)
def test_each_grain_has_its_own_labels(bucket: str, grain: str, expected: set[float]) -> None:
    labels = {e.label for m in make(bucket) for e in m.examples if e.grain == grain}
    assert labels == expected


@pytest.mark.parametrize(
    ("bucket", "beginning", "label"),
    [
        ("changed-opinion", "I used to love", 0.0),
        ("changed-opinion", "I used to hate", 2.0),
        ("answered-questions", "Do I recommend it? Yes", 2.0),
        ("answered-questions", "Do I recommend it? No", 0.0),
        ("compared-opinions", "Nothing beats", 2.0),
        ("compared-opinions", "Nothing is worse than", 0.0),
        ("unreal-praise", "Hopes that", 0.0),
        ("unreal-praise", "Fears that", 2.0),
        ("implied-opinions", "I sent it back", 0.0),
    ],
)
def test_a_text_with_this_beginning_has_this_label(
    bucket: str, beginning: str, label: float
) -> None:
    found = [
        example.label
        for each in make(bucket, per_bucket=600)
        for example in each.examples
        if example.texts[0].startswith(beginning)
    ]
    assert found
    assert set(found) == {label}


def test_a_variant_has_the_label_of_its_original() -> None:
    names = ("typos", "letter-case", "punctuation", "contractions", "handles-and-links")
    made = make(*names, "names-and-places", "noisy-pairs", "renamed-pairs")
    for each in made:
        labels = {example.texts: example.label for example in each.examples}
        variants = [example for example in each.examples if example.original]
        assert len(variants) * 2 == len(each.examples)
        for variant in variants:
            assert variant.original != variant.texts
            assert labels[variant.original] == variant.label


@pytest.mark.parametrize(
    ("question", "exchanged"),
    [
        ("How do I convert Word to Excel?", "How do I convert Excel to Word?"),
        ("Why did Rome attack Old Carthage?", "Why did Old Carthage attack Rome?"),
        ("Why is New York larger than Boston?", "Why is Boston larger than New York?"),
    ],
)
def test_duplicates_with_exchanged_names_become_different_questions(
    question: str, exchanged: str
) -> None:
    rows = rows_of("paraphrase", (1.0, question, "The same question in other words."))
    made = [m for part in PARTS for m in make("real-swaps", part=part, rows=rows)]
    assert [(e.texts[0], e.label) for m in made for e in m.examples] == [
        (question, 1.0),
        (exchanged, 0.0),
    ]


@pytest.mark.parametrize(
    "question",
    [
        "How do I fly to Rome?",
        "Did Ann meet Bob?",
        "What would happen if Trump became President?",
        "How can I improve my English?",
        "How are Java and Python related?",
    ],
)
def test_names_without_roles_are_not_exchanged(question: str) -> None:
    rows = rows_of("paraphrase", (1.0, question, "The same question in other words."))
    assert not [m for part in PARTS for m in make("real-swaps", part=part, rows=rows)]


def test_names_on_one_level_may_be_exchanged() -> None:
    rows = rows_of(
        "paraphrase",
        (1.0, "What is the difference between Java and Python?", "How do Java and Python differ?"),
    )
    made = [m for part in PARTS for m in make("real-mutual-swaps", part=part, rows=rows)]
    assert [(e.texts[0], e.label) for m in made for e in m.examples] == [
        ("What is the difference between Python and Java?", 1.0)
    ]


def test_a_shared_number_is_changed_in_one_text() -> None:
    rows = rows_of("paraphrase", (1.0, "Can I sleep 5 hours?", "Are 5 hours of sleep enough?"))
    made = [m for part in PARTS for m in make("real-numbers", part=part, rows=rows)]
    kept, changed = made[0].examples
    assert (kept.label, changed.label) == (1.0, 0.0)
    assert "5" not in changed.texts[0]
    assert changed.texts[1] == kept.texts[1]


def rewritten(name: str, *rows: tuple[Target, *tuple[str, ...]]) -> list[list[tuple[str, float]]]:
    """What a bucket makes of rows of paraphrase: first texts and labels of each set."""
    made = [m for part in PARTS for m in make(name, part=part, rows=rows_of("paraphrase", *rows))]
    return [[(e.texts[0], e.label) for e in m.examples] for m in made]


def test_names_with_roles_of_their_own_exchanged_are_no_paraphrase() -> None:
    question = "Why did Rome attack Carthage so often?"
    (swapped,) = rewritten("real-swaps", (1.0, question, "What made Rome fight Carthage?"))
    assert swapped == [(question, 1.0), ("Why did Carthage attack Rome so often?", 0.0)]
    # Whoever plays with somebody is played with; and of pairs that differ nothing is known.
    assert not rewritten("real-swaps", (1.0, "Did Rome play with Carthage?", "Did they play?"))
    assert not rewritten("real-swaps", (0.0, question, "When did Rome fall?"))
    assert not rewritten("real-swaps", (1.0, "Did Rome attack Rome?", "Did Rome attack itself?"))


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_names_on_one_level_exchanged_keep_the_label(label: float) -> None:
    question = "What is the difference between Java and Python today?"
    (swapped,) = rewritten("real-mutual-swaps", (label, question, "How do they differ?"))
    assert swapped == [("What is the difference between Python and Java today?", label)]


def test_another_name_in_one_text_is_no_paraphrase() -> None:
    cities = [word[""] for word in word_lists("train")["city"]]
    rows = [(1.0, f"Where to eat in {c}?", f"What is a good place to eat in {c}?") for c in cities]
    made = rewritten("real-names", *rows)
    assert made
    for (kept, same), (changed, other) in made:
        assert (same, other) == (1.0, 0.0)
        assert kept != changed
        assert changed.startswith("Where to eat in ")
    assert not rewritten("real-names", *((0.0, *texts) for _, *texts in rows))


def test_noise_in_one_text_of_a_pair_keeps_the_label() -> None:
    rows = [(float(n % 2), f"This is question number {n}.", f"Question {n}.") for n in range(40)]
    labels: dict[tuple[str, ...], float] = {(a, b): label for label, a, b in rows}
    made = make("real-noisy-pairs", rows=rows_of("paraphrase", *rows))
    assert len(made) > 10
    for (example,) in (m.examples for m in made):
        assert example.original is not None
        assert example.texts[0] != example.original[0]
        assert example.texts[1] == example.original[1]
        assert example.label == labels[example.original]


def test_a_row_belongs_to_one_part_alone() -> None:
    rows = rows_of("sentiment", *((float(n % 5), f"This is film number {n}.") for n in range(200)))
    originals = [
        {e.original for m in make("real-noise", part=part, rows=rows) for e in m.examples}
        for part in PARTS
    ]
    assert originals[0].isdisjoint(originals[1])
    assert len(originals[0]) > len(originals[1]) > 0


def test_a_coarse_row_stays_coarse() -> None:
    rows = rows_of("sentiment", *(((3, 4), f"This is film number {n}.") for n in range(40)))
    made = make("real-noise", rows=rows)
    assert {(e.grain, e.label) for m in made for e in m.examples} == {("sentiment-coarse", 2.0)}


def test_articles_and_capitals_are_set_right() -> None:
    assert correct_grammar("a awful hour .  it was a honest , a useful one") == (
        "An awful hour. It was an honest, a useful one"
    )


def test_contractions_are_turned_both_ways() -> None:
    assert contract("I do not think that it is bad.") == "I don't think that it's bad."
    assert contract("Do I recommend it? I do not. I know what it is.") == (
        "Do I recommend it? I don't. I know what it is."
    )
    assert expand("I can't say that it won't do.") == "I cannot say that it will not do."


def test_a_typo_keeps_the_ends_of_the_word() -> None:
    changed = {with_typo(Draw(seed), "a wonderful day") for seed in range(50)}
    assert "a wonderful day" not in changed
    assert all(text.startswith("a w") and text.endswith("l day") for text in changed)


def test_an_unknown_bucket_and_one_without_rows_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="unknown bucket 'sarcasm'"):
        choose_buckets(["sarcasm"])
    with pytest.raises(ConfigurationError, match="rewrites rows of paraphrase") as raised:
        choose_buckets(["real-swaps"])
    assert raised.value.hint == "add `from=paraphrase=FILE`"


def test_the_files_are_read_as_training_files(tmp_path: Path) -> None:
    made = make(per_bucket=40)
    counts = write_files(tmp_path, made)
    assert sum(counts.values()) == sum(len(each.examples) for each in made)
    polarity = "?column=sentiment_0neg_1neu_2pos&labels=0:0-1,1:2,2:3-4"
    for name in counts:
        task = name.removesuffix(".tsv").removesuffix("-coarse")
        query = polarity if "coarse" in name else ""
        file = DataFile.parse(f"{tmp_path / name}{query}", TASKS[task])
        examples = read_files(TASKS[task], [file])
        assert len(examples.targets) == counts[name]
        assert not examples.skipped
