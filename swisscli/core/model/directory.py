"""Opens and verifies the files of a model directory once, and replaces them safely."""

import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from swisscli.core.errors import ConfigurationError, ModelError
from swisscli.core.model.manifest import FileEntry, Manifest, sha256_of
from swisscli.core.model.model_config import ModelConfig
from swisscli.core.model.schema import Object, read_json, write_json

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"
GRAPH = "model.onnx"
METRICS = "metrics.json"
TRAIN_CONFIG = "train_config.toml"
MANIFEST = "manifest.json"

BackendName = Literal["onnx", "torch"]
"""What runs a model: ONNX Runtime its graph, or torch its weights."""

PREDICTION_FILES = (CONFIG, TOKENIZER, GRAPH)
"""Files that prediction needs, besides the manifest."""

MODEL_VARIABLE = "SWISS_MODEL"
"""Environment variable that names the default model directory."""
MODELS = Path(__file__).resolve().parents[2] / "models"
"""Folder of the models inside the package."""
DEFAULT_MODEL = "minilm-l6-v2"
"""Model inside the package that prediction uses by default."""
PACKAGED = "packaged"
"""Name that selects the encoder of the packaged model."""


@dataclass(frozen=True)
class ModelDirectory:
    """An open model directory. Pass it on instead of its path.

    Attributes:
        path: Path of the directory.
        config: Content of `config.json`.
        manifest: Content of `manifest.json`.
    """

    path: Path
    config: ModelConfig
    manifest: Manifest

    @classmethod
    def open(cls, path: Path, needs: Iterable[str] = ()) -> "ModelDirectory":
        """Read the manifest and the configuration, and verify files.

        Args:
            path: The directory.
            needs: Names of the files that the caller will read.

        Raises:
            ModelError: if a file is missing, damaged, unsafe to read or of an unknown format.
        """
        manifest = read_json(path / MANIFEST, Manifest.from_json)
        config = read_json(_verify_file(path, manifest, CONFIG), ModelConfig.from_json)
        for name in needs:
            _verify_file(path, manifest, name)
        return cls(path, config, manifest)

    @property
    def precision(self) -> str:
        """Precision of the graph; fp32 before the export."""
        return self.manifest.precision

    def has(self, name: str) -> bool:
        """Whether the model has a file of that name."""
        return (self.path / name).is_file()

    def file(self, name: str) -> Path:
        """Verify a file against its hash in the manifest, and return its path.

        Raises:
            ModelError: if it is missing from the directory or the manifest, or its hash differs.
        """
        return _verify_file(self.path, self.manifest, name)


def _verify_file(directory: Path, manifest: Manifest, name: str) -> Path:
    path, entry = directory / name, manifest.files.get(name)
    if entry is None or not path.is_file():
        hint = "copy, train or export the model again"
        if name == GRAPH:
            hint = f"write it with: swiss export {directory}"
        elif name == WEIGHTS and (directory / GRAPH).is_file():
            hint = "name the run folder that it was exported from"
        raise ModelError(f"{path}: the model has no such file", hint=hint)
    if path.stat().st_size != entry.size or sha256_of(path) != entry.sha256:
        raise ModelError(
            f"{path}: its sha256 differs from the manifest, the file is damaged",
            hint="copy or export the model again",
        )
    return path


def find_model(named: str | os.PathLike[str] | None) -> Path:
    """The model directory of that name; without one the default.

    Raises:
        ConfigurationError: if the name is empty.
        ModelError: as `default_model` does.
    """
    if named is None:
        return default_model()
    if isinstance(named, str) and not named:
        raise ConfigurationError(
            "the name of the model directory is empty", hint="name a directory, or leave it out"
        )
    return Path(named).absolute()


def default_model() -> Path:
    """Return the model directory that `SWISS_MODEL` names, else the one inside the package.

    Raises:
        ModelError: if this installation has no models.
    """
    named = os.environ.get(MODEL_VARIABLE)
    if named:
        return Path(named).absolute()
    return packaged_model()


def packaged_model() -> Path:
    """Return the model directory inside the package that prediction uses by default.

    Raises:
        ModelError: if this installation has no models.
    """
    path = MODELS / DEFAULT_MODEL
    if not (path / MANIFEST).is_file():
        raise ModelError(
            f"{path}: this installation lacks its model",
            hint=f"name a model directory with `model=DIR` or the variable {MODEL_VARIABLE}",
        )
    return path


def is_model_directory(path: Path) -> bool:
    """Whether training wrote this `config.json`, and not Hugging Face for an encoder."""
    try:
        return "format_version" in read_json(path / CONFIG, Object())
    except ModelError:
        return False


@contextmanager
def update_directory(
    directory: Path, manifest: Manifest, remove: Collection[str] = ()
) -> Iterator[Path]:
    """Add or replace files of a model directory, so that no reader sees a half-written model.

    Yields an empty folder inside the directory for the new files. At the end of the block, the new
    manifest is written beside them; then the old manifest is removed and the files are renamed into
    place, the manifest last. If the block raises, or the disk is full, the directory stays as it
    was.

    Args:
        directory: The model directory; created if it is missing.
        manifest: The new manifest; its `files` are filled in here.
        remove: Names of old files that do not fit the new ones.
    """
    staging = directory / ".staging"
    shutil.rmtree(staging, ignore_errors=True)  # of a process that was killed
    staging.mkdir(parents=True)
    try:
        yield staging
        staged = sorted(staging.iterdir())
        kept = {path.name: path for path in directory.iterdir() if path.name not in remove}
        files = _hash_files(kept | {path.name: path for path in staged})
        write_json(staging / MANIFEST, replace(manifest, files=files).to_json())
        for name in (MANIFEST, *remove):
            (directory / name).unlink(missing_ok=True)
        for path in (*staged, staging / MANIFEST):
            path.replace(directory / path.name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _hash_files(paths: Mapping[str, Path]) -> dict[str, FileEntry]:
    names = (CONFIG, WEIGHTS, TOKENIZER, GRAPH, METRICS, TRAIN_CONFIG)
    found = {name: paths[name] for name in names if name in paths and paths[name].is_file()}
    return {name: FileEntry(sha256_of(path), path.stat().st_size) for name, path in found.items()}
