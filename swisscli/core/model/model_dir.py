"""The model directory: file names, format version, configuration, manifest; read, write, verify."""

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from swisscli.core.errors import ConfigurationError, ModelError
from swisscli.core.model.families import FAMILY_RULES, foreign_keys
from swisscli.core.tasks import TASKS, TaskSpec

FORMAT_VERSION = 1

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"
GRAPH = "model.onnx"
METRICS = "metrics.json"
TRAIN_CONFIG = "train_config.toml"
MANIFEST = "manifest.json"

PREDICTION_FILES = (CONFIG, TOKENIZER, GRAPH)
"""What prediction needs, the manifest aside."""

Pooling = Literal["cls", "mean"]
Heads = Literal["linear", "layer-sharing", "cosine"]


@dataclass(frozen=True)
class EncoderConfig:
    """The encoder's family and shape, under the key names of Hugging Face's configurations.

    A key that the family does not have is 0 and is not written.
    """

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int
    type_vocab_size: int = 2
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int = 0
    relative_attention_num_buckets: int = 0
    model_type: str = "bert"

    @property
    def longest_input(self) -> int:
        """Most tokens of an input, special tokens included."""
        after_padding = FAMILY_RULES[self.model_type].positions_after_padding
        first_row = self.pad_token_id + 1 if after_padding else 0
        return self.max_position_embeddings - first_row

    @property
    def tells_pairs_apart(self) -> bool:
        """Whether it can tell the sentences of a pair apart."""
        return not FAMILY_RULES[self.model_type].pairs_by_token_type or self.type_vocab_size > 1

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "EncoderConfig":
        """Take the known keys of a Hugging Face `config.json`; others are left aside.

        Raises:
            ModelError: if a key is missing or the architecture is not one of the families.
        """
        model_type = values.get("model_type", "bert")
        if str(model_type) not in FAMILY_RULES:
            raise ModelError(
                f"the encoder's architecture is {model_type!r}",
                hint=f"supported are: {', '.join(FAMILY_RULES)}",
            )
        position = values.get("position_embedding_type", "absolute")
        if position != "absolute":
            raise ModelError(
                f"the encoder's position embeddings are {position!r}",
                hint="only 'absolute' is supported",
            )
        absent = dict.fromkeys(foreign_keys(model_type), 0)
        values = {**FAMILY_RULES[model_type].defaults, **values, **absent}
        known = {f.name for f in fields(cls)}
        try:
            return cls(**{key: value for key, value in values.items() if key in known})
        except TypeError as error:
            raise ModelError(f"incomplete encoder configuration: {error}") from None

    def to_dict(self) -> dict[str, Any]:
        """The keys that the family has."""
        foreign = foreign_keys(self.model_type)
        return {key: value for key, value in asdict(self).items() if key not in foreign}


@dataclass(frozen=True)
class ModelConfig:
    """What `config.json` holds.

    Attributes:
        encoder: The encoder's shape.
        pooling: `cls`: the first token through the encoder's pooler layer; `mean`: the mean of
            the last hidden states over real tokens.
        max_length: Longest input in tokens, special tokens included.
        tasks: The tasks that the model has a head for.
        pair_encoding: Whether two texts are one sequence; else each is a sequence, and a batch
            holds those of an example one after the other.
        heads: The kind of heads.
    """

    encoder: EncoderConfig
    pooling: Pooling
    max_length: int
    tasks: tuple[TaskSpec, ...]
    pair_encoding: bool = True
    heads: Heads = "linear"

    def sequences(self, task: TaskSpec) -> int:
        """Sequences that the encoder reads for one example of a task."""
        return 1 if self.pair_encoding else task.arity

    def to_json(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "format_version": FORMAT_VERSION,
            "encoder": self.encoder.to_dict(),
            "pooling": self.pooling,
            "max_length": self.max_length,
            "pair_encoding": self.pair_encoding,
            "heads": self.heads,
            "tasks": [
                {
                    "name": task.name,
                    "kind": task.kind,
                    "arity": task.arity,
                    "labels": list(task.labels),
                    "score_range": task.score_range and list(task.score_range),
                }
                for task in self.tasks
            ],
        }

    @classmethod
    def from_json(cls, values: dict[str, Any], where: str) -> "ModelConfig":
        """Read the JSON form.

        Args:
            values: The parsed file.
            where: The file's path, for errors.

        Raises:
            ModelError: if the format version or a task is unknown, or a key is missing or wrong.
        """
        _check_format_version(values, where)
        try:
            tasks = tuple(_task_from_json(entry, where) for entry in values["tasks"])
            pooling, max_length = values["pooling"], values["max_length"]
            # The first models were written before there was a choice.
            pair_encoding, heads = values.get("pair_encoding", True), values.get("heads", "linear")
            encoder = EncoderConfig.from_dict(values["encoder"])
        except (KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"{where}: damaged model configuration ({error!r})") from None
        choices = pooling in get_args(Pooling) and heads in get_args(Heads)
        if not (choices and isinstance(pair_encoding, bool) and isinstance(max_length, int)):
            raise ModelError(
                f"{where}: damaged model configuration"
                " (pooling, pair_encoding, heads or max_length)"
            )
        return cls(
            encoder=encoder,
            pooling=pooling,
            max_length=max_length,
            tasks=tasks,
            pair_encoding=pair_encoding,
            heads=heads,
        )

    def task(self, name: str) -> TaskSpec:
        """The model's task of that name.

        Raises:
            ConfigurationError: if the model was not trained for it.
        """
        for task in self.tasks:
            if task.name == name:
                return task
        raise ConfigurationError(
            f"this model has no head for {name!r}",
            hint=f"it was trained for: {', '.join(task.name for task in self.tasks)}",
        )


def _task_from_json(entry: dict[str, Any], where: str) -> TaskSpec:
    task = TASKS.get(entry["name"])
    if task is None or list(task.labels) != entry["labels"] or task.kind != entry["kind"]:
        raise ModelError(
            f"{where}: the task {entry['name']!r} is not one that this version knows",
            hint="upgrade with: pip install --upgrade swissbert",
        )
    return task


def _check_format_version(values: dict[str, Any], where: str) -> None:
    version = values.get("format_version") if isinstance(values, dict) else None
    if version != FORMAT_VERSION:
        raise ModelError(
            f"{where}: unknown format version {version!r}, this program reads {FORMAT_VERSION}",
            hint="name a directory that swiss train and swiss export wrote",
        )


@dataclass(frozen=True)
class FileEntry:
    """A file of the model directory, as the manifest knows it."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """What `manifest.json` holds.

    Attributes:
        files: Every file beside the manifest, by name.
        versions: Versions of the packages that wrote them.
        source_encoder: Name and sha256 of the encoder that training began from; where that was a
            run of its own, also the run's tasks and its own source's name and sha256.
        export: Precision, opset and parity per task; None before the export.
    """

    files: dict[str, FileEntry]
    versions: dict[str, str]
    source_encoder: dict[str, str]
    export: dict[str, Any] | None = None
    format_version: int = field(default=FORMAT_VERSION)


def sha256_of(path: Path) -> str:
    """The file's SHA-256, in hexadecimal."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def read_json(path: Path) -> Any:
    """Parse a JSON file of a model directory.

    Raises:
        ModelError: if it is missing or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise ModelError(
            f"{path}: not found, so {path.parent} is no model directory",
            hint="name a directory that swiss train and swiss export wrote",
        ) from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read: {error}") from None


def is_model_directory(directory: Path) -> bool:
    """Whether `config.json` is one that training wrote, and no encoder's of Hugging Face."""
    try:
        values = json.loads((directory / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(values, dict) and "format_version" in values


def read_config(directory: Path) -> ModelConfig:
    """Read `config.json`.

    Raises:
        ModelError: if it is missing, damaged or of an unknown format.
    """
    path = directory / CONFIG
    return ModelConfig.from_json(read_json(path), str(path))


def read_manifest(directory: Path) -> Manifest:
    """Read `manifest.json`.

    Raises:
        ModelError: if it is missing, damaged or of an unknown format.
    """
    path = directory / MANIFEST
    values = read_json(path)
    _check_format_version(values, str(path))
    try:
        return Manifest(
            files={name: FileEntry(**entry) for name, entry in values["files"].items()},
            versions=values["versions"],
            source_encoder=values["source_encoder"],
            export=values["export"],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path}: damaged manifest ({error!r})") from None


def verify(directory: Path, names: Iterable[str]) -> Manifest:
    """Check files against the manifest's hashes.

    Returns:
        The manifest.

    Raises:
        ModelError: if a file is missing from the directory or the manifest, or differs.
    """
    manifest = read_manifest(directory)
    for name in names:
        path = directory / name
        entry = manifest.files.get(name)
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
    return manifest


def write_json(path: Path, values: Any) -> None:
    """Write indented JSON with a last newline."""
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_manifest(target: Path, directory: Path, manifest: Manifest) -> None:
    names = (CONFIG, WEIGHTS, TOKENIZER, GRAPH, METRICS, TRAIN_CONFIG)
    files = {
        name: asdict(FileEntry(sha256_of(path), path.stat().st_size))
        for name in names
        if (path := directory / name).is_file()
    }
    values = asdict(manifest) | {"files": files}
    write_json(target / MANIFEST, {"format_version": values.pop("format_version"), **values})


@contextmanager
def update(directory: Path, manifest: Manifest, remove: Iterable[str] = ()) -> Iterator[Path]:
    """Add or replace files of a model directory so that no reader takes a half-written one.

    Yields an empty folder inside the directory to write the new files into. When the block ends
    well, the old manifest is removed, the files are renamed into place and a new manifest is
    written last; when it fails, the directory stays as it was.

    Args:
        directory: The model directory; made if it does not exist.
        manifest: The new manifest; its `files` are filled in here.
        remove: Names of old files that the new ones make wrong.
    """
    staging = directory / ".staging"
    shutil.rmtree(staging, ignore_errors=True)  # of a process that was killed
    staging.mkdir(parents=True)
    try:
        yield staging
        for name in (MANIFEST, *remove):
            (directory / name).unlink(missing_ok=True)
        for path in sorted(staging.iterdir()):
            path.replace(directory / path.name)
        _write_manifest(staging, directory, manifest)
        (staging / MANIFEST).replace(directory / MANIFEST)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
