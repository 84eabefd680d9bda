"""A real BERT encoder computes what it computes in transformers."""

import subprocess
import sys
from pathlib import Path

import pytest
from transformers import BertModel

from swiss_training.families.pretrained import load_pretrained
from tests.support.hugging_face import assert_same, inputs_for
from tests.support.paths import ROOT

PREPARE = ROOT.parent / "shared" / "weights" / "prepare.py"


@pytest.fixture(scope="module")
def real_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not PREPARE.is_file():
        pytest.skip("the script that prepares a real encoder is not beside the project")
    directory = tmp_path_factory.mktemp("encoders")
    subprocess.run([sys.executable, str(PREPARE), "minilm-l6", str(directory)], check=True)
    return directory / "minilm-l6"


@pytest.mark.parametrize("padding", ["none", "right"])
def test_real_encoder(real_encoder: Path, padding: str) -> None:
    pretrained = load_pretrained(str(real_encoder))
    assert not pretrained.pooler_initialised
    theirs = BertModel.from_pretrained(real_encoder).eval()
    assert_same(pretrained.encoder.eval(), theirs, inputs_for(theirs, padding=padding))
