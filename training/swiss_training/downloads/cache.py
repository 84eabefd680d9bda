"""Where what was fetched is kept, and whether anything may be fetched."""

import os
from pathlib import Path

from platformdirs import user_cache_path

CACHE_VARIABLE = "SWISS_CACHE"
"""The environment variable that names the cache folder."""
OFFLINE_VARIABLE = "HF_HUB_OFFLINE"
"""The environment variable of the Hub's own library that forbids to fetch anything."""


def cache_folder() -> Path:
    """The folder that everything is fetched into: `SWISS_CACHE`, else the system's place for it."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).absolute() if named else user_cache_path("swiss", appauthor=False)


def is_offline() -> bool:
    """Whether `HF_HUB_OFFLINE` forbids to fetch anything."""
    return os.environ.get(OFFLINE_VARIABLE, "").upper() in {"1", "ON", "YES", "TRUE"}
