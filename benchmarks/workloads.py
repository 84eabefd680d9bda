"""The texts that every contender predicts, and those that it trains on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np

from benchmarks.adapters import BATCH_SIZE
from benchmarks.contenders import Work
from swiss_training.multitask.examples import read_files
from swiss_training.multitask.labels import DataFile
from swisscli.core.io.formats import ColumnChoice, InputFormat
from swisscli.core.tasks import TASKS, Split, input_columns
from swisscli.inference.readers import Source, read_records

Texts = list[tuple[str, ...]]

QUORA_PAIRS = 2000
TRAINING_SST, TRAINING_QUORA = TRAINING = "training-sst", "training-quora"
TRAINING_RECORDS = 120 * BATCH_SIZE
# The course's folder has the dev pairs of Quora for everyone, the training pairs for some.
_TRAINED: dict[str, tuple[str, Split]] = {
    TRAINING_SST: ("sentiment", "train"),
    TRAINING_QUORA: ("paraphrase", "dev"),
}
LENGTH_128 = "length-128"

# Words of one token each in any English BERT vocabulary: a text of n of them has n tokens.
_COMMON = """
    the of and to in a is that for it was on with as his he be at by had not are but from or have an
    they which one you were her all she there would their we him been has when who will more no if
    out so said what up its about into than them can only other new some could time these two may
    then do first any my now such like our over man me even most made after also did many before
    must through back years where much your way well down should because each just those people how
    too little state good very make world still own see men work long get here between
"""
WORDS = _COMMON.split()

# Tokens of a text without the special ones, in the dev files: 21 quantiles, from the shortest to
# the longest text in steps of 5 %.
SST_TOKENS = (2, 7, 10, 12, 13, 15, 17, 18, 19, 21, 22, 24, 25, 27, 28, 30, 32, 35, 38, 42, 58)
QUORA_TOKENS = (1, 7, 7, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 14, 15, 16, 18, 19, 22, 27, 89)
CFIMDB_TOKENS = (
    *(53, 88, 113, 131, 149, 161, 171, 183, 197, 204, 216),
    *(228, 242, 255, 263, 278, 311, 340, 367, 403, 469),
)

# The long texts of the mix: log-normal, some of them beyond the longest input.
LONG_MEDIAN, LONG_SIGMA, LONGEST = 120, 0.8, 900


@dataclass(frozen=True)
class Workload:
    """Records of one task.

    Attributes:
        name: Name in the results.
        task: Task to predict.
        texts: One or two texts per record.
        origin: Where the texts come from.
        labels: Class of each record, to train on; empty for records to predict.
    """

    name: str
    task: str
    texts: Texts
    origin: str
    labels: Sequence[int] = ()

    @property
    def work(self) -> Work:
        """Whether contenders predict the records or train on them."""
        return "training" if self.labels else "prediction"


def load(names: Sequence[str], data: Path | None, share: int = 1) -> list[Workload]:
    """Make workloads.

    Args:
        names: Names of the workloads.
        data: Folder of CS224N files; None makes synthetic texts of the same lengths.
        share: Keep every n-th record.
    """
    made = {} if set(names) <= set(TRAINING) else _prediction_workloads(data)
    made |= {name: _training_workload(name, data) for name in TRAINING if name in names}
    return [
        replace(
            made[name],
            # Every contender reads a pair in the order in which swiss does.
            texts=[TASKS[made[name].task].order_texts(item) for item in made[name].texts[::share]],
            labels=made[name].labels[::share],
        )
        for name in names
    ]


def _prediction_workloads(data: Path | None) -> dict[str, Workload]:
    if data:
        sst, quora, cfimdb = _read(data)
        origin = "CS224N dev files"
    else:
        sst, quora, cfimdb = _synthesise()
        origin = "synthetic"
    return {
        "sst": Workload("sst", "sentiment", sst, origin),
        "quora": Workload("quora", "paraphrase", quora, origin),
        "cfimdb": Workload("cfimdb", "sentiment", cfimdb, origin),
        "mix": Workload("mix", "paraphrase", _mix(sst, quora, cfimdb), f"{origin}, long texts"),
        LENGTH_128: Workload(LENGTH_128, "sentiment", _length_128(), "synthetic"),
    }


def _training_workload(name: str, data: Path | None) -> Workload:
    """Return the labelled records of 120 batches, or all where there are fewer."""
    task, split = _TRAINED[name]
    if data:
        file = str(TASKS[task].file_name(split))
        examples = read_files(TASKS[task], [DataFile(data / file)])
        last = len(examples.texts) - 1
        kept = np.linspace(0, last, min(TRAINING_RECORDS, last + 1)).astype(int)
        texts = [examples.texts[index] for index in kept]
        labels = [int(cast(float, examples.targets[index])) for index in kept]
        return Workload(name, task, texts, f"CS224N {split} file", labels)
    rng = np.random.default_rng(4)
    quantiles = SST_TOKENS if name == TRAINING_SST else QUORA_TOKENS
    columns = [_lengths(rng, quantiles, TRAINING_RECORDS) for _ in range(TASKS[task].arity)]
    texts = [tuple(_text(rng, n) for n in lengths) for lengths in zip(*columns, strict=True)]
    labels = rng.integers(len(TASKS[task].labels), size=len(texts)).tolist()
    return Workload(name, task, texts, "synthetic", labels)


def _read(data: Path) -> tuple[Texts, Texts, Texts]:
    sst, quora, cfimdb = (_read_task(data, name) for name in ("sentiment", "paraphrase", "cfimdb"))
    kept = np.linspace(0, len(quora) - 1, min(QUORA_PAIRS, len(quora))).astype(int)
    return sst, [quora[index] for index in kept], cfimdb


def _read_task(data: Path, name: str) -> Texts:
    task = TASKS[name]
    path = data / str(task.file_name("dev"))
    records = read_records(
        Source(str(path), InputFormat.TSV), input_columns([task]), ColumnChoice()
    )
    return [
        record.texts
        for record in records
        if record.error is None and all(text.strip() for text in record.texts)
    ]


def _synthesise() -> tuple[Texts, Texts, Texts]:
    """Make as many records as the dev files have, with texts of the same lengths."""
    rng = np.random.default_rng(1)
    sst = [(_text(rng, length),) for length in _lengths(rng, SST_TOKENS, 1101)]
    first, second = (_lengths(rng, QUORA_TOKENS, QUORA_PAIRS) for _ in range(2))
    quora = [(_text(rng, a), _text(rng, b)) for a, b in zip(first, second, strict=True)]
    cfimdb = [(_text(rng, length),) for length in _lengths(rng, CFIMDB_TOKENS, 245)]
    return list(sst), list(quora), list(cfimdb)


def _mix(sst: Texts, quora: Texts, cfimdb: Texts) -> Texts:
    """Make shuffled pairs of very different length: 1,961 with the whole files.

    Two thirds are as short as questions. The others have a long tail: a sentence and a review, or a
    sentence and a long text.
    """
    rng = np.random.default_rng(2)
    sentences = [item[0] for item in sst]
    pairs: Texts = list(quora[::2])
    pairs += [(sentences[i], sentences[i + 1]) for i in range(0, len(sentences) - 1, 2)]
    pairs += [(sentences[i % len(sentences)], item[0]) for i, item in enumerate(cfimdb)]
    # A twelfth of the whole.
    lengths = rng.lognormal(np.log(LONG_MEDIAN), LONG_SIGMA, round(len(pairs) / 10.8))
    pairs += [
        (sentences[-1 - i % len(sentences)], _text(rng, int(min(length, LONGEST))))
        for i, length in enumerate(lengths)
    ]
    return [pairs[index] for index in rng.permutation(len(pairs))]


def _length_128() -> Texts:
    """Make texts of 128 tokens, including the two special ones."""
    rng = np.random.default_rng(3)
    return [(_text(rng, 126),) for _ in range(4096)]


def _lengths(rng: np.random.Generator, quantiles: Sequence[int], count: int) -> list[int]:
    at = np.linspace(0, 1, len(quantiles))
    return [round(x) for x in np.interp(rng.uniform(size=count), at, quantiles).tolist()]


def _text(rng: np.random.Generator, num_words: int) -> str:
    return " ".join(WORDS[i] for i in rng.integers(len(WORDS), size=max(num_words, 1)))
