"""Where the tests find their files."""

from pathlib import Path

import pytest

from swiss_training.downloads import course_data
from swisscli.core.model.families import FAMILY_RULES

ROOT = Path(__file__).parents[2]
ASSETS = ROOT / "tests" / "assets"
DATA = ASSETS / "tiny-data"
ENCODERS = {family: ASSETS / f"tiny-{family}" for family in FAMILY_RULES}
ENCODER = ENCODERS["bert"]

# Data that is not in the repository: in the checkout, beside it, or fetched by swiss download.
_DATA = (ROOT / "data", ROOT.parent / "shared" / "data")
_COURSE = (*(folder / "cs224n" for folder in _DATA), course_data.folder())
COURSE_DATA = next(
    (folder for folder in _COURSE if (folder / "quora-dev.csv").is_file()), _COURSE[0]
)

needs_shared_data = pytest.mark.skipif(
    not COURSE_DATA.is_dir(), reason="needs data/cs224n; fetch it with: swiss download data"
)


def data_file(name: str) -> Path:
    """A data file that is not in the repository; the test is skipped where it is missing."""
    folder, _, file = name.partition("/")
    places = [COURSE_DATA / file] if folder == "cs224n" else [folder / name for folder in _DATA]
    found = next((path for path in places if path.is_file()), None)
    if found is None:
        pytest.skip(f"needs data/{name}")
    return found
