"""The drawing of a model's architecture."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from swiss_evaluation.report.architecture import architecture
from swisscli.core.model.directory import ModelDirectory, default_model
from swisscli.core.model.model_config import ModelConfig
from swisscli.core.tasks import TASKS

CONFIG = ModelDirectory.open(default_model()).config
EVERY_TASK = replace(CONFIG, tasks=tuple(TASKS.values()))
MODELS = {
    "packaged": CONFIG,
    "one task": replace(CONFIG, tasks=(TASKS["nli"],)),
    "cls": replace(CONFIG, pooling="cls"),
    "shared layers": replace(EVERY_TASK, heads="layer-sharing"),
    "cosine": replace(CONFIG, heads="cosine", pair_encoding=False),
    "mpnet": replace(
        CONFIG,
        encoder=replace(
            CONFIG.encoder, model_type="mpnet", relative_attention_num_buckets=32, pad_token_id=1
        ),
    ),
}
SVG = "{http://www.w3.org/2000/svg}"


def lines(config: ModelConfig) -> list[str]:
    drawing = ElementTree.fromstring(architecture(config))
    return [text.text for text in drawing.iter(f"{SVG}text")]


def test_it_says_what_the_configuration_says() -> None:
    drawn = lines(CONFIG)
    assert "embeddings: 30,522 tokens × 384, 512 positions, 2 token types" in drawn
    assert "6 layers, each with" in drawn
    assert "mean of the last hidden states over real tokens" in drawn
    assert [line for line in drawn if line.startswith("linear")] == [
        "linear 384 → 5",
        "linear 384 → 1",
        "linear 384 → 1",
    ]
    assert "score from 0 to 5" in drawn


def test_heads_and_families_differ() -> None:
    assert lines(MODELS["shared layers"]).count("linear 384 → 384, shared") == len(TASKS)
    assert lines(MODELS["cosine"]).count("cosine of the two outputs") == 2
    assert lines(MODELS["cosine"]).count("two texts, each a sequence") == 2
    assert "self-attention (12 heads, 32 distance buckets), add and normalize," in lines(
        MODELS["mpnet"]
    )
    assert "first token, linear 384 → 384, tanh" in lines(MODELS["cls"])


@pytest.mark.parametrize("name", MODELS)
def test_every_box_and_text_lies_inside_and_apart(name: str) -> None:
    drawing = ElementTree.fromstring(architecture(MODELS[name]))
    width, height = (float(drawing.get(side)) for side in ("width", "height"))
    boxes = [
        tuple(float(box.get(key)) for key in ("x", "y", "width", "height"))
        for box in drawing.iter(f"{SVG}rect")
    ]
    for index, (x, y, w, h) in enumerate(boxes):
        assert x >= 0
        assert y >= 0
        assert x + w <= width
        assert y + h <= height
        for other_x, other_y, other_w, other_h in boxes[:index]:
            is_beside = x >= other_x + other_w or other_x >= x + w
            assert is_beside or y >= other_y + other_h or other_y >= y + h
    for text in drawing.iter(f"{SVG}text"):
        middle, y = float(text.get("x")), float(text.get("y"))
        half = len(text.text) * 6.8 / 2  # no glyph of a line of 13 pixels is wider on average
        assert any(
            x <= middle - half and middle + half <= x + w and top <= y <= top + h
            for x, top, w, h in boxes
        ), text.text
