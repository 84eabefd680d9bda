"""`swisscli.ray.PredictSentiment` and its like, which any engine can map over columns."""

import numpy as np
import pytest

import swisscli.ray
from swisscli import Predictor
from swisscli.core.errors import ConfigurationError


def column(*values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def test_the_answers_stand_beside_the_columns(tiny_model):
    batch = {"text": column("good film", None, float("nan"), "", 5), "error": column(*"abcde")}
    answered = swisscli.ray.PredictSentiment(model=str(tiny_model))(batch)
    expected = next(Predictor(str(tiny_model)).predict("sentiment", ["good film"]))
    assert list(answered) == [*batch, "sentiment_label", "sentiment_score", "error_2", "flags"]
    assert answered["error"].tolist() == list("abcde")
    assert answered["sentiment_label"].tolist() == [expected.label, None, None, None, None]
    assert answered["sentiment_score"][0] == expected.score
    assert np.isnan(answered["sentiment_score"][1:]).all()
    assert answered["flags"].tolist() == [None, "empty", "empty", "empty", None]
    assert answered["error_2"].tolist() == [None] * 4 + ["invalid_type: 'text' is not a string"]


def test_pairs_have_two_columns(tiny_model):
    batch = {"a": column("good"), "b": column("good")}
    predict = swisscli.ray.PredictSimilarity(columns=("a", "b"), model=str(tiny_model))
    assert 0 <= predict(batch)["similarity_score"][0] <= 5
    assert predict({"a": column(), "b": column()})["similarity_score"].shape == (0,)


def test_a_missing_column_is_named(tiny_model):
    with pytest.raises(ConfigurationError, match=r"'text'.*'review'"):
        swisscli.ray.PredictSentiment(model=str(tiny_model))({"review": column("good")})
    with pytest.raises(ConfigurationError, match="names 1, paraphrase reads 2"):
        swisscli.ray.PredictParaphrase(columns=("a",), model=str(tiny_model))
