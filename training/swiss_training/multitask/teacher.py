"""Computes and caches a teacher's logits of all training examples, for distillation."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch

from swiss_training import checkpoint
from swiss_training.checkpoint import Checkpoint
from swiss_training.multitask.data import TaskDataset
from swiss_training.multitask.evaluation import predict_logits
from swiss_training.multitask.examples import Examples
from swiss_training.multitask.model import load_model
from swisscli.core.errors import ConfigurationError
from swisscli.core.model.directory import TOKENIZER, WEIGHTS, ModelDirectory
from swisscli.core.tokenization import Tokenizer

FILE = Path("checkpoints") / "teacher.safetensors"
"""File of the teacher's logits in the run folder, so that a resumed run can reuse them."""


class Teacher:
    """A trained model to distil from.

    Args:
        folder: The teacher's model directory.
        tasks: Tasks to distil.

    Raises:
        ModelError: if the directory is not a trained model.
        ConfigurationError: if the model has no head for one of the tasks.
    """

    def __init__(self, folder: Path, tasks: Iterable[str]) -> None:
        self._directory = ModelDirectory.open(folder, (WEIGHTS, TOKENIZER))
        known = {task.name for task in self._directory.config.tasks}
        if lacking := [task for task in tasks if task not in known]:
            raise ConfigurationError(
                f"the teacher {folder} has no head for {', '.join(lacking)}",
                hint=f"it was trained for: {', '.join(sorted(known))}",
            )

    def fingerprint(self) -> str:
        """Hash of the teacher's weights."""
        return f"sha256 {self._directory.manifest.files[WEIGHTS].sha256[:16]}"

    def teach(
        self,
        datasets: Mapping[str, TaskDataset],
        run: Path,
        device: torch.device,
        autocast: torch.autocast,
    ) -> None:
        """Give every dataset the teacher's logits, from the cache or computed.

        Raises:
            ModelError: if the cached logits are damaged.
        """
        path = run / FILE
        data = {name: dataset.fingerprint() for name, dataset in datasets.items()}
        record = {"teacher": self.fingerprint(), "data": data}
        kept = checkpoint.read(path) if path.is_file() else None
        if kept is None or kept.record != record:
            # A run that resumes with cached logits builds no teacher, but must draw the same.
            with torch.random.fork_rng(devices=[]):
                model = load_model(self._directory).to(device)
            tokenizer = Tokenizer.of(self._directory)
            pad_token_id = self._directory.config.encoder.pad_token_id
            pair_encoding = self._directory.config.pair_encoding
            logits = {}
            for name, dataset in datasets.items():
                examples = Examples(
                    dataset.task, dataset.texts, [0.0] * len(dataset)
                )  # labels unused
                own = TaskDataset(examples, tokenizer, pad_token_id, pair_encoding)
                logits[name] = predict_logits(model, own, autocast)
            tensors = {name: torch.from_numpy(x_NC) for name, x_NC in logits.items()}
            kept = Checkpoint(tensors, record)
            checkpoint.write(path, kept)
        for name, logits_NC in kept.tensors.items():
            datasets[name].teacher_NC = logits_NC.numpy()
