"""Where the tests find their files."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ASSETS = ROOT / "tests" / "assets"
DATA = ASSETS / "tiny-data"
ENCODER = ASSETS / "tiny-encoder"
ENCODERS = {"bert": ENCODER, "mpnet": ASSETS / "tiny-mpnet"}

# Data that may not be in the repository: what needs it runs where it lies beside the checkout.
SHARED_DATA = ROOT.parent / "shared" / "data"
COURSE_DATA = SHARED_DATA / "cs224n"

needs_shared_data = pytest.mark.skipif(
    not COURSE_DATA.is_dir(), reason="the course's data is not in ../shared/data"
)
