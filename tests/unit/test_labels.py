"""Labels of every grain in one head: maps, marginal likelihood, weights and shares of files."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from swiss_training.multitask.config import TrainConfig
from swiss_training.multitask.examples import read_files
from swiss_training.multitask.labels import DataFile, stack_targets
from swiss_training.multitask.losses import task_loss
from swiss_training.multitask.metrics import score
from swiss_training.order import rows_of_pass, size_of_pass
from swisscli.core.errors import ConfigurationError, DataError
from swisscli.core.tasks import TASKS

SENTIMENT, PARAPHRASE, SIMILARITY = (
    TASKS[name] for name in ("sentiment", "paraphrase", "similarity")
)
TONE = "?column=tone&labels=negative:0-1,neutral:2,Positive:positive|very positive"


@pytest.fixture
def tweets(tmp_path: Path) -> Path:
    path = tmp_path / "tweets.tsv"
    path.write_text("text\ttone\nawful\tNegative\nso-so\tneutral\nyay\tpositive\n")
    return path


def test_coarse_labels_allow_several_classes(tweets: Path) -> None:
    examples = read_files(SENTIMENT, [DataFile.parse(f"{tweets}{TONE}", SENTIMENT)])
    assert examples.targets == [(0, 1), 2.0, (3, 4)]
    assert stack_targets(SENTIMENT, examples.targets).tolist() == [
        [1, 1, 0, 0, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 0, 1, 1],
    ]


def test_numbers_are_mapped_however_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "polarity.csv"
    path.write_text("review,sentiment\na,0\nb,1.0\n")
    file = DataFile.parse(f"{path}?labels=0:0-1,1:3-4", SENTIMENT)
    assert read_files(SENTIMENT, [file]).targets == [(0, 1), (3, 4)]


def test_true_and_false_are_the_second_class_and_the_first(tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").write_text(
        '{"text1": "a", "text2": "b", "label": true}\n'
        '{"text1": "a", "text2": "c", "label": false}\n'
    )
    (tmp_path / "pairs.csv").write_text("text1,text2,label\na,b,True\na,c,FALSE\n")
    for name in ("pairs.jsonl", "pairs.csv"):
        file = DataFile.parse(str(tmp_path / name), PARAPHRASE)
        assert read_files(PARAPHRASE, [file]).targets == [1.0, 0.0]


def test_star_ratings_may_be_off_by_one(tmp_path: Path) -> None:
    path = tmp_path / "stars.csv"
    path.write_text("review,label\na,1\nb,3\nc,5\n")
    stars = "labels=1:0,2:1,3:2,4:3,5:4"
    file = DataFile.parse(f"{path}?{stars}&tolerance=1", SENTIMENT)
    assert read_files(SENTIMENT, [file]).targets == [(0, 1), (1, 2, 3), (3, 4)]
    own = DataFile.parse(f"{path}?tolerance=1", SENTIMENT)
    assert own.target(SENTIMENT, "very negative") == (0, 1)


def test_scores_on_another_scale(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("sentence1,sentence2,score\na,b,1\nc,d,7\ne,f,4\n")
    file = DataFile.parse(f"{path}?range=1:7", SIMILARITY)
    assert read_files(SIMILARITY, [file]).targets == [0.0, 5.0, 2.5]


def test_labels_of_another_task_become_a_class(tmp_path: Path) -> None:
    path = tmp_path / "nli.tsv"
    path.write_text("sentence1\tsentence2\tlabel\na\tb\tentailment\na\tc\tcontradiction\n")
    file = DataFile.parse(f"{path}?labels=entailment:1,contradiction:0", PARAPHRASE)
    assert read_files(PARAPHRASE, [file]).targets == [1.0, 0.0]


def test_a_label_without_a_class_is_refused_with_its_place(tweets: Path) -> None:
    file = DataFile.parse(f"{tweets}?column=tone&labels=negative:0-1,positive:3-4", SENTIMENT)
    with pytest.raises(DataError, match=r"tweets.tsv:3: column 'tone' is 'neutral', not one of"):
        read_files(SENTIMENT, [file])


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("labels=negative", "is not LABEL:CLASSES"),
        ("labels=negative:0-9", "is not LABEL:CLASSES"),
        ("labels=a:0,A:1", "each label once"),
        ("colour=red", "is not one of column=..., texts=..., delimiter=..., labels=..."),
        ("weight=0", "weight is '0', but must be above 0"),
        ("share=1", "share is '1', but must be above 0 and below 1"),
        ("tolerance=5", "tolerance=5"),
        ("range=1:5", "not LOW:HIGH of a task with scores"),
    ],
)
def test_a_wrong_option_of_a_file_is_refused(query: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        DataFile.parse(f"tweets.tsv?{query}", SENTIMENT)
    assert message in f"{caught.value.message} {caught.value.hint}"


def test_a_pair_task_takes_no_set_of_classes() -> None:
    with pytest.raises(ConfigurationError, match="names several classes"):
        DataFile.parse("pairs.tsv?labels=maybe:0-1", PARAPHRASE)


def test_wrong_files_are_refused_with_the_rest_of_the_configuration() -> None:
    with pytest.raises(ConfigurationError, match=r"(?s)weight is '-1'.*add up to 1.2"):
        TrainConfig(
            train_files={
                "sentiment": ["a.tsv?weight=-1"],
                "paraphrase": ["b.tsv?share=0.6", "c.tsv?share=0.6"],
            }
        )


def test_a_file_with_a_question_mark_in_its_name_is_read(tmp_path: Path) -> None:
    path = tmp_path / "what?.tsv"
    path.write_text("text\tlabel\n")
    assert DataFile.parse(str(path), SENTIMENT).path == path


def test_marginal_likelihood_of_one_class_is_cross_entropy() -> None:
    torch.manual_seed(1)
    logits_BC, classes_B = torch.randn(6, 5), torch.tensor([0, 1, 2, 3, 4, 0])
    exact = task_loss(SENTIMENT, logits_BC, classes_B.float())
    marginal = task_loss(SENTIMENT, logits_BC, F.one_hot(classes_B, 5).float())
    assert marginal == pytest.approx(exact.item(), rel=1e-6)


def test_marginal_likelihood_of_several_classes_is_their_joint_probability() -> None:
    logits_BC = torch.tensor([[1.0, -2.0, 0.5, 3.0, 0.0]], requires_grad=True)
    allowed_BC = torch.tensor([[1.0, 1.0, 0.0, 0.0, 0.0]])
    loss = task_loss(SENTIMENT, logits_BC, allowed_BC)
    probabilities = logits_BC.softmax(1)[0]
    assert loss.item() == pytest.approx(-torch.log(probabilities[0] + probabilities[1]).item())
    loss.backward()
    assert logits_BC.grad is not None
    assert torch.isfinite(logits_BC.grad).all()


@pytest.mark.parametrize("task", [SENTIMENT, PARAPHRASE, SIMILARITY], ids=lambda task: task.name)
def test_weights_are_factors_of_each_loss(task) -> None:  # type: ignore[no-untyped-def]
    logits_BC = torch.randn(4, task.num_outputs, generator=torch.Generator().manual_seed(1))
    targets_B = torch.tensor([0.0, 1.0, 1.0, 0.0])
    each = [task_loss(task, logits_BC[i : i + 1], targets_B[i : i + 1]).item() for i in range(4)]
    weights_B = torch.tensor([1.0, 0.5, 2.0, 0.25])
    expected = sum(w * loss for w, loss in zip(weights_B.tolist(), each, strict=True)) / 4
    weighted = task_loss(task, logits_BC, targets_B, weights_B)
    assert weighted.item() == pytest.approx(expected, rel=1e-5)


def test_any_allowed_class_is_right_in_the_metric() -> None:
    logits_NC = np.eye(5)[[0, 2, 4]]
    allowed_NC = stack_targets(SENTIMENT, [(0, 1), (3, 4), 4.0])
    assert score(SENTIMENT, logits_NC, allowed_NC).value == pytest.approx(2 / 3)


def test_a_file_with_a_share_is_that_part_of_every_pass_and_comes_equally_often() -> None:
    shares = [(range(60), 0.0), (range(60, 100), 0.25)]
    assert size_of_pass(shares, 100) == 80
    counts: Counter[int] = Counter()
    for number in range(6):
        rows = rows_of_pass(shares, 100, (7, 0), number)
        assert len(rows) == 80
        assert sorted(rows[:60]) == list(range(60))
        counts.update(rows[60:].tolist())
    assert set(counts) == set(range(60, 100))
    assert set(counts.values()) == {3}


def test_a_small_file_is_repeated_to_its_share() -> None:
    shares = [(range(90), 0.0), (range(90, 95), 0.5)]
    rows = rows_of_pass(shares, 95, (7, 0), 0)
    counts = Counter(rows[90:].tolist())
    assert (len(rows), set(counts), set(counts.values())) == (180, set(range(90, 95)), {18})


def test_shares_of_all_files_divide_up_a_pass() -> None:
    shares = [(range(10), 0.8), (range(10, 100), 0.2)]
    rows = rows_of_pass(shares, 100, (7, 0), 3)
    assert sum(rows < 10) == 80
    assert len(rows) == 100


def test_without_shares_every_row_comes_once() -> None:
    assert rows_of_pass([], 5, (7, 0), 3).tolist() == [0, 1, 2, 3, 4]
