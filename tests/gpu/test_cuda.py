"""What needs a GPU: training and prediction really run there."""

from pathlib import Path

import onnxruntime
import pytest
import torch

from swiss_training import loop, pretraining
from swiss_training.config import TrainConfig
from swiss_training.pretrain_config import PretrainConfig
from swiss_training.pretrain_events import Finished, Saved, Started
from swisscli import Predictor

ASSETS = Path(__file__).parents[1] / "assets"

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
        encoder=str(ASSETS / "tiny-encoder"),
        data=str(ASSETS / "tiny-data"),
        output=str(tmp_path / "run"),
        weighting="awl",
        epochs=2,
        batch_size=16,
        save_every=1,
        precision=precision,  # type: ignore[arg-type]
        device="cuda",
    )
    for event in loop.fit(config):
        if isinstance(event, loop.Started):
            assert event.device == "cuda"
        if isinstance(event, loop.Saved) and event.step == 4:
            break
    assert isinstance(list(loop.resume(tmp_path / "run"))[-1], loop.Finished)


@needs_gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_pretraining_on_the_gpu_resumes(tmp_path: Path, precision: str) -> None:
    config = PretrainConfig(
        files=[str(ASSETS / "tiny-data" / "ids-sst-train.csv")],
        encoder=str(ASSETS / "tiny-encoder"),
        output=str(tmp_path / "run"),
        max_steps=6,
        batch_size=16,
        save_every=1,
        precision=precision,  # type: ignore[arg-type]
        device="cuda",
    )
    for event in pretraining.fit(config):
        if isinstance(event, Started):
            assert event.device == "cuda"
        if isinstance(event, Saved) and event.step == 4:
            break
    assert isinstance(list(pretraining.resume(tmp_path / "run"))[-1], Finished)


@needs_provider
def test_prediction_on_the_gpu_equals_the_cpu(tiny_model: Path) -> None:
    texts = ["good film", "a bad film", "the film !"]
    gpu = Predictor(tiny_model, device="cuda")
    assert gpu.device == "cuda:0"
    cpu = Predictor(tiny_model, device="cpu")
    for ours, theirs in zip(gpu.predict("sst", texts), cpu.predict("sst", texts), strict=True):
        assert ours.label == theirs.label
        assert ours.score == pytest.approx(theirs.score, abs=1e-4)
