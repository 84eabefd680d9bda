"""Computes and caches a teacher's logits of the training examples, for distillation."""

import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from swiss_training import checkpoint
from swiss_training.checkpoint import Checkpoint
from swiss_training.distributed import ranks
from swiss_training.multitask.data import TaskDataset
from swiss_training.multitask.examples import Examples
from swiss_training.multitask.model import MultitaskModel, load_model
from swiss_training.observer import NOBODY, Observer
from swisscli.core.errors import ConfigurationError
from swisscli.core.model.directory import TOKENIZER, WEIGHTS, ModelDirectory
from swisscli.core.tokenization import Tokenizer

FILE = Path("checkpoints") / "teacher.safetensors"
"""File of the teacher's logits in the run folder, so that a resumed run can reuse them."""

SAVE_SECONDS = 60.0
"""Most seconds of computing that a run that is stopped while its teacher computes can lose."""


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

    def cache_logits(
        self,
        datasets: Mapping[str, TaskDataset],
        rows: Mapping[str, npt.NDArray[np.int64]],
        run: Path,
        device: torch.device,
        autocast: torch.autocast,
        observer: Observer = NOBODY,
    ) -> None:
        """Give every dataset the teacher's logits of some rows, computed once and cached.

        What is computed is saved every minute, so that a run that was stopped here computes
        only the rest. The other rows keep NaN as their logits.

        Args:
            datasets: The datasets by task.
            rows: The rows that the run reads, (R,) of each task.
            run: The run folder, which holds the cache.
            device: Where the teacher computes.
            autocast: Precision of the teacher.
            observer: Receives the number of rows done so far.

        Raises:
            ModelError: if the cached logits are damaged.
        """
        path = run / FILE
        data = {name: dataset.fingerprint() for name, dataset in datasets.items()}
        record: dict[str, Any] = {"teacher": self.fingerprint(), "data": data}
        logits = _allocate(datasets)
        if path.is_file() and (kept := checkpoint.read(path)).record == record:
            logits = {name: tensor.numpy() for name, tensor in kept.tensors.items()}
        if any(np.isnan(logits[name][rows[name]]).any() for name in datasets):
            kept_before = {name: ~np.isnan(logits_NC) for name, logits_NC in logits.items()}
            # A run that resumes with cached logits builds no teacher, but must draw the same.
            with torch.random.fork_rng(devices=[]):
                model = load_model(self._directory).to(device)
            saved = time.monotonic()
            for _ in self._compute(model, datasets, rows, logits, autocast, observer):
                if ranks.is_first() and time.monotonic() - saved > SAVE_SECONDS:
                    _save(path, logits, record)
                    saved = time.monotonic()
            for name, is_kept_NC in kept_before.items():
                _add_up(logits[name], is_kept_NC)
            if ranks.is_first():
                _save(path, logits, record)
        for name, dataset in datasets.items():
            dataset.teacher_NC = logits[name]

    def _compute(
        self,
        model: MultitaskModel,
        datasets: Mapping[str, TaskDataset],
        rows: Mapping[str, npt.NDArray[np.int64]],
        logits: Mapping[str, npt.NDArray[np.float32]],
        autocast: torch.autocast,
        observer: Observer,
    ) -> Iterator[None]:
        """Fill in the missing logits, batch by batch; each of several ranks does some batches."""
        tokenizer = Tokenizer.of(self._directory)
        config = self._directory.config
        for name, dataset in datasets.items():
            texts = [dataset.texts[row] for row in rows[name]]
            examples = Examples(dataset.task, texts, [0.0] * len(texts))  # labels unused
            own = TaskDataset(
                examples, tokenizer, config.encoder.pad_token_id, config.pair_encoding, observer
            )
            done = 0
            with torch.inference_mode(), autocast:
                # The batches are the same ones however often the run was stopped.
                for indices, batch in own.by_length(ranks.rank(), ranks.size()):
                    of_batch = rows[name][indices]
                    if np.isnan(logits[name][of_batch]).any():
                        logits_BC = model(name, *batch.to(next(model.parameters()).device).inputs)
                        logits[name][of_batch] = logits_BC.float().cpu().numpy()
                        yield
                    done += len(indices) * ranks.size()
                    what = f"computing the teacher's logits of {name}"
                    observer.on_activity(what, min(done, len(own)), len(own), "rows")


def _allocate(datasets: Mapping[str, TaskDataset]) -> dict[str, npt.NDArray[np.float32]]:
    return {
        name: np.full((len(dataset), dataset.task.num_outputs), np.nan, dtype=np.float32)
        for name, dataset in datasets.items()
    }


def _add_up(logits_NC: npt.NDArray[np.float32], is_kept_NC: npt.NDArray[np.bool_]) -> None:
    """Give every rank the logits that the others have computed; kept ones are on all ranks."""
    if ranks.size() == 1:
        return
    is_own_NC = ~np.isnan(logits_NC) & (ranks.is_first() | ~is_kept_NC)
    sums_NC = torch.from_numpy(np.where(is_own_NC, logits_NC, np.float32(0)))
    count_NC = torch.from_numpy(is_own_NC.astype(np.float32))
    ranks.add_up(sums_NC)
    ranks.add_up(count_NC)
    logits_NC[:] = np.where(count_NC.numpy() > 0, sums_NC.numpy(), np.nan)


def _save(
    path: Path, logits: Mapping[str, npt.NDArray[np.float32]], record: dict[str, Any]
) -> None:
    tensors = {name: torch.from_numpy(logits_NC) for name, logits_NC in logits.items()}
    checkpoint.write(path, Checkpoint(tensors, record))
