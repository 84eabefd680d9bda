"""Loads encoders from Hugging Face directories, the Hub, runs of swiss, and the package."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from swiss_training.downloads import hub
from swiss_training.downloads.hub import FILES
from swiss_training.downloads.needs import Needs, fetch_needs
from swiss_training.families import FAMILIES, make_encoder
from swiss_training.families.encoder import Encoder
from swiss_training.graph_weights import read_graph
from swiss_training.weights import check_fit, read_tensors
from swisscli.core.errors import ConfigurationError, ModelError
from swisscli.core.model.directory import (
    GRAPH,
    PACKAGED,
    TOKENIZER,
    WEIGHTS,
    ModelDirectory,
    is_model_directory,
    packaged_model,
)
from swisscli.core.model.encoder_config import EncoderConfig, read_encoder_config
from swisscli.core.model.manifest import sha256_of


@dataclass(frozen=True)
class PretrainedEncoder:
    """A loaded encoder.

    Attributes:
        encoder: The encoder with its weights.
        weights: Path of the checkpoint with the weights.
        tokenizer: Path of the `tokenizer.json`.
        source: Name of the encoder and sha256 of its weights; for the Hub also its revision;
            for a run of `swiss train` also the run's tasks, and name and sha256 of the encoder that
            it began from.
        pooler_initialised: Whether the checkpoint had no pooler and a random one was made.
    """

    encoder: Encoder
    weights: Path
    tokenizer: Path
    source: dict[str, str]
    pooler_initialised: bool

    def longest_input(self, wanted: int) -> int:
        """Return the longest input of a run, in tokens.

        Args:
            wanted: What the run asks for; 0 for as much as the encoder takes.

        Raises:
            ConfigurationError: if the encoder takes less.
        """
        longest = self.encoder.config.longest_input
        if wanted > longest:
            raise ConfigurationError(f"max_length is {wanted}, the encoder takes {longest} tokens")
        return wanted or longest


def load_pretrained(name: str) -> PretrainedEncoder:
    """Load an encoder from a Hugging Face style directory, a run of `swiss train`, or the Hub.

    Args:
        name: A directory with `config.json`, `model.safetensors` and `tokenizer.json`, the folder
            of a run, whose heads are dropped (intermediate training: Phang et al. 2018,
            arXiv:1811.01088), a Hub repository such as `bert-base-uncased`, or `packaged`: the
            encoder of the model inside the package, which needs no network.

    Raises:
        ModelError: if a file is missing or damaged, or the Hub cannot be reached.
    """
    if name == PACKAGED:
        return _load_packaged()
    directory, revision = (Path(name), {}) if Path(name).is_dir() else _find_on_hub(name)
    missing = [file for file in FILES if not (directory / file).is_file()]
    if missing:
        raise ModelError(
            f"{directory}: not an encoder directory; missing: {', '.join(missing)}",
            hint=f"an encoder directory holds {', '.join(FILES)}",
        )
    weights = directory / "model.safetensors"
    if is_own := is_model_directory(directory):
        config, source = _read_run(directory, name)
    else:
        config = read_encoder_config(directory / "config.json")
        source = {"name": name, "sha256": sha256_of(weights)}
    source |= revision
    tensors = read_tensors(weights)
    names = FAMILIES[config.model_type].names
    state = _encoder_of_run(tensors) if is_own else names.from_hugging_face(tensors)
    return _load_encoder(config, state, weights, directory / "tokenizer.json", source)


def _load_packaged() -> PretrainedEncoder:
    """Load the encoder of the model inside the package from its graph."""
    model = ModelDirectory.open(packaged_model(), (GRAPH, TOKENIZER))
    state = _encoder_of_run(read_graph(model))
    source = {"name": PACKAGED, "model": model.path.name} | _record(model, GRAPH)
    return _load_encoder(
        model.config.encoder, state, model.path / GRAPH, model.path / TOKENIZER, source
    )


def _load_encoder(
    config: EncoderConfig,
    state: dict[str, Tensor],
    weights: Path,
    tokenizer: Path,
    source: dict[str, str],
) -> PretrainedEncoder:
    """Load an encoder from the tensors of a file."""
    check_fit(weights, state, lambda: make_encoder(config), optional=("pooler.",))
    encoder = make_encoder(config)
    encoder.load_state_dict(
        {key: tensor.to(torch.float32) for key, tensor in state.items()}, strict=False
    )
    return PretrainedEncoder(
        encoder=encoder,
        weights=weights,
        tokenizer=tokenizer,
        source=source,
        pooler_initialised=not {"pooler.weight", "pooler.bias"} <= state.keys(),
    )


def _read_run(directory: Path, name: str) -> tuple[EncoderConfig, dict[str, str]]:
    """Read an encoder's configuration and source from a verified model directory."""
    run = ModelDirectory.open(directory, FILES)
    return run.config.encoder, {"name": name} | _record(run, WEIGHTS)


def _record(model: ModelDirectory, weights: str) -> dict[str, str]:
    """Return what to record of a model whose encoder is used."""
    # Record only the last model in full, so that the record of a long chain stays flat.
    before = model.manifest.source_encoder
    return {
        "sha256": model.manifest.files[weights].sha256,
        "tasks": ",".join(task.name for task in model.config.tasks),
    } | {f"source_{key}": before[key] for key in ("name", "sha256") if key in before}


def _encoder_of_run(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    prefix = "encoder."
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _find_on_hub(name: str) -> tuple[Path, dict[str, str]]:
    """The folder and the revision of an encoder on the Hub, which is fetched if it is not here."""
    found = hub.find(name)
    if found is None:
        fetch_needs(Needs(encoders=(name,)))
        found = hub.find(name)
    assert found is not None
    return found.path, {"revision": found.commit}
