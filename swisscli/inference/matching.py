"""Finds the nearest texts of a corpus: embeddings select candidates, a task's head scores them."""

import json
import tempfile
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from swisscli.core.io.text import is_blank
from swisscli.core.records import Prediction, Record

if TYPE_CHECKING:
    from swisscli.inference.predictor import Predictor

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

QUERIES = 256
"""Number of queries that are compared with the corpus at once."""
BLOCK = 8192
"""Number of texts of the corpus in memory at once; a block of comparisons has 8 MB."""
NO_MATCH = "no_match"
"""Why a query has no answer: no text of the corpus matches it."""
# The cosines of equal texts differ in the last bits, by the shapes of their batches.
_DIGITS = 4


@dataclass(frozen=True)
class Match:
    """One match of a query, or the reason why it has none.

    Attributes:
        prediction: The answer to the pair; its record is the query's, with the match as the second
            text. Without a match the label and the score are None, and `skipped` says why.
        rank: From 1, the best match of the query; 0 without a match.
        line: Line of the match in its file; 0 without a match.
        id: The match's own identifier, if it has one.
        cosine: Cosine of the two embeddings, to four decimals; 0 without a match.
    """

    prediction: Prediction
    rank: int = 0
    line: int = 0
    id: str | int | float | None = None
    cosine: float = 0.0


class Corpus:
    """Texts to search in, with their embeddings.

    Texts and embeddings lie in temporary files; memory holds 16 bytes a text and one block.

    Args:
        predictor: The model whose embeddings are compared.

    Attributes:
        lines: The line of each text in its file.

    Raises:
        ModelError: if the model's graph has no embedding.
        OSError: if no temporary file can be written.
    """

    def __init__(self, predictor: "Predictor") -> None:
        self._predictor = predictor
        self._width = predictor.config.encoder.hidden_size
        self._vectors = tempfile.TemporaryFile(prefix="swiss-")  # noqa: SIM115
        self._texts = tempfile.TemporaryFile(prefix="swiss-")  # noqa: SIM115
        self._ends = array("q", [0])
        self.lines = array("q")

    def __len__(self) -> int:
        return len(self.lines)

    def add(self, records: Sequence[Record]) -> Floats:
        """Add records that have a text; returns their embeddings, (N, D)."""
        texts = [record.texts[0] for record in records]
        vectors_ND = self._predictor.embed(texts)
        self._vectors.seek(0, 2)
        self._vectors.write(vectors_ND.tobytes())
        self._texts.seek(0, 2)
        for record, text in zip(records, texts, strict=True):
            self._texts.write(json.dumps([record.id, text]).encode())
            self._ends.append(self._texts.tell())
            self.lines.append(record.line)
        return vectors_ND

    def record(self, index: int) -> Record:
        """Read a text, with its line and id."""
        start, end = self._ends[index], self._ends[index + 1]
        self._texts.seek(start)
        identifier, text = json.loads(self._texts.read(end - start))
        return Record(self.lines[index], (text,), identifier)

    def vectors(self, start: int, stop: int) -> Floats:
        """Read the embeddings from `start` up to `stop`, (stop - start, D)."""
        self._vectors.seek(start * self._width * 4)
        content = self._vectors.read((stop - start) * self._width * 4)
        return np.frombuffer(content, np.float32).reshape(-1, self._width)

    def close(self) -> None:
        """Remove the temporary files."""
        self._vectors.close()
        self._texts.close()


def nearest(
    queries_QD: Floats, corpus: Corpus, count: int, before_Q: Indices | None = None
) -> tuple[Indices, Floats]:
    """Find the texts with the largest cosine, exactly, by products of blocks.

    Args:
        queries_QD: Embeddings of the queries, of length 1.
        corpus: The texts.
        count: Maximum number of texts to find for a query, K.
        before_Q: Search only the texts before this index, for each query; None searches all.

    Returns:
        Indices and cosines, (Q, K), the largest cosine first, and of equal ones the first text.
        If a query has fewer than K, the other indices are -1.
    """
    index_QK = np.full((len(queries_QD), count), -1, dtype=np.int64)
    cosine_QK = np.full((len(queries_QD), count), -np.inf, dtype=np.float32)
    for start in range(0, len(corpus), BLOCK):
        stop = min(start + BLOCK, len(corpus))
        cosine_QB = queries_QD @ corpus.vectors(start, stop).T
        if before_Q is not None:
            cosine_QB[np.arange(start, stop) >= before_Q[:, None]] = -np.inf
        cosine_QB[np.isnan(cosine_QB)] = -np.inf
        # Later texts have to be nearer: of equal ones, the first wins.
        rows = np.flatnonzero((cosine_QB > cosine_QK[:, -1:]).any(axis=1))
        if not len(rows):
            continue
        block_RB = cosine_QB[rows]
        best_RK = _largest(block_RB, count)
        cosines = np.hstack([cosine_QK[rows], np.take_along_axis(block_RB, best_RK, axis=1)])
        indices = np.hstack([index_QK[rows], start + best_RK])
        order = np.argsort(-cosines, axis=1, kind="stable")[:, :count]
        cosine_QK[rows] = np.take_along_axis(cosines, order, axis=1)
        index_QK[rows] = np.take_along_axis(indices, order, axis=1)
    index_QK[np.isneginf(cosine_QK)] = -1
    return index_QK, cosine_QK


def _largest(cosine_RB: Floats, count: int) -> Indices:
    """Find the columns of the largest values of each row, in order; of equal values the first.

    Returns:
        Columns, (R, K), K at most the number of columns.
    """
    count = min(count, cosine_RB.shape[1])
    # Sorting whole rows would take ten times as long as the product that they come from.
    least_R1 = np.partition(cosine_RB, -count, axis=1)[:, -count, None]
    row, column = np.nonzero(cosine_RB >= least_R1)
    order = np.lexsort((column, -cosine_RB[row, column], row))
    starts_R1 = np.searchsorted(row, np.arange(len(cosine_RB)))[:, None]
    return column[order[starts_R1 + np.arange(count)]]


@dataclass(frozen=True)
class Matcher:
    """Finds matches in a corpus.

    Attributes:
        predictor: The model.
        corpus: The texts to search in.
        task: The task of two texts that scores the candidates.
        top: Maximum number of matches per query.
        candidates: Number of nearest texts that the task's head compares with a query.
        threshold: Smallest score of a match; None for any.
        among_itself: Whether the queries are the corpus: each is added to it, and compared with
            the texts before it, so that each pair is compared once.
    """

    predictor: "Predictor"
    corpus: Corpus
    task: str = "paraphrase"
    top: int = 5
    candidates: int = 20
    threshold: float | None = None
    among_itself: bool = False

    def match(self, queries: Sequence[Record]) -> Iterator[Match]:
        """Find the matches of queries.

        Yields:
            For each query in order its matches, the best first; one `Match` without a match if it
            has none, is blank or could not be read. Of equal scores the larger cosine comes first,
            then the earlier text.
        """
        for start in range(0, len(queries), QUERIES):
            yield from self._match_block(queries[start : start + QUERIES])

    def _match_block(self, queries: Sequence[Record]) -> Iterator[Match]:
        asked = [record for record in queries if not record.error and not is_blank(record.texts[0])]
        pairs: list[Record] = []
        found: list[tuple[int, float]] = []
        counts: list[int] = []
        for record, indices, cosines in self._candidates(asked):
            counts.append(len(indices))
            for index, cosine in zip(indices, cosines, strict=True):
                candidate = self.corpus.record(index)
                pairs.append(Record(record.line, record.texts + candidate.texts))
                found.append((index, cosine))
        answers = zip(self.predictor.predict(self.task, pairs), found, strict=True)
        counted = iter(counts)
        for record in queries:
            if record.error or is_blank(record.texts[0]):
                reason = None if record.error else "empty"
                yield Match(self._unanswered(record, reason))
                continue
            matches = [next(answers) for _ in range(next(counted))]
            yield from self._best(record, matches)

    def _candidates(
        self, asked: Sequence[Record]
    ) -> Iterator[tuple[Record, list[int], list[float]]]:
        if not asked:
            return
        before_Q = None
        if self.among_itself:
            before_Q = len(self.corpus) + np.arange(len(asked))
            queries_QD = self.corpus.add(asked)
        else:
            queries_QD = self.predictor.embed([record.texts[0] for record in asked])
        count = max(self.top, self.candidates)
        index_QK, cosine_QK = nearest(queries_QD, self.corpus, count, before_Q)
        for record, index_K, cosine_K in zip(asked, index_QK, cosine_QK, strict=True):
            known_K = index_K >= 0
            yield record, index_K[known_K].tolist(), cosine_K[known_K].tolist()

    def _best(
        self, record: Record, answers: Sequence[tuple[Prediction, tuple[int, float]]]
    ) -> Iterator[Match]:
        threshold = -np.inf if self.threshold is None else self.threshold
        scored = [
            (-prediction.score, -round(cosine, _DIGITS), index, prediction)
            for prediction, (index, cosine) in answers
            if prediction.score is not None and prediction.score >= threshold
        ]
        scored.sort(key=lambda item: item[:3])
        for rank, (_, cosine, index, prediction) in enumerate(scored[: self.top], start=1):
            pair = replace(record, texts=prediction.record.texts)
            answer = replace(prediction, record=pair)
            matched = self.corpus.record(index)
            yield Match(answer, rank, matched.line, matched.id, -cosine)
        if scored:
            return
        error = next((prediction.error for prediction, _ in answers if prediction.error), None)
        reason = None if error else NO_MATCH
        yield Match(self._unanswered(replace(record, error=error), reason))

    def _unanswered(self, record: Record, reason: str | None) -> Prediction:
        texts = (next(iter(record.texts), ""), "")
        return Prediction(replace(record, texts=texts), self.task, skipped=reason)
