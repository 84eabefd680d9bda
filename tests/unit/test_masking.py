"""Masks: whom they hit, how often, and that they are a function of seed and position."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer as RawTokenizer
from tokenizers import models, pre_tokenizers, processors

from swiss_training.masked_lm.corpus import Corpus
from swiss_training.masked_lm.masking import MaskedBatches, Vocabulary, mask
from swisscli.core.errors import ModelError
from swisscli.core.tokenization import Tokenizer

WORDS = [f"w{index}" for index in range(500)]


@pytest.fixture
def make_tokenizer(tmp_path: Path) -> Callable[..., Tokenizer]:
    def make(
        mask_token: str | None = "[MASK]", max_length: int = 64, *, special: bool = True
    ) -> Tokenizer:
        tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *([mask_token] if mask_token else [])]
        ids = {token: index for index, token in enumerate((*tokens, *WORDS))}
        raw = RawTokenizer(models.WordLevel(ids, unk_token="[UNK]"))
        raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        raw.add_special_tokens(tokens if special else tokens[:4])
        raw.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
        raw.save(str(tmp_path / "tokenizer.json"))
        return Tokenizer(tmp_path / "tokenizer.json", max_length)

    return make


def corpus_of(tokenizer: Tokenizer, texts: list[str]) -> Corpus:
    sequences = [ids for pieces in tokenizer.encode_pieces(texts) for ids in pieces]
    return Corpus(np.concatenate(sequences), np.cumsum([0, *map(len, sequences)]))


@pytest.mark.parametrize("token", ["[MASK]", "<mask>"])
@pytest.mark.parametrize("special", [True, False])
def test_the_vocabulary_knows_its_special_tokens(
    make_tokenizer: Callable[..., Tokenizer], token: str, special: bool
) -> None:
    vocabulary = Vocabulary.of(make_tokenizer(token, special=special), 0, "x")
    assert vocabulary.mask_id == 4
    assert vocabulary.ordinary_ids.tolist() == list(range(5, 505))
    assert vocabulary.is_ordinary_V.tolist() == [False] * 5 + [True] * 500


def test_no_mask_token(make_tokenizer: Callable[..., Tokenizer]) -> None:
    with pytest.raises(ModelError) as caught:
        Vocabulary.of(make_tokenizer(None), 0, "some/encoder")
    assert caught.value.message == (
        "some/encoder: its tokenizer has no mask token, [MASK] or <mask>"
    )


def test_masking_statistics(make_tokenizer: Callable[..., Tokenizer]) -> None:
    vocabulary = Vocabulary.of(make_tokenizer(), 0, "x")
    random = np.random.default_rng(0)
    ids_BT = random.integers(5, 505, (400, 102))
    ids_BT[:, 0], ids_BT[:, 60], ids_BT[:, 101] = 2, 1, 3
    masked_BT, positions_M = mask(ids_BT, vocabulary, np.random.default_rng(1))
    # 15 % of the 99 ordinary tokens of each row, and no special one.
    rows_M, columns_M = np.divmod(positions_M, 102)
    assert np.bincount(rows_M).tolist() == [15] * 400
    assert not set(columns_M.tolist()) & {0, 60, 101}
    # Every column is as likely: 400 * 15 / 99 times, within five standard deviations.
    counts = np.delete(np.bincount(columns_M, minlength=102), [0, 60, 101])
    assert np.abs(counts - 60.6).max() < 5 * np.sqrt(60.6)
    changed = np.zeros(ids_BT.size, dtype=bool)
    changed[positions_M] = True
    assert np.array_equal(masked_BT.ravel()[~changed], ids_BT.ravel()[~changed])
    before, after = ids_BT.ravel()[positions_M], masked_BT.ravel()[positions_M]
    is_masked, is_same = after == 4, after == before
    assert is_masked.mean() == pytest.approx(0.8, abs=0.02)
    assert is_same.mean() == pytest.approx(0.1, abs=0.02)
    random_ids = after[~is_masked & ~is_same]
    assert len(random_ids) / len(after) == pytest.approx(0.1, abs=0.02)
    assert random_ids.min() >= 5
    assert len(set(random_ids.tolist())) > 300


def test_short_sequences_have_one_token_to_predict(
    make_tokenizer: Callable[..., Tokenizer],
) -> None:
    vocabulary = Vocabulary.of(make_tokenizer(), 0, "x")
    ids_BT = np.array([[2, 7, 3, 0, 0, 0], [2, 7, 1, 1, 8, 3], [2, 1, 9, 3, 0, 0]])
    for seed in range(20):
        _, positions_M = mask(ids_BT, vocabulary, np.random.default_rng(seed))
        rows, columns = np.divmod(positions_M, 6)
        assert rows.tolist() == [0, 1, 2]
        assert columns[0] == 1
        assert columns[1] in (1, 4)
        assert columns[2] == 2


def test_batches_are_a_function_of_seed_and_number(
    make_tokenizer: Callable[..., Tokenizer],
) -> None:
    tokenizer = make_tokenizer()
    vocabulary = Vocabulary.of(tokenizer, 0, "x")
    random = np.random.default_rng(3)
    texts = [" ".join(random.choice(WORDS, length)) for length in range(1, 31)]
    corpus = corpus_of(tokenizer, texts)

    def stream(seed: int) -> MaskedBatches:
        return MaskedBatches(corpus, 4, vocabulary, seed)

    def original(batch: object) -> list[list[int]]:
        ids = batch.input_ids_BT.clone()  # type: ignore[attr-defined]
        ids.view(-1)[batch.positions_M] = batch.labels_M  # type: ignore[attr-defined]
        return sorted([token for token in row if token] for row in ids.tolist())

    first, second = stream(1), stream(1)
    assert first.num_batches == 8
    forward = [first.batch(number) for number in range(24)]
    for number in reversed(range(24)):  # no memory of what was taken before
        again = second.batch(number)
        for name, tensor in vars(forward[number]).items():
            assert torch.equal(tensor, getattr(again, name))
    # Each pass has every sequence once, the second with other masks than the first.
    whole = sorted(e.ids.tolist() for e in corpus.encodings(range(len(corpus))))
    for start in (0, 8, 16):
        one_pass = forward[start : start + 8]
        assert sorted(row for batch in one_pass for row in original(batch)) == whole
    by_pass = [
        {tuple(row) for batch in forward[s : s + 8] for row in batch.input_ids_BT.tolist()}
        for s in (0, 8)
    ]
    assert by_pass[0] != by_pass[1]
    assert not torch.equal(stream(2).batch(0).input_ids_BT, forward[0].input_ids_BT)
    # Those of the held-out text are the same each time, and are not those of training.
    dev = list(first.by_length())
    assert sorted(row for batch in dev for row in original(batch)) == whole
    assert all(
        torch.equal(a.input_ids_BT, b.input_ids_BT)
        for a, b in zip(dev, first.by_length(), strict=True)
    )


def test_each_pass_has_masks_of_its_own(make_tokenizer: Callable[..., Tokenizer]) -> None:
    tokenizer = make_tokenizer()
    corpus = corpus_of(tokenizer, [" ".join(WORDS[:40])])
    stream = MaskedBatches(corpus, 1, Vocabulary.of(tokenizer, 0, "x"), 0)
    chosen = {tuple(stream.batch(number).positions_M.tolist()) for number in range(5)}
    assert len(chosen) == 5


def test_padding_is_neither_attended_to_nor_predicted(
    make_tokenizer: Callable[..., Tokenizer],
) -> None:
    tokenizer = make_tokenizer()
    corpus = corpus_of(tokenizer, ["w1", "w2 w3 w4 w5"])
    batch = MaskedBatches(corpus, 2, Vocabulary.of(tokenizer, 0, "x"), 0).batch(0)
    assert batch.attention_mask_BT.sum(1).tolist() in ([3, 6], [6, 3])
    assert batch.attention_mask_BT.view(-1)[batch.positions_M].all()
    assert (batch.labels_M >= 5).all()
    assert not batch.token_type_ids_BT.any()
