"""The download cache, and whether downloads are allowed."""

import os
from pathlib import Path

from platformdirs import user_cache_path

CACHE_VARIABLE = "SWISS_CACHE"
"""The environment variable that names the cache folder."""
OFFLINE_VARIABLE = "HF_HUB_OFFLINE"
"""The environment variable of the Hub's own library that forbids downloads."""


def cache_folder() -> Path:
    """Return the cache folder: `SWISS_CACHE`, else the system's default."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).absolute() if named else user_cache_path("swiss", appauthor=False)


def is_offline() -> bool:
    """Whether `HF_HUB_OFFLINE` forbids downloads."""
    return os.environ.get(OFFLINE_VARIABLE, "").upper() in {"1", "ON", "YES", "TRUE"}
