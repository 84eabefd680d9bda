"""Data files and batch streams."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from swiss_training.multitask.config import TrainConfig
from swiss_training.multitask.data import BatchStream, TaskDataset
from swiss_training.multitask.examples import Examples, read_files, read_tasks
from swiss_training.multitask.labels import DataFile
from swiss_training.multitask.losses import task_loss
from swisscli.core.errors import DataError
from swisscli.core.tasks import TASKS
from swisscli.core.tokenization import Tokenizer
from tests.support.paths import DATA, ENCODER, data_file

CLASSES = "0 very negative, 1 negative, 2 neutral, 3 positive, 4 very positive"
NO_COLUMN = ":1: no column has a name such as sentence, text or phrase"
Writer = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    def write(content: str) -> Path:
        path = tmp_path / "rows.tsv"
        path.write_bytes(content.encode("utf-8", "surrogateescape"))
        return path

    return write


def test_quirks_of_the_label_files(write: Writer) -> None:
    path = write(
        "\ufeff\tid\tsentence\tsentiment\r\n"
        "0\ta\t A \\/ B \t3\r\n"
        '1\tb\t"He said ""yes"" \r\n twice"\t0.0\r\n'
        "2\tc\tno label\t\r\n"
        "3\td\t \t1\r\n"
        "4\te\tlast line"
        "\tvery positive"
    )
    examples = read_files(TASKS["sentiment"], [DataFile(path)])
    assert examples.texts == [("A \\/ B",), ('He said "yes" \r\n twice',), ("last line",)]
    assert examples.targets == [3.0, 0.0, 4.0]
    assert examples.skipped == [f"{path}:5", f"{path}:6"]


def test_comma_separated_and_several_files(write: Writer, tmp_path: Path) -> None:
    commas = tmp_path / "commas.csv"
    commas.write_text('text_a,text_b,label\n"a, b",c,1\n')
    tabs = write("is_paraphrase\tsentence2\tsentence1\nnot paraphrase\ty\tx\n")
    examples = read_files(TASKS["paraphrase"], [DataFile(commas), DataFile(tabs)])
    assert examples.texts == [("a, b", "c"), ("x", "y")]
    assert examples.targets == [1.0, 0.0]


def test_relatedness_is_rescaled(write: Writer) -> None:
    path = write("sentence1\tsentence2\trelatedness_1to5\na\tb\t1\na\tb\t5\na\tb\t3.4\n")
    assert read_files(TASKS["similarity"], [DataFile(path)]).targets == pytest.approx(
        [0.0, 5.0, 3.0]
    )


@pytest.mark.parametrize(
    ("task", "content", "message"),
    [
        (
            "sentiment",
            "sentence\tsentiment\na\t1\nb\t7\n",
            ":3: column 'sentiment' is '7', not a class: " + CLASSES,
        ),
        (
            "sentiment",
            "sentence\tsentiment\na\t1.5\n",
            ":2: column 'sentiment' is '1.5', not a class: " + CLASSES,
        ),
        (
            "sentiment",
            "sentence\tsentiment\na\tnan\n",
            ":2: column 'sentiment' is 'nan', not a class: " + CLASSES,
        ),
        (
            "similarity",
            "sentence1\tsentence2\tsimilarity\na\tb\t5.1\n",
            ":2: column 'similarity' is '5.1', not a number from 0 to 5",
        ),
        (
            "similarity",
            "sentence1\tsentence2\tsimilarity\na\tb\thigh\n",
            ":2: column 'similarity' is 'high', not a number from 0 to 5",
        ),
        (
            "sentiment",
            "sentence\tsentiment\na\n",
            ":2: the row has no 'sentiment'",
        ),
        (
            "sentiment",
            "sentence\tsentiment\n\udcff\t1\n",
            ":2: column 'sentence': byte 1 of the record is not UTF-8 (0xff)",
        ),
        (
            "sentiment",
            "a\tsentiment\nx\t1\n",
            ":1: no column has a name such as sentence, text or phrase",
        ),
        ("sentiment", "sentence\tsentiment\n\t\n", ": no labelled example of sentiment"),
        ("sentiment", "", NO_COLUMN),
    ],
)
def test_bad_rows_name_file_line_and_column(
    write: Writer, task: str, content: str, message: str
) -> None:
    path = write(content)
    with pytest.raises(DataError) as caught:
        read_files(TASKS[task], [DataFile(path)])
    assert caught.value.message == f"{path}{message}"


def config(**values: object) -> TrainConfig:
    return TrainConfig(**{"data": str(DATA), **values})  # type: ignore[arg-type]


def test_files_replace_or_add() -> None:
    dev = str(DATA / "ids-sst-dev.csv")
    train, _ = read_tasks(config())
    assert len(train["sentiment"].targets) == 96
    train, _ = read_tasks(config(train_files={"sentiment": [dev]}))
    assert len(train["sentiment"].targets) == 30
    train, _ = read_tasks(config(extra_train_files={"sentiment": [dev]}))
    assert len(train["sentiment"].targets) == 126
    assert len(train["paraphrase"].skipped) == 1


def test_missing_data_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder") as caught:
        read_tasks(config(data=str(tmp_path / "nowhere")))
    assert "ids-sst-train.csv" in str(caught.value.hint)
    with pytest.raises(DataError, match="no data file of any task") as caught:
        read_tasks(config(data=str(tmp_path)))
    assert "quora-dev.csv" in str(caught.value.hint)
    (tmp_path / "sts-dev.csv").write_bytes((DATA / "sts-dev.csv").read_bytes())
    with pytest.raises(DataError, match=r"sentiment has no train file: .*ids-sst-train\.csv"):
        read_tasks(config(data=str(tmp_path)))
    with pytest.raises(DataError, match=r"similarity has no train file: .*sts-train\.csv"):
        read_tasks(config(data=str(tmp_path), tasks=["similarity"]))
    with pytest.raises(DataError, match=r"absent\.tsv: cannot be read"):
        read_tasks(config(train_files={"sentiment": [str(tmp_path / "absent.tsv")]}))


@pytest.mark.parametrize(
    ("task", "file", "rows", "skipped"),
    [
        ("sentiment", "cs224n/ids-sst-train.csv", 8544, 0),
        ("sentiment", "cs224n/ids-sst-dev.csv", 1101, 0),
        ("sentiment", "sst-train-phrases.tsv", 158842, 0),
        ("paraphrase", "cs224n/quora-dev.csv", 20212, 2),
        ("paraphrase", "quora-train-partial.tsv", 58263, 0),
        ("paraphrase", "extra/mrpc-train.tsv", 3844, 0),
        ("similarity", "cs224n/sts-train.csv", 6040, 0),
        ("similarity", "cs224n/sts-dev.csv", 863, 0),
        ("similarity", "extra/sick-train.tsv", 4906, 0),
    ],
)
def test_real_files(task: str, file: str, rows: int, skipped: int) -> None:
    examples = read_files(TASKS[task], [DataFile(data_file(file))])
    assert (len(examples.targets), len(examples.skipped)) == (rows, skipped)


@pytest.fixture(scope="module")
def dataset() -> TaskDataset:
    words = ["the", "film", "is", "good", "and", "very", "nice"]
    examples = Examples(TASKS["sentiment"])
    for index in range(103):
        examples.texts.append((" ".join(words[: 1 + index % 7]),))
        examples.targets.append(float(index))
    tokenizer = Tokenizer(ENCODER / "tokenizer.json", 64)
    return TaskDataset(examples, tokenizer, 0)


def test_a_pass_takes_every_example_once_in_a_new_order(dataset: TaskDataset) -> None:
    stream = BatchStream(dataset, 8, (1,))
    assert stream.num_batches == 13
    passes = [
        np.concatenate([stream.next().targets_B.numpy() for _ in range(13)]) for _ in range(2)
    ]
    assert all(sorted(targets) == list(range(103)) for targets in passes)
    assert passes[0].tolist() != passes[1].tolist()


def test_a_stream_resumes_at_any_position(dataset: TaskDataset) -> None:
    stream = BatchStream(dataset, 8, (1,))
    batches = [stream.next() for _ in range(30)]
    for position in (0, 12, 13, 29):
        resumed = BatchStream(dataset, 8, (1,), position).next()
        assert resumed.targets_B.tolist() == batches[position].targets_B.tolist()
    other = BatchStream(dataset, 8, (2,)).next()
    assert other.targets_B.tolist() != batches[0].targets_B.tolist()


def test_batches_are_of_like_length_and_padded_to_their_longest(dataset: TaskDataset) -> None:
    stream = BatchStream(dataset, 8, (1,))
    padding = tokens = 0
    for _ in range(stream.num_batches):
        batch = stream.next()
        lengths = batch.attention_mask_ST.sum(1)
        assert batch.input_ids_ST.shape[1] == lengths.max()
        assert (batch.input_ids_ST[batch.attention_mask_ST == 0] == 0).all()
        padding += int((batch.attention_mask_ST == 0).sum())
        tokens += int(lengths.sum())
    assert padding < 0.1 * tokens


def pairs() -> TaskDataset:
    texts = [("b c", "a"), ("a", "b c"), *((f"{'so ' * n}a", "b") for n in range(5))]
    examples = Examples(TASKS["similarity"], texts, [float(n % 3) for n in range(7)])
    return TaskDataset(examples, Tokenizer(ENCODER / "tokenizer.json", 64), 0)


def test_the_parts_of_a_batch_have_its_loss_and_no_more_tokens() -> None:
    batch = pairs().batch(range(7))
    parts = batch.split(3 * batch.input_ids_ST.shape[1])
    assert [len(part.targets_B) for part in parts] == [3, 3, 1]
    logits_BC = torch.randn(7, 1, generator=torch.Generator().manual_seed(1))
    whole = task_loss(TASKS["similarity"], logits_BC, batch.targets_B)
    added = sum(
        task_loss(TASKS["similarity"], logits_PC, part.targets_B).item() * len(logits_PC) / 7
        for logits_PC, part in zip(logits_BC.split(3), parts, strict=True)
    )
    assert added == pytest.approx(whole.item(), rel=1e-6)
    assert batch.split(0) == [batch]
    assert all(len(part.targets_B) == 1 for part in batch.split(1))


def test_a_pair_of_a_symmetric_task_is_read_in_one_order() -> None:
    first, second = pairs().encodings[:2]
    assert first[0].ids.tolist() == second[0].ids.tolist()
