"""The data of Stanford's CS224N default project, from the course's public repository."""

import os
from collections.abc import Sequence
from pathlib import Path

from swiss_training.downloads.cache import cache_folder
from swiss_training.downloads.remote_file import RemoteFile

REPOSITORY = "gpoesia/minbert-default-final-project"
REVISION = "7ac8260577fc12a86c7aaf38918056c30054ef39"
URL_VARIABLE = "SWISS_DATA_URL"
"""The environment variable that names another address of the folder with the files."""
FILES: dict[str, tuple[str, int | None]] = {
    "ids-sst-train.csv": ("9cb7333cb1dae49c2bd2a4b56a24882a6e8704b5", 1_175_139),
    "ids-sst-dev.csv": ("3171aa629a340809d2db4a50df8f6e5ec9420ab0", 151_384),
    "ids-sst-test-student.csv": ("bbd2313758825f86e24416d6aad64cd93370cf7a", 313_202),
    "ids-cfimdb-train.csv": ("cd57bcbd2f7214ea6dd1783d3e885d324b1f478d", 1_693_182),
    "ids-cfimdb-dev.csv": ("8a0f5dcf3d40189b96c801a12cd79bf8003e61de", 249_095),
    "ids-cfimdb-test-student.csv": ("1e789c709b3ca0511f027a309b6d8bd21cde41b2", 495_595),
    "quora-train.csv": ("a3b5546f6a0e65b60a328a5d294d1038f5bed1da", None),
    "quora-dev.csv": ("de7cfa32428fd470b93f778fccc45a619e01336f", 3_205_321),
    "quora-test-student.csv": ("f257ef00558555afb50819578a58205732b16354", None),
    "sts-train.csv": ("12b17760e7795fee35aeeabc290d5651de02622a", 928_832),
    "sts-dev.csv": ("9392860e584717976b8d817cc40c9e6ceeec27e0", 132_265),
    "sts-test-student.csv": ("25f0cf8fafdd1f82b9e2bb460c708af34341ce60", 256_677),
}
"""The git blob id of each file and, if known, its size in bytes."""


def folder() -> Path:
    """Return the folder of the files in the cache."""
    return cache_folder() / "data" / f"cs224n-{REVISION[:7]}"


def files(names: Sequence[str] = ()) -> list[RemoteFile]:
    """Files of the set.

    Args:
        names: Which; none for all.
    """
    default = f"https://raw.githubusercontent.com/{REPOSITORY}/{REVISION}/data"
    base = os.environ.get(URL_VARIABLE, default).rstrip("/")
    return [
        RemoteFile(name, f"{base}/{name}", digest, size)
        for name, (digest, size) in FILES.items()
        if not names or name in names
    ]


def missing_files(names: Sequence[str] = ()) -> list[RemoteFile]:
    """Return the files that are missing from the cache or differ from their hash."""
    return [file for file in files(names) if not file.matches(folder() / file.name)]
