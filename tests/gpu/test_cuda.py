"""What needs a GPU: training and prediction really run there."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from swiss_training.events import Finished, Saved, Started
from swiss_training.masked_lm import objective as masked_lm
from swiss_training.masked_lm.config import PretrainConfig
from swiss_training.multitask import objective as multitask
from swiss_training.multitask.config import TrainConfig
from swisscli import Predictor
from swisscli.core.model.directory import GRAPH
from swisscli.core.model.graph import Precision
from swisscli.core.tasks import DEFAULT_TASKS
from swisscli.inference.session import Session
from tests.support.export import graph_of, random_inputs, torch_logits
from tests.support.paths import DATA, ENCODER, ENCODERS
from tests.support.training import make_model

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")
needs_provider = pytest.mark.skipif(
    "CUDAExecutionProvider" not in onnxruntime.get_available_providers()
    or not torch.cuda.is_available(),
    reason="ONNX Runtime has no GPU here",
)


@needs_gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_run_on_the_gpu_resumes(tmp_path: Path, precision: str) -> None:
    config = TrainConfig(
        encoder=str(ENCODER),
        data=str(DATA),
        output=str(tmp_path / "run"),
        weighting="awl",
        epochs=2,
        batch_size=16,
        save_every=1,
        precision=precision,  # type: ignore[arg-type]
        device="cuda",
    )
    for event in multitask.fit(config):
        if isinstance(event, Started):
            assert event.device == "cuda"
        if isinstance(event, Saved) and event.step == 4:
            break
    assert isinstance(list(multitask.resume(tmp_path / "run"))[-1], Finished)


@needs_gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_pretraining_on_the_gpu_resumes(tmp_path: Path, precision: str) -> None:
    config = PretrainConfig(
        files=[str(DATA / "ids-sst-train.csv")],
        encoder=str(ENCODER),
        output=str(tmp_path / "run"),
        max_steps=6,
        batch_size=16,
        save_every=1,
        precision=precision,  # type: ignore[arg-type]
        device="cuda",
    )
    for event in masked_lm.fit(config):
        if isinstance(event, Started):
            assert event.device == "cuda"
        if isinstance(event, Saved) and event.step == 4:
            break
    assert isinstance(list(masked_lm.resume(tmp_path / "run"))[-1], Finished)


@needs_provider
def test_prediction_on_the_gpu_equals_the_cpu(tiny_model: Path) -> None:
    texts = ["good film", "a bad film", "the film !"]
    gpu = Predictor(tiny_model, device="cuda")
    assert gpu.device == "cuda:0"
    cpu = Predictor(tiny_model, device="cpu")
    for ours, theirs in zip(gpu.predict("sst", texts), cpu.predict("sst", texts), strict=True):
        assert ours.label == theirs.label
        assert ours.score == pytest.approx(theirs.score, abs=1e-4)


@needs_provider
def test_tasks_of_many_lengths_on_the_gpu_equal_the_cpu(tiny_model: Path) -> None:
    """Padded to the buckets, bound to the GPU, two outputs from one run."""
    pairs = [("good film " * (n % 5 + 1), "a bad film ! " * (n % 3 + 1)) for n in range(300)]
    names = ["paraphrase", "similarity"]
    gpu = Predictor(tiny_model, device="cuda", batch_tokens=256).predict_tasks(names, pairs)
    cpu = Predictor(tiny_model, device="cpu").predict_tasks(names, pairs)
    for ours, theirs in zip(gpu, cpu, strict=True):
        for our, their in zip(ours, theirs, strict=True):
            assert our.label == their.label
            assert our.score == pytest.approx(their.score, abs=1e-4)


@needs_provider
@pytest.mark.parametrize("family", ENCODERS)
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("fp16", 1e-2)])
def test_a_graph_on_the_gpu_equals_torch(
    tmp_path: Path, precision: Precision, tolerance: float, family: str
) -> None:
    model = make_model(family=family)
    onnx.save(graph_of(model, precision), tmp_path / GRAPH)
    session = Session(tmp_path / GRAPH, DEFAULT_TASKS, device="cuda", precision=precision)
    for shape in ((1, 1), (3, 33), (17, 5), (20, model.config.max_length)):
        inputs = random_inputs(*shape, pad_token_id=model.config.encoder.pad_token_id)
        expected = torch_logits(model, "similarity", inputs)
        np.testing.assert_allclose(
            session.run("similarity", *inputs), expected, atol=tolerance, rtol=0
        )
