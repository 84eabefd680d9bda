"""The weights inside a graph, and the encoder inside the package."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from swiss_export import pipeline
from swiss_training.families.pretrained import load_pretrained
from swiss_training.graph_weights import read_graph
from swiss_training.multitask.model import load_model
from swisscli.core.errors import ModelError
from swisscli.core.model.directory import (
    GRAPH,
    MANIFEST,
    WEIGHTS,
    ModelDirectory,
    packaged_model,
)
from swisscli.core.model.graph import Precision
from swisscli.core.tokenization import Tokenizer, pad
from swisscli.inference.predictor import Predictor
from tests.support.paths import ENCODERS
from tests.support.training import make_model, write_run

TEXTS = ["A lovely film!", "I would not watch it again.", "The worst thing that I ever saw."]


def _exported(tmp_path: Path, family: str, precision: Precision) -> tuple[Path, Path]:
    model = make_model(family=family)
    with torch.no_grad():
        scale_D = model.get_parameter("encoder.layers.0.attention_norm.weight")
        scale_D[3] *= 40  # an outlier of what `up` reads
    run = write_run(tmp_path / "run", model)
    request = pipeline.ExportRequest(
        ModelDirectory.open(run), precision, output=tmp_path / "small", max_drop=1
    )
    for _ in pipeline.export(request):
        pass
    return run, tmp_path / "small"


@pytest.mark.parametrize("family", ENCODERS)
def test_a_float32_graph_gives_back_every_weight(tmp_path: Path, family: str) -> None:
    run, small = _exported(tmp_path, family, "fp32")
    before, after = (load_model(ModelDirectory.open(path)) for path in (run, small))
    # Mean pooling reads no pooler, and the tiny encoder's inputs are too short for some distances.
    unread = ("encoder.pooler.", "encoder.relative_attention_bias.")
    for name, tensor in before.state_dict().items():
        if not name.startswith(unread):
            assert torch.equal(after.state_dict()[name], tensor), name
    ids = torch.arange(4, 60)[None]
    inputs = (ids, torch.ones_like(ids), torch.zeros_like(ids))
    with torch.inference_mode():
        assert torch.equal(after("sentiment", *inputs), before("sentiment", *inputs))


@pytest.mark.parametrize("family", ENCODERS)
def test_an_int8_graph_gives_back_every_weight_to_half_a_step(tmp_path: Path, family: str) -> None:
    run, small = _exported(tmp_path, family, "int8")
    before = load_model(ModelDirectory.open(run)).state_dict()
    after = read_graph(ModelDirectory.open(small))
    graph = onnx.load(small / GRAPH).graph
    steps = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    assert "encoder.layers.0.up.divisor" in steps  # the outlier was scaled down
    quantised = 0
    for name, tensor in after.items():
        if name.startswith("encoder.relative_attention_bias."):
            continue
        step = steps.get(f"{name.removesuffix('.weight')}.scale")
        if step is None or not name.endswith(".weight"):
            assert torch.equal(tensor, before[name]), name
            continue
        quantised += 1
        half = torch.tensor(step.reshape(-1, 1)) / 2
        assert ((tensor - before[name]).abs() <= half * 1.001).all(), name
    assert quantised == 13  # words, and six products in each of two layers


def test_a_float16_graph_is_refused(tmp_path: Path) -> None:
    _, small = _exported(tmp_path, "bert", "fp32")
    manifest = small / MANIFEST
    manifest.write_text(manifest.read_text().replace('"precision": "fp32"', '"precision": "fp16"'))
    with pytest.raises(ModelError, match="a graph in fp16 cannot be read"):
        read_graph(ModelDirectory.open(small))


def test_a_float32_file_goes_before_the_graph(tmp_path: Path) -> None:
    run, small = _exported(tmp_path, "bert", "int8")
    shutil.copy(run / WEIGHTS, small / WEIGHTS)
    manifests = [ModelDirectory.open(path).manifest for path in (run, small)]
    entry = manifests[0].files[WEIGHTS]
    manifests[1].files[WEIGHTS] = entry
    directory = ModelDirectory(small, ModelDirectory.open(small).config, manifests[1])
    expected = load_model(ModelDirectory.open(run)).state_dict()
    assert all(torch.equal(t, expected[n]) for n, t in load_model(directory).state_dict().items())


def test_the_encoder_inside_the_package_answers_as_its_graph_does() -> None:
    directory = ModelDirectory.open(packaged_model())
    model = load_model(directory)
    encodings = Tokenizer.of(directory).encode_examples([(text,) for text in TEXTS], True)
    inputs = map(torch.from_numpy, pad([one for (one,) in encodings], 0))
    with torch.inference_mode():
        found = model("sentiment", *inputs).softmax(1).numpy()
    predicted = Predictor(directory.path, device="cpu").predict("sentiment", TEXTS)
    expected = np.array([prediction.probabilities for prediction in predicted])
    # What separates them is the rounding of the activations, which the graph alone does.
    np.testing.assert_allclose(found, expected, atol=0.05)


def test_the_encoder_inside_the_package_is_one_to_begin_from() -> None:
    pretrained = load_pretrained("packaged")
    directory = ModelDirectory.open(packaged_model())
    assert pretrained.tokenizer.parent == directory.path
    assert pretrained.source["name"] == "packaged"
    assert pretrained.source["sha256"] == directory.manifest.files[GRAPH].sha256
    words = pretrained.encoder.embeddings.word.weight
    assert torch.equal(words, load_model(directory).encoder.embeddings.word.weight)
