"""Compares `swiss match --self` with `paraphrase_mining` of sentence-transformers.

    pip install -r benchmarks/peers.txt
    python -m benchmarks.matching MODEL ENCODER data/cs224n/quora-dev.csv

MODEL is a model directory with a graph; ENCODER a sentence encoder, which sentence-transformers
reads with mean pooling. The file is a TSV with `sentence1`, `sentence2` and `is_duplicate`.

First, how well the embeddings find candidates: of the duplicates among the first `--searched`
pairs, the share whose second question is among the k nearest of all questions to the first. Then
both search the questions of the first `--mined` pairs for duplicates, without knowing the pairs.
The score is the average precision over the labelled pairs; pairs that were not found come last.
Seconds are those of the search with a loaded model, on the clock and of the processor.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import paraphrase_mining
from sklearn.metrics import average_precision_score

from swisscli import Predictor
from swisscli.core.columns import InputColumns
from swisscli.core.io.formats import InputFormat
from swisscli.core.io.tables import read_table
from swisscli.core.records import Record
from swisscli.inference.matching import Corpus, Matcher

NEAREST = (1, 5, 10, 20, 50)

Pair = tuple[int, int]
Scores = Mapping[Pair, float]
Floats = npt.NDArray[np.float32]
Value = TypeVar("Value")


class Questions(NamedTuple):
    """Distinct questions, and for each labelled pair of them whether it is a duplicate."""

    texts: list[str]
    labels: dict[Pair, bool]

    def duplicates(self) -> list[Pair]:
        """The pairs that are duplicates."""
        return [pair for pair, is_duplicate in self.labels.items() if is_duplicate]


def read(path: Path, num_pairs: int) -> Questions:
    """Read the first pairs that have two texts and a label."""
    indices: dict[str, int] = {}
    labels: dict[Pair, bool] = {}
    columns = InputColumns("pairs", (("sentence1",), ("sentence2",)), ("is_duplicate",))
    with path.open("rb") as stream:
        rows = read_table(stream, str(path), InputFormat.TSV, columns)
        for row in islice((row for row in rows if all(row.texts)), num_pairs):
            if not row.label:
                continue
            first, second = sorted(
                indices.setdefault(text.strip(), len(indices)) for text in row.texts
            )
            if first != second:
                labels[first, second] = float(row.label) == 1
    return Questions(list(indices), labels)


def recall(vectors_ND: Floats, duplicates: list[Pair]) -> Iterator[float]:
    """For each k, the share of duplicates whose second is among the k nearest to the first."""
    ranks = []
    for first, second in duplicates:
        cosine_N = vectors_ND @ vectors_ND[first]
        cosine_N[first] = -np.inf
        ranks.append(int((cosine_N > cosine_N[second]).sum()))
    for count in NEAREST:
        yield float(np.mean(np.array(ranks) < count))


def mine_with_swiss(
    predictor: Predictor, texts: list[str], candidates: int
) -> tuple[Scores, Scores]:
    """Search with `swiss match --self`; the scores of the pairs found, and their cosines."""
    scores, cosines = {}, {}
    records = [Record(line, (text,)) for line, text in enumerate(texts)]
    with closing(Corpus(predictor)) as corpus:
        matcher = Matcher(predictor, corpus, top=candidates, among_itself=True)
        for match in matcher.match(records):
            if match.prediction.score is not None:
                pair = (match.line, match.prediction.record.line)
                scores[pair], cosines[pair] = match.prediction.score, match.cosine
    return scores, cosines


def mine_with_peer(encoder: SentenceTransformer, texts: list[str], candidates: int) -> Scores:
    """Search with `paraphrase_mining`; the cosines of the pairs found."""
    found = paraphrase_mining(encoder, texts, top_k=candidates)
    return {(int(first), int(second)): score for score, first, second in found}


def measure_seconds(function: Callable[[], Value]) -> tuple[Value, str]:
    """Call a function; returns its value, and how long it took as cells of a table."""
    clock, processor = time.perf_counter(), time.process_time()
    value = function()
    seconds, of_processor = time.perf_counter() - clock, time.process_time() - processor
    return value, f"{seconds:.0f} | {of_processor:.0f}"


def quality(scores: Scores, questions: Questions) -> str:
    """The share of duplicates that were found, and the average precision, as cells of a table."""
    duplicates = questions.duplicates()
    share = np.mean([pair in scores for pair in duplicates])
    given = [scores.get(pair, -2.0) for pair in questions.labels]
    precision = average_precision_score(list(questions.labels.values()), given)
    return f"{share:.3f} | {precision:.3f}"


def main() -> None:
    """Print two tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", help="model directory with a graph")
    parser.add_argument("encoder", help="sentence encoder of the peer")
    parser.add_argument("pairs", type=Path, help="TSV of labelled pairs")
    parser.add_argument("--searched", type=int, default=5000, help="pairs of the first table")
    parser.add_argument("--mined", type=int, default=750, help="pairs of the second table")
    parser.add_argument("--candidates", type=int, default=20, help="candidates per question")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    predictor = Predictor(args.model, device="cpu", threads=args.threads)
    encoder = SentenceTransformer(args.encoder, device="cpu")

    questions = read(args.pairs, args.searched)
    duplicates = questions.duplicates()
    print(f"\n{len(questions.texts):,} questions, {len(duplicates):,} duplicates\n")
    print("| embedding | " + " | ".join(f"k = {count}" for count in NEAREST) + " | s | CPU s |")
    print("| --- |" + " ---: |" * (len(NEAREST) + 2))
    embedders: dict[str, Callable[[], Floats]] = {
        "swiss": lambda: predictor.embed(questions.texts),
        "sentence-transformers": lambda: encoder.encode(questions.texts, normalize_embeddings=True),
    }
    for name, embed in embedders.items():
        vectors_ND, seconds = measure_seconds(embed)
        shares = " | ".join(f"{share:.3f}" for share in recall(vectors_ND, duplicates))
        print(f"| {name} | {shares} | {seconds} |")

    questions = read(args.pairs, args.mined)
    texts = questions.texts
    counts = f"{len(texts):,} questions, {len(questions.labels):,} labelled pairs"
    print(f"\n{counts}, {len(questions.duplicates()):,} duplicates\n")
    print("| search | duplicates found | average precision | s | CPU s |")
    print("| --- | ---: | ---: | ---: | ---: |")
    (scores, cosines), seconds = measure_seconds(
        lambda: mine_with_swiss(predictor, texts, args.candidates)
    )
    print(f"| swiss match --self | {quality(scores, questions)} | {seconds} |")
    print(f"| the same pairs by cosine | {quality(cosines, questions)} | | |")
    found, seconds = measure_seconds(lambda: mine_with_peer(encoder, texts, args.candidates))
    print(f"| paraphrase_mining | {quality(found, questions)} | {seconds} |")


if __name__ == "__main__":
    main()
