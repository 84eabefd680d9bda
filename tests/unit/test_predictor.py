"""The predictor on a tiny real graph."""

import itertools
import math
import pickle
import random
import threading
import time
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

from swisscli import Predictor
from swisscli.core.errors import ConfigurationError, DeviceError, ModelError
from swisscli.core.model.directory import GRAPH, PREDICTION_FILES, TOKENIZER
from swisscli.core.records import Prediction, Record, RecordError
from swisscli.core.tasks import DEFAULT_TASKS, TASKS
from swisscli.core.tokenization import Tokenizer
from swisscli.inference import devices, session

LETTERS = "bcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def predictor(tiny_model):
    return Predictor(tiny_model)


def random_texts(count, seed=0):
    rng = random.Random(seed)
    return [" ".join(rng.choices(LETTERS, k=rng.randint(1, 20))) for _ in range(count)]


def test_softmax_sigmoid_and_clipping(predictor, tiny_model):
    text, pair = "good film", ("bad film", "good")
    tokenizer = Tokenizer(tiny_model / TOKENIZER, 16)
    graph = session.Session(tiny_model / GRAPH, DEFAULT_TASKS, device="cpu")

    def logits(task, texts):
        (encoding,) = tokenizer.encode([texts])
        ids, types = (np.array([x], dtype=np.int64) for x in (encoding.ids, encoding.type_ids))
        return graph.run(task, ids, np.ones_like(ids), types)[0].astype(float)

    (sentiment,) = predictor.predict("sentiment", [text])
    exponentials = np.exp(logits("sentiment", (text,)))
    assert sentiment.probabilities == pytest.approx(exponentials / exponentials.sum())
    assert sentiment.score == max(sentiment.probabilities)
    assert sentiment.label == "positive"
    assert sentiment.class_index == 3

    (paraphrase,) = predictor.predict("paraphrase", [pair])
    expected = 1 / (1 + math.exp(-logits("paraphrase", pair)[0]))
    assert paraphrase.score == pytest.approx(expected)
    assert paraphrase.probabilities == pytest.approx((1 - expected, expected))
    assert paraphrase.label == ("paraphrase" if expected > 0.5 else "not paraphrase")

    pairs = [pair, *itertools.combinations(LETTERS, 2)]
    scores = [item.score for item in predictor.predict("similarity", pairs)]
    clipped = [float(np.clip(logits("similarity", item)[0], 0, 5)) for item in pairs]
    assert scores == pytest.approx(clipped, abs=1e-5)
    assert {0.0, 5.0} < set(scores)


def test_an_answer_does_not_depend_on_the_batch(tiny_model):
    texts = random_texts(300)
    alone = Predictor(tiny_model, batch_tokens=1)
    together = Predictor(tiny_model, batch_tokens=100_000)
    for one, many in zip(alone.predict("sst", texts), together.predict("sst", texts), strict=True):
        assert one.probabilities == pytest.approx(many.probabilities, abs=1e-6)


def test_records_of_every_kind_in_order(predictor):
    failed = Record(8, (), error=RecordError("missing_column", "no text"))
    records = ["good", ["bad"], Record(7, ("film",), id="x"), failed, "  \t", ""]
    predictions = list(predictor.predict("sentiment", records))
    assert [item.record.line for item in predictions] == [1, 2, 7, 8, 5, 6]
    assert [item.skipped for item in predictions] == [None, None, None, None, "empty", "empty"]
    assert predictions[3] == Prediction(failed, "sentiment")


def test_prediction_is_lazy(predictor):
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield "good film"

    predictions = predictor.predict("sst", endless())
    assert taken == 0
    assert next(predictions).label == "positive"
    assert taken < 1000


@pytest.mark.parametrize("record", ["one text", ("a", "b", "c"), Record(1, ("a",))])
def test_a_wrong_number_of_texts(predictor, record):
    with pytest.raises(ConfigurationError, match=r"similarity needs 2"):
        list(predictor.predict("similarity", [record]))


def test_an_unknown_task(predictor):
    with pytest.raises(ConfigurationError, match="unknown task"):
        predictor.predict("irony", [])


def test_truncation_is_told(predictor):
    texts = [" ".join("b" * length) for length in (14, 15)] + ["b" * 1_000_000]
    predictions = list(predictor.predict("sst", texts))
    assert [item.truncated for item in predictions] == [False, True, True]
    assert [item.num_tokens for item in predictions] == [16, 16, 3]


@pytest.fixture
def run_instead(monkeypatch):
    """Let a function take the place of ONNX Runtime's `run`.

    It gets that `run`, to be called without arguments, the names of the outputs and the input ids.
    """
    real = onnxruntime.InferenceSession.run

    def replace_by(instead):
        def run(self, names, inputs, options=None):
            return instead(lambda: real(self, names, inputs, options), names, inputs["input_ids"])

        monkeypatch.setattr(onnxruntime.InferenceSession, "run", run)

    return replace_by


@pytest.fixture
def computed(run_instead):
    """What is really run: for each call the outputs and the number of sequences."""
    calls = []

    def counted(run, names, ids_BT):
        calls.append((names, len(ids_BT)))
        return run()

    run_instead(counted)
    return calls


def num_rows(calls):
    return sum(rows for _, rows in calls)


def test_a_repeated_text_is_computed_once(tiny_model, computed):
    texts = random_texts(1000)
    expected = list(Predictor(tiny_model).predict("sst", texts))
    computed.clear()
    predictor = Predictor(tiny_model)
    repeated = texts + texts[::-1] + ["", " "] + texts[:10] * 3
    found = list(predictor.predict("sst", repeated))
    assert num_rows(computed) == len(set(texts))
    assert [item.record.line for item in found] == list(range(1, len(repeated) + 1))
    assert [item.record.texts for item in found] == [(text,) for text in repeated]
    by_text = {item.record.texts[0]: item for item in expected}
    for item in found:
        if item.record.texts[0].strip():
            like = by_text[item.record.texts[0]]
            assert item.probabilities == pytest.approx(like.probabilities, abs=1e-6)
            assert (item.label, item.num_tokens) == (like.label, like.num_tokens)
            assert item.truncated == like.truncated


def test_a_later_call_computes_only_what_is_new(predictor, computed):
    list(predictor.predict("sst", ["good film", "bad film"]))
    list(predictor.predict("sst", ["bad film", "the film", "Bad film"]))
    assert num_rows(computed) == 4
    list(predictor.predict("para", [("good", "bad"), ("bad", "good"), ("good", "bad")]))
    assert num_rows(computed) == 5


def test_repeated_texts_keep_what_is_their_own(predictor):
    records = [Record(3, ("good nan",), id="x"), Record(9, ("good nan",), id=7)]
    first, second = predictor.predict("sst", records)
    assert (first.record.line, first.record.id) == (3, "x")
    assert (second.record.line, second.record.id) == (9, 7)
    assert first.error == second.error
    assert first.error.code == "not_finite"


def test_several_tasks_run_the_encoder_once(predictor, computed):
    pairs = [("good", "bad film"), ("a", "b"), ("", "b")]
    found = list(predictor.predict_tasks(["similarity", "para"], pairs))
    assert computed == [(["similarity", "paraphrase"], 2)]
    assert [[item.task for item in answers] for answers in found] == [
        ["similarity", "paraphrase"]
    ] * 3
    alone = [list(predictor.predict(task, pairs)) for task in ("similarity", "para")]
    for answers, *single in zip(found, *alone, strict=True):
        for ours, theirs in zip(answers, single, strict=True):
            assert (ours.label, ours.skipped) == (theirs.label, theirs.skipped)
            assert ours.score == pytest.approx(theirs.score, abs=1e-6)


@pytest.mark.parametrize("pair_encoding", [True, False])
def test_tasks_of_separately_encoded_pairs(tiny_model, pair_encoding, monkeypatch, run_instead):
    """The rows of a batch are then the first and the second text of each pair in turn."""
    predictor = Predictor(tiny_model, batch_tokens=64)
    monkeypatch.setattr(predictor, "config", replace(predictor.config, pair_encoding=pair_encoding))
    taken = []

    def of_pairs(run, tasks, ids_BT):
        taken.append(ids_BT)
        num_pairs = len(ids_BT) // (1 if pair_encoding else 2)
        return [np.zeros((num_pairs, TASKS[task].num_outputs), np.float32) for task in tasks]

    run_instead(of_pairs)
    pairs = [tuple(pair) for pair in itertools.combinations(LETTERS, 2)]
    assert len(list(predictor.predict_tasks(["sts", "para"], pairs))) == len(pairs)
    assert sum(map(len, taken)) == len(pairs) * (1 if pair_encoding else 2)
    assert all(ids.size <= 64 for ids in taken)


@pytest.mark.parametrize(
    ("tasks", "message"),
    [([], "no task"), (["sst", "sts"], "cannot read the same input"), (["sts"] * 2, "twice")],
)
def test_tasks_that_do_not_go_together(predictor, tasks, message):
    with pytest.raises(ConfigurationError, match=message):
        predictor.predict_tasks(tasks, [])


def test_two_streams_of_one_predictor_at_a_time(predictor):
    texts = random_texts(3000)
    streams = [predictor.predict("sst", texts), predictor.predict("sst", texts[::-1])]
    forward, backward = zip(*zip(*streams, strict=True), strict=True)
    assert [item.record.texts[0] for item in forward] == texts
    assert [item.label for item in forward] == [item.label for item in backward][::-1]


def test_records_are_taken_in_the_thread_of_the_caller(predictor):
    threads = set()

    def texts():
        for text in random_texts(2000):
            threads.add(threading.get_ident())
            yield text

    assert len(list(predictor.predict("sst", texts()))) == 2000
    assert threads == {threading.get_ident()}


def test_every_core_computes_a_batch_of_its_own(tiny_model, run_instead):
    texts = [" ".join(pair) for pair in itertools.islice(itertools.permutations(LETTERS, 2), 30)]
    expected = list(Predictor(tiny_model, threads=1).predict("sst", texts))
    predictor = Predictor(tiny_model, threads=3, batch_tokens=1)
    all_three = threading.Barrier(3)

    def at_once(run, *_):
        all_three.wait(60)
        return run()

    run_instead(at_once)
    answers = list(predictor.predict("sst", texts))
    assert [answer.record for answer in answers] == [answer.record for answer in expected]
    scores = [answer.score for answer in answers]
    assert scores == pytest.approx([answer.score for answer in expected], abs=1e-6)


def test_a_stream_that_is_left_leaves_no_thread(predictor):
    before = threading.active_count()
    stream = predictor.predict("sst", itertools.cycle(random_texts(5000)))
    next(stream)
    assert threading.active_count() > before
    del stream
    assert threading.active_count() == before


def test_a_stream_that_is_left_ends_after_the_batch_that_is_computed(tiny_model, run_instead):
    predictor = Predictor(tiny_model, batch_tokens=1)
    has_begun, is_closing = threading.Event(), threading.Event()
    calls = []

    def slow(run, tasks, ids_BT):
        calls.append(ids_BT)
        if len(calls) > 1:
            has_begun.set()
            assert is_closing.wait(60)
            time.sleep(0.01)  # time for the stream to close, many times over
        return run()

    run_instead(slow)
    pairs = enumerate(itertools.permutations(LETTERS, 2), start=1)
    records = [Record(line, (" ".join(pair),)) for line, pair in pairs]
    stream = predictor.predict_chunks(["sst"], [records[:1], records[1:300], records[300:]])
    assert len(next(stream)) == 1
    assert has_begun.wait(60)
    is_closing.set()
    stream.close()
    assert len(calls) < 300


def test_what_is_not_a_number_is_an_error(predictor):
    for task, record in (("sst", "nan"), ("para", ("b", "nan")), ("sts", ("nan", "b"))):
        (prediction,) = predictor.predict(task, [record])
        assert prediction.error.code == "not_finite"
        assert (prediction.score, prediction.label, prediction.probabilities) == (None, None, None)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("logits", [[np.inf, -np.inf, 0, 0, 0], [np.nan] * 5, [-np.inf] * 5])
def test_no_answer_from_an_infinite_logit(predictor, run_instead, logits):
    finite = [0.0, 0.0, 1e30, 0.0, 0.0]
    run_instead(lambda *_: [np.array([logits, finite], np.float32)])
    first, second = predictor.predict("sentiment", ["good", "bad"])
    assert first.error.code == "not_finite"
    assert second.probabilities == (0, 0, 1, 0, 0)


def test_lone_surrogates_are_no_obstacle(predictor):
    (prediction,) = predictor.predict("sst", ["good \ud800"])
    assert prediction.label is not None


def test_a_pickled_predictor_opens_its_model_again(predictor, monkeypatch, tmp_path):
    copied = pickle.dumps(predictor)
    assert len(copied) < 1000
    monkeypatch.chdir(tmp_path)
    texts = random_texts(50)
    expected = list(predictor.predict("sst", texts))
    assert list(pickle.loads(copied).predict("sst", texts)) == expected


def test_the_model_of_the_environment(tiny_model, monkeypatch):
    monkeypatch.setenv("SWISS_MODEL", str(tiny_model))
    assert Predictor().model == tiny_model


def test_no_model(monkeypatch, tmp_path):
    monkeypatch.delenv("SWISS_MODEL", raising=False)
    monkeypatch.setattr("swisscli.core.model.directory.MODELS", tmp_path)
    with pytest.raises(ModelError, match="lacks its model") as caught:
        Predictor()
    assert "model=DIR" in caught.value.hint


@pytest.mark.parametrize("name", PREDICTION_FILES)
def test_a_damaged_file_is_refused(make_model, name):
    model = make_model()
    path = model / name
    path.write_bytes(path.read_bytes().replace(b"e", b"f", 1))
    with pytest.raises(ModelError, match=f"{name}: its sha256 differs"):
        Predictor(model)


def test_a_model_that_was_not_exported(make_model):
    model = make_model()
    (model / GRAPH).unlink()
    with pytest.raises(ModelError, match=r"model\.onnx: the model has no such file") as caught:
        Predictor(model)
    assert "swiss export" in caught.value.hint


def test_a_graph_without_a_task(tiny_model):
    with pytest.raises(ModelError, match="irony"):
        session.Session(tiny_model / GRAPH, ["sentiment", "irony"])


@pytest.mark.parametrize("options", [{"threads": 0}, {"batch_tokens": 0}, {"device": "tpu"}])
def test_wrong_options(tiny_model, options):
    with pytest.raises(ConfigurationError):
        Predictor(tiny_model, **options)


def test_int8_runs_on_the_cpu_only(make_model, recwarn):
    model = make_model(precision="int8")
    with pytest.raises(DeviceError, match="int8"):
        Predictor(model, device="cuda")
    assert Predictor(model).device == "cpu"


@pytest.mark.skipif(devices.has_cuda_device(), reason="needs a machine without a GPU")
def test_no_gpu_is_no_fallback(tiny_model, recwarn, capfd):
    assert Predictor(tiny_model, device="auto").device == "cpu"
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(devices.has_cuda_device(), reason="needs a machine without a GPU")
def test_a_gpu_that_does_not_work_is_told_once(tiny_model, monkeypatch, capfd):
    monkeypatch.setattr(devices, "has_cuda_device", lambda: True)
    with pytest.warns(session.DeviceFallbackWarning, match="using the CPU") as caught:
        predictor = Predictor(tiny_model, device="auto")
    assert len(caught) == 1
    assert predictor.device == "cpu"
    assert [item.label for item in predictor.predict("sst", ["good film"])] == ["positive"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(devices.has_cuda_device(), reason="needs a machine without a GPU")
def test_cuda_never_falls_back(tiny_model, capfd):
    with pytest.raises(DeviceError, match=r"cuda:1 cannot be used") as caught:
        Predictor(tiny_model, device="cuda:1")
    assert caught.value.exit_code == 6
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("task", ["paraphrase", "similarity"])
def test_a_pair_has_one_answer_in_either_order(predictor, task):
    pairs = list(zip(random_texts(40), random_texts(40, seed=1), strict=True))
    scores = [answer.score for answer in predictor.predict(task, pairs)]
    swapped = [answer.score for answer in predictor.predict(task, [(b, a) for a, b in pairs])]
    assert scores == swapped
    assert len(set(scores)) > 20


def test_a_prediction_keeps_the_texts_in_the_order_given(predictor):
    (answer,) = predictor.predict("similarity", [("good film", "a bad film")])
    assert answer.record.texts == ("good film", "a bad film")


def test_a_task_that_reads_in_order_and_one_that_does_not_are_asked_together(make_model):
    predictor = Predictor(make_model(tasks=("similarity", "nli", "paraphrase")))
    pairs = [("good film", "a bad film"), ("", "b"), ("b", "c"), ("c", "b")]
    names = ["nli", "paraphrase", "similarity"]
    together = list(predictor.predict_tasks(names, pairs))
    for index, name in enumerate(names):
        alone = list(predictor.predict(name, pairs))
        assert [predictions[index] for predictions in together] == alone
    nli = [predictions[0].probabilities for predictions in together]
    assert nli[2] != nli[3]
