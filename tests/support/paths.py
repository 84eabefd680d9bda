"""Where the tests find their files."""

from pathlib import Path

import pytest

from swisscli.core.model.families import FAMILY_RULES

ROOT = Path(__file__).parents[2]
ASSETS = ROOT / "tests" / "assets"
DATA = ASSETS / "tiny-data"
ENCODERS = {family: ASSETS / f"tiny-{family}" for family in FAMILY_RULES}
ENCODER = ENCODERS["bert"]

# Data that may not be in the repository: what needs it runs where it lies beside the checkout.
SHARED_DATA = ROOT.parent / "shared" / "data"
COURSE_DATA = SHARED_DATA / "cs224n"

needs_shared_data = pytest.mark.skipif(
    not COURSE_DATA.is_dir(), reason="the course's data is not in ../shared/data"
)
