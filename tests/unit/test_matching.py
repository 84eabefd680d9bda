"""Search by embeddings, and the scores of pairs that decide."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swisscli import Predictor
from swisscli.core.records import Record, RecordError
from swisscli.inference import matching
from swisscli.inference.matching import Corpus, Floats, Indices, Matcher, nearest


class Vectors(Corpus):
    """A corpus of given embeddings."""

    def __init__(self, vectors_ND: Floats) -> None:
        self._vectors_ND = vectors_ND

    def __len__(self) -> int:
        return len(self._vectors_ND)

    def vectors(self, start: int, stop: int) -> Floats:
        return self._vectors_ND[start:stop]


def brute_force(
    queries_QD: Floats, vectors_ND: Floats, count: int, before_Q: Indices | None
) -> list[list[int]]:
    """The nearest by a sort of everything, row by row."""
    found = []
    for number, query_D in enumerate(queries_QD):
        last = len(vectors_ND) if before_Q is None else int(before_Q[number])
        cosines = [float(query_D @ vector_D) for vector_D in vectors_ND[:last]]
        order = sorted(range(last), key=lambda index: (-cosines[index], index))[:count]
        found.append(order + [-1] * (count - len(order)))
    return found


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    num_texts=st.integers(0, 50),
    num_queries=st.integers(1, 6),
    count=st.integers(1, 8),
    block=st.integers(1, 20),
    among_itself=st.booleans(),
)
def test_the_nearest_are_those_of_brute_force(
    seed: int, num_texts: int, num_queries: int, count: int, block: int, among_itself: bool
) -> None:
    rng = np.random.default_rng(seed)
    # Small integers: products are exact in float32, and many are equal.
    vectors_ND = rng.integers(-2, 3, (num_texts, 3)).astype(np.float32)
    queries_QD = rng.integers(-2, 3, (num_queries, 3)).astype(np.float32)
    before_Q = rng.integers(0, num_texts + 1, num_queries) if among_itself else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "BLOCK", block)
        index_QK, cosine_QK = nearest(queries_QD, Vectors(vectors_ND), count, before_Q)
    assert index_QK.tolist() == brute_force(queries_QD, vectors_ND, count, before_Q)
    for number, row in enumerate(index_QK):
        expected = vectors_ND[row[row >= 0]] @ queries_QD[number]
        assert np.array_equal(cosine_QK[number][row >= 0], expected)


def test_a_text_whose_embedding_is_not_a_number_is_never_nearest() -> None:
    vectors_ND = np.array([[1, 0], [np.nan, np.nan], [0, 1]], dtype=np.float32)
    index_QK, _ = nearest(vectors_ND, Vectors(vectors_ND), 2)
    assert index_QK.tolist() == [[0, 2], [-1, -1], [2, 0]]


TEXTS = ("good film", "the bad film", "", "good films", "bad", "x y z", "good film")


def records(texts: tuple[str, ...] = TEXTS) -> list[Record]:
    return [Record(line, (text,)) for line, text in enumerate(texts, start=1)]


@pytest.fixture
def predictor(tiny_model: Path) -> Predictor:
    return Predictor(tiny_model)


def test_embeddings_do_not_depend_on_their_neighbours(predictor: Predictor) -> None:
    texts = [text for text in TEXTS if text]
    together_ND = predictor.embed(texts)
    assert np.allclose(np.linalg.norm(together_ND, axis=1), 1, atol=1e-6)
    for text, vector_D in zip(texts, together_ND, strict=True):
        assert np.allclose(predictor.embed([text])[0], vector_D, atol=1e-6)


@pytest.mark.parametrize("task", ["paraphrase", "similarity"])
def test_matches_are_the_best_pairs_of_all(predictor: Predictor, task: str) -> None:
    corpus = Corpus(predictor)
    corpus.add([record for record in records() if record.texts[0]])
    queries = records(("bad films", "good"))
    matcher = Matcher(predictor, corpus, task, top=3, candidates=len(corpus))
    found = list(matcher.match(queries))
    for query in queries:
        others = [record for record in records() if record.texts[0]]
        pairs = [(query.texts[0], other.texts[0]) for other in others]
        scores = [prediction.score for prediction in predictor.predict(task, pairs)]
        mine = [match for match in found if match.prediction.record.line == query.line]
        assert [match.rank for match in mine] == [1, 2, 3]
        best = sorted((score for score in scores if score is not None), reverse=True)[:3]
        assert [match.prediction.score for match in mine] == pytest.approx(best, abs=1e-6)
        by_line = {other.line: other.texts[0] for other in others}
        for match in mine:
            assert match.prediction.record.texts == (query.texts[0], by_line[match.line])


class LastBits(Corpus):
    """A corpus whose later embeddings are longer by a millionth."""

    def vectors(self, start: int, stop: int) -> Floats:
        growth_N1 = 1 + 1e-6 * np.arange(start, stop, dtype=np.float32)[:, None]
        return super().vectors(start, stop) * growth_N1


def test_equal_texts_come_in_order_of_their_lines(predictor: Predictor) -> None:
    corpus = LastBits(predictor)
    corpus.add(records(("good film", "bad", "good film", "bad", "good film")))
    matcher = Matcher(predictor, corpus)
    for query, lines in {"good film": [1, 3, 5], "bad": [2, 4]}.items():
        found = matcher.match([Record(1, (query,))])
        same = [match.line for match in found if match.prediction.record.texts[1] == query]
        assert same == lines


def test_among_itself_every_pair_comes_once_at_its_later_text(predictor: Predictor) -> None:
    corpus = Corpus(predictor)
    matcher = Matcher(predictor, corpus, top=100, candidates=100, among_itself=True)
    found = [match for half in (records()[:4], records()[4:]) for match in matcher.match(half)]
    pairs = [(match.line, match.prediction.record.line) for match in found if match.rank]
    lines = [1, 2, 4, 5, 6, 7]
    assert sorted(pairs) == [(a, b) for a in lines for b in lines if a < b]
    unmatched = [match.prediction for match in found if not match.rank]
    assert [(item.record.line, item.skipped) for item in unmatched] == [
        (1, "no_match"),
        (3, "empty"),
    ]
    assert max(match.cosine for match in found) == pytest.approx(1, abs=1e-6)


def test_a_query_without_a_match_and_one_that_cannot_be_read_stay(predictor: Predictor) -> None:
    corpus = Corpus(predictor)
    corpus.add(records(("good film",)))
    broken = Record(2, (), error=RecordError("invalid_csv", "no second quote"))
    matcher = Matcher(predictor, corpus, threshold=1.0)
    first, second = matcher.match([Record(1, ("bad",)), broken])
    assert (first.prediction.skipped, first.prediction.score) == ("no_match", None)
    assert second.prediction.error == broken.error
    empty = Matcher(predictor, Corpus(predictor))
    assert [match.prediction.skipped for match in empty.match(records(("a",)))] == ["no_match"]
