"""Trains with each library as its documentation recommends, on a CPU in bf16.

A trainer is opened once and trains again and again, each time from the weights that `models.py`
wrote. It times an epoch itself, from the first batch to the last update, without what a library
does before the first step, such as reading and tokenizing.
"""

import copy
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from benchmarks.adapters import BATCH_SIZE, Setting, Texts

WARM_UP_STEPS = 10
"""Steps before the first run, which fill the caches of kernels and memory."""
PROFILED_STEPS = 10
_LEARNING_RATE, _WARM_UP_SHARE, _MAX_NORM = 2e-5, 0.1, 1.0


@dataclass(frozen=True)
class Records:
    """Records to train on.

    Attributes:
        texts: One or two texts per record.
        labels: Class of each record.
    """

    texts: Texts
    labels: Sequence[int]


@dataclass(frozen=True)
class Epoch:
    """A pass over all records.

    Attributes:
        seconds: From the first batch to the last update.
        loss: Mean loss over the steps.
    """

    seconds: float
    loss: float


class Trainer(Protocol):
    """A model that is loaded and can be trained."""

    def train(self, records: Records) -> Epoch:
        """Train an epoch in batches of 32, from the weights as they were opened."""
        ...

    def logits(self, texts: Texts) -> list[list[float]]:
        """Return the float32 logits of each record, with the weights as they were opened."""
        ...


class SwissTrainer:
    """The steps of `swiss train`."""

    def __init__(self, setting: Setting, *, fast_dropout: bool = False) -> None:
        from swiss_training.multitask.model import load_model
        from swisscli.core.model.directory import ModelDirectory

        self._task = setting.task
        self._run = setting.models / "run"
        self._fast_dropout = fast_dropout
        self._head = load_model(ModelDirectory.open(self._run)).heads[setting.task].state_dict()

    def train(self, records: Records) -> Epoch:
        """See `Trainer`."""
        from swiss_training.step import take_step

        objective = self._objective(records)
        start = time.perf_counter()
        for step in range(objective.num_steps):
            take_step(objective, step)
        seconds = time.perf_counter() - start
        return Epoch(seconds, objective.losses.take()[self._task])

    def profile(self, records: Records) -> dict[str, float]:
        """Return the seconds of some steps by kind of operator; see `training_step.py`."""
        from benchmarks.training_step import seconds_by_kind
        from swiss_training.step import take_step

        objective = self._objective(records)
        steps = iter(range(objective.num_steps))
        for _ in range(min(WARM_UP_STEPS, objective.num_steps // 2)):
            take_step(objective, next(steps))
        remaining = list(steps)[:PROFILED_STEPS]
        return seconds_by_kind(lambda: [take_step(objective, step) for step in remaining])

    def logits(self, texts: Texts) -> list[list[float]]:
        """See `Trainer`."""
        import torch

        objective = self._objective(Records(texts, [0] * len(texts)))
        batch = objective.streams[self._task].dataset.batch(range(len(texts)))
        with torch.no_grad():
            logits: list[list[float]] = objective.model.eval()(self._task, *batch.inputs).tolist()
        return logits

    def _objective(self, records: Records) -> Any:
        from swiss_training.multitask.config import TrainConfig
        from swiss_training.multitask.objective import Multitask
        from swisscli.core.model.directory import ModelDirectory

        encoder = ModelDirectory.open(self._run).config.encoder
        names = ("sentence",) if len(records.texts[0]) == 1 else ("sentence1", "sentence2")
        with tempfile.TemporaryDirectory() as folder:
            rows = [
                json.dumps(dict(zip(names, texts, strict=True)) | {"label": label}) + "\n"
                for texts, label in zip(records.texts, records.labels, strict=True)
            ]
            train, dev = Path(folder, "train.jsonl"), Path(folder, "dev.jsonl")
            train.write_text("".join(rows), encoding="utf-8")
            dev.write_text(rows[0], encoding="utf-8")
            objective = Multitask(
                TrainConfig(
                    encoder=str(self._run),
                    data="",
                    tasks=[self._task],
                    train_files={self._task: [str(train)]},
                    dev_files={self._task: [str(dev)]},
                    dropout=encoder.hidden_dropout_prob,  # what Hugging Face's classifier has
                    fast_dropout=self._fast_dropout,
                    epochs=1,
                    batch_size=BATCH_SIZE,
                    learning_rate=_LEARNING_RATE,
                    warmup_ratio=_WARM_UP_SHARE,
                    max_grad_norm=_MAX_NORM,
                    precision="bf16",
                    device="cpu",
                )
            )
        objective.model.heads[self._task].load_state_dict(self._head)
        return objective


class HuggingFaceTrainer:
    """`transformers.Trainer` on tokenized records, in padded batches of similar length."""

    def __init__(self, setting: Setting, *, compiled: bool = False) -> None:
        import transformers

        transformers.logging.set_verbosity_error()
        # A task of one logit is binary: without this, Hugging Face takes it for a regression.
        binary = {"problem_type": "multi_label_classification"}
        self._binary = setting.task == "paraphrase"
        self._model = transformers.AutoModelForSequenceClassification.from_pretrained(
            setting.hugging_face, **(binary if self._binary else {})
        )
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(setting.hugging_face)
        self._compiled = compiled

    def train(self, records: Records) -> Epoch:
        """See `Trainer`."""
        import transformers
        from datasets import Dataset

        labels = [[float(label)] for label in records.labels] if self._binary else records.labels
        rows = self._tokenizer(*_columns(records.texts), truncation=True)
        rows = {**rows, "labels": labels, "length": [len(ids) for ids in rows["input_ids"]]}
        with tempfile.TemporaryDirectory() as folder:
            trainer = transformers.Trainer(
                model=copy.deepcopy(self._model),  # a trainer changes more than its weights
                args=transformers.TrainingArguments(
                    # Each model is compiled anew, for which there is an epoch that is not timed.
                    **_arguments(folder, epochs=2 if self._compiled else 1),
                    train_sampling_strategy="group_by_length",
                    torch_compile=self._compiled,
                ),
                train_dataset=Dataset.from_dict(rows),
                data_collator=transformers.DataCollatorWithPadding(self._tokenizer),
                processing_class=self._tokenizer,
            )
            return _time_training(trainer)

    def logits(self, texts: Texts) -> list[list[float]]:
        """See `Trainer`."""
        import torch

        inputs = self._tokenizer(
            *_columns(texts), truncation=True, padding=True, return_tensors="pt"
        )
        with torch.no_grad():
            logits: list[list[float]] = self._model.eval()(**inputs).logits.tolist()
        return logits


class CrossEncoderTrainer:
    """sentence-transformers' `CrossEncoderTrainer`, which tokenizes in each step."""

    def __init__(self, setting: Setting) -> None:
        from sentence_transformers import CrossEncoder

        self._model = CrossEncoder(str(setting.hugging_face), device="cpu")

    def train(self, records: Records) -> Epoch:
        """See `Trainer`."""
        from datasets import Dataset
        from sentence_transformers.cross_encoder import (
            CrossEncoderTrainer as Trainer,
        )
        from sentence_transformers.cross_encoder import CrossEncoderTrainingArguments
        from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss

        model = copy.deepcopy(self._model)
        first, second = _columns(records.texts)
        rows = {"sentence1": first, "sentence2": second, "label": records.labels}
        with tempfile.TemporaryDirectory() as folder:
            trainer = Trainer(
                model=model,
                args=CrossEncoderTrainingArguments(**_arguments(folder, epochs=1)),
                train_dataset=Dataset.from_dict(rows),
                loss=BinaryCrossEntropyLoss(model),
            )
            return _time_training(trainer)

    def logits(self, texts: Texts) -> list[list[float]]:
        """See `Trainer`."""
        from torch.nn import Identity

        pairs = [list(item) for item in texts]
        scores = self._model.predict(pairs, show_progress_bar=False, activation_fn=Identity())
        return [[float(score)] for score in scores]


def _columns(texts: Texts) -> list[list[str]]:
    return [list(column) for column in zip(*texts, strict=True)]


def _arguments(folder: str, epochs: int) -> dict[str, Any]:
    """Return the arguments that both peers' trainers take."""
    return {
        "output_dir": folder,
        "num_train_epochs": epochs,
        "per_device_train_batch_size": BATCH_SIZE,
        "bf16": True,
        "use_cpu": True,
        "optim": "adamw_torch_fused",
        "learning_rate": _LEARNING_RATE,
        "warmup_steps": _WARM_UP_SHARE,  # below 1: a share of the steps
        "max_grad_norm": _MAX_NORM,
        "logging_strategy": "epoch",
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }


def _time_training(trainer: Any) -> Epoch:
    """Train, and time the last epoch; the loss is that of the first."""
    from transformers import TrainerCallback

    times: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_epoch_begin(self, *_: Any, **__: Any) -> None:
            times.append(time.perf_counter())

        def on_epoch_end(self, *_: Any, **__: Any) -> None:
            times.append(time.perf_counter())

    trainer.add_callback(Clock())
    trainer.train()
    *_, start, end = times
    return Epoch(end - start, trainer.state.log_history[0]["loss"])
