"""The training loop: a generator of events. It prints nothing."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from swiss_training import checkpoint, optim
from swiss_training.checkpoint import LAST, RUN_CONFIG, Progress
from swiss_training.config import TrainConfig
from swiss_training.data import BatchStream, TaskDataset
from swiss_training.devices import choose_device, choose_precision, make_autocast
from swiss_training.evaluation import evaluate
from swiss_training.examples import Examples, read_tasks
from swiss_training.losses import task_loss
from swiss_training.metrics import Evaluation
from swiss_training.model.convert import PretrainedEncoder, load_pretrained
from swiss_training.model.multitask import MultitaskModel
from swisscli.contract.methods import MethodKind, find_method
from swisscli.contract.model_dir import ModelConfig
from swisscli.contract.tasks import TASKS, Split
from swisscli.errors import ConfigurationError, DataError, ModelError, SwissError
from swisscli.tokenization import Tokenizer


@dataclass(frozen=True)
class Started:
    """The run is ready.

    Attributes:
        num_steps: Optimizer steps of the whole run.
        step: Steps already taken, when it was resumed.
        train_rows: Training examples per task.
        dev_rows: Dev examples per task.
        device: Where it trains.
        precision: fp32 or bf16.
        notes: What the user should know: skipped rows, an initialised pooler.
    """

    num_steps: int
    step: int
    train_rows: dict[str, int]
    dev_rows: dict[str, int]
    device: str
    precision: str
    notes: list[str]


@dataclass(frozen=True)
class StepsDone:
    """Some steps were taken.

    Attributes:
        step: Optimizer steps taken so far.
        epoch: The epoch under way, from 1.
        losses: Mean loss per task since the last such event.
        weights: Factor of each task's loss now.
        learning_rate: The model's, in the last step.
        sequences_per_second: Sequences trained since the last such event, per second.
    """

    step: int
    epoch: int
    losses: dict[str, float]
    weights: dict[str, float]
    learning_rate: float
    sequences_per_second: float


@dataclass(frozen=True)
class Evaluated:
    """The dev sets were evaluated; `best` says whether it is the best score so far."""

    step: int
    evaluation: Evaluation
    best: bool


@dataclass(frozen=True)
class Saved:
    """The last state was written."""

    step: int


@dataclass(frozen=True)
class Finished:
    """The run is over; the model directory holds its best state."""

    step: int
    best: float
    best_step: int
    stopped_early: bool


Event = Started | StepsDone | Evaluated | Saved | Finished


def fit(config: TrainConfig) -> Iterator[Event]:
    """Train a new run into `config.output`.

    Raises:
        SwissError: of bad data, a bad encoder, an absent device, or a loss that is not finite.
    """
    checkpoint.check_new_run(Path(config.output))
    return Run(config).events()


def resume(run: Path) -> Iterator[Event]:
    """Go on with the run of a folder where its last checkpoint stands; if it has none, from step 0.

    Raises:
        ConfigurationError: if the folder holds no run, or its data has changed.
        DataError: if the data is not where it was.
        ModelError: if the checkpoint is damaged.
    """
    if not (run / RUN_CONFIG).is_file():
        raise ConfigurationError(
            f"{run}: no run to resume, {RUN_CONFIG} is not there",
            hint="start one: swiss train --output DIR",
        )
    config = TrainConfig.read(run / RUN_CONFIG, output=str(run))
    try:
        return Run(config, resumed=(run / LAST).is_file()).events()
    except DataError as error:
        raise DataError(
            error.message, hint="resume it in the folder where it began, with the data it had"
        ) from None


class Run:
    """A run in memory: model, optimizer, streams and where it stands.

    Args:
        config: The configuration.
        resumed: Whether to go on from the last checkpoint.
    """

    def __init__(self, config: TrainConfig, resumed: bool = False) -> None:
        self.config = config
        self.folder = Path(config.output)
        self.device = choose_device(config.device)
        self.precision = choose_precision(config.precision, self.device)
        self.autocast = make_autocast(self.precision, self.device)
        train, dev = read_tasks(config)
        torch.manual_seed(config.seed)
        self.pretrained = load_pretrained(config.encoder)
        self.tasks = tuple(train)
        self.model = self._make_model(self.pretrained).to(self.device)
        self.weighting = _method("weighting", config.weighting)(len(self.tasks)).to(self.device)
        self.optimizer = optim.make_optimizer(self.model, self.weighting, config)
        tokenizer = self._make_tokenizer()
        pad_token_id = self.model.config.encoder.pad_token_id
        datasets, self.dev = (
            {
                name: TaskDataset(examples, tokenizer, pad_token_id)
                for name, examples in split.items()
            }
            for split in (train, dev)
        )
        self.streams = {
            name: BatchStream(dataset, config.batch_size, (config.seed, list(TASKS).index(name)))
            for name, dataset in datasets.items()
        }
        self.sampler = _method("sampler", config.sampler)
        self.loss_sum_N = torch.zeros(len(self.tasks), device=self.device)
        self.progress = Progress(train_rows={name: len(data) for name, data in datasets.items()})
        if resumed:
            self._restore()
        self.steps_per_epoch = -(-len(self._updates(0)) // config.gradient_accumulation_steps)
        self.num_steps = config.max_steps or config.epochs * self.steps_per_epoch
        self.notes = _notes("train", train, datasets) + _notes("dev", dev, self.dev)
        if self.pretrained.pooler_initialised:
            self.notes.append(f"{config.encoder} has no pooler: a new one is initialised")

    def _make_model(self, pretrained: PretrainedEncoder) -> MultitaskModel:
        longest = pretrained.encoder.config.max_position_embeddings
        if self.config.max_length > longest:
            raise ConfigurationError(
                f"max_length is {self.config.max_length}, the encoder takes {longest} tokens"
            )
        model_config = ModelConfig(
            encoder=pretrained.encoder.config,
            pooling=self.config.pooling,
            max_length=self.config.max_length or longest,
            tasks=tuple(TASKS[name] for name in self.tasks),
        )
        model = MultitaskModel(model_config, dropout=self.config.dropout)
        model.encoder = pretrained.encoder
        return model

    def _make_tokenizer(self) -> Tokenizer:
        tokenizer = Tokenizer(self.pretrained.tokenizer, self.model.config.max_length)
        encoder = self.pretrained.encoder.config
        pairs = any(TASKS[name].arity > 1 for name in self.tasks)
        if tokenizer.vocab_size > encoder.vocab_size or (pairs and encoder.type_vocab_size < 2):
            raise ModelError(
                f"{self.config.encoder}: the tokenizer has {tokenizer.vocab_size} tokens,"
                f" the encoder {encoder.vocab_size}, with {encoder.type_vocab_size} token types",
                hint="the encoder needs every token, and two token types for pairs",
            )
        return tokenizer

    def _restore(self) -> None:
        train_rows = self.progress.train_rows
        self.progress = checkpoint.load_last(
            self.folder, self.model, self.weighting, self.optimizer, self.loss_sum_N
        )
        if (self.progress.train_rows or train_rows) != train_rows:
            raise ConfigurationError(
                f"{self.folder}: the training data has changed: {train_rows} examples,"
                f" {self.progress.train_rows} when the run began",
                hint="restore the data, or train a new run",
            )
        self.progress.train_rows = train_rows
        for name, position in self.progress.positions.items():
            self.streams[name].position = position

    def _updates(self, epoch: int) -> list[tuple[str, ...]]:
        sizes = {name: stream.num_batches for name, stream in self.streams.items()}
        return list(self.sampler(sizes, self.config.seed, epoch))

    def events(self) -> Iterator[Event]:
        """Train to the end."""
        if not (self.folder / RUN_CONFIG).is_file():
            checkpoint.save_config(self.folder, self.config)
        yield Started(
            num_steps=self.num_steps,
            step=self.progress.step,
            train_rows=self.progress.train_rows,
            dev_rows={name: len(dataset) for name, dataset in self.dev.items()},
            device=str(self.device),
            precision=self.precision,
            notes=self.notes,
        )
        progress = self.progress
        while progress.step < self.num_steps and not self._out_of_patience():
            yield from self._epoch()
        assert progress.best is not None
        yield Finished(
            progress.step, progress.best, progress.best_step, progress.step < self.num_steps
        )

    def _epoch(self) -> Iterator[Event]:
        config, progress = self.config, self.progress
        updates = self._updates(progress.epoch)
        size = config.gradient_accumulation_steps
        logged, sequences = time.perf_counter(), 0
        while progress.step_in_epoch < self.steps_per_epoch and progress.step < self.num_steps:
            start = progress.step_in_epoch * size
            self.model.train()
            sequences += self._step(updates[start : start + size])
            progress.step += 1
            progress.step_in_epoch += 1
            progress.unlogged_steps += 1
            last = progress.step == self.num_steps
            epoch_ends = progress.step_in_epoch == self.steps_per_epoch
            if progress.step % config.log_every == 0 or last:
                seconds = time.perf_counter() - logged
                yield self._log(sequences / seconds)
                logged, sequences = time.perf_counter(), 0
            evaluating = progress.step % config.eval_every == 0 if config.eval_every else epoch_ends
            if epoch_ends:
                progress.epoch, progress.step_in_epoch = progress.epoch + 1, 0
            if evaluating or last:
                before = time.perf_counter()
                yield self._evaluate()
                logged += time.perf_counter() - before
            if evaluating or last or progress.step % config.save_every == 0:
                yield self._save_last()
            if epoch_ends or self._out_of_patience():
                return

    def _step(self, updates: list[tuple[str, ...]]) -> int:
        """One optimizer step; returns the sequences it trained on."""
        config, sequences = self.config, 0
        self.optimizer.zero_grad(set_to_none=True)
        for tasks in updates:
            batches = {name: self.streams[name].next().to(self.device) for name in tasks}
            sequences += sum(len(batch.targets_B) for batch in batches.values())
            with self.autocast:
                losses_N = torch.stack(
                    [
                        task_loss(TASKS[name], self.model(name, *batch.inputs), batch.targets_B)
                        for name, batch in batches.items()
                    ]
                )
            self.loss_sum_N += losses_N.detach() / len(updates)
            (self.weighting(losses_N) / len(updates)).backward()
        if config.max_grad_norm:
            clip_grad_norm_(self.model.parameters(), config.max_grad_norm)
        optim.set_learning_rate(self.optimizer, self._factor(self.progress.step))
        self.optimizer.step()
        return sequences

    def _factor(self, step: int) -> float:
        return optim.schedule_factor(step, self.num_steps, self.config.warmup_ratio)

    def _log(self, sequences_per_second: float) -> StepsDone:
        progress = self.progress
        losses_N = (self.loss_sum_N / progress.unlogged_steps).cpu()
        if not torch.isfinite(losses_N).all():
            raise SwissError(
                f"step {progress.step}: the loss of"
                f" {self.tasks[int((~torch.isfinite(losses_N)).nonzero()[0])]} is not finite",
                hint="lower --learning-rate, or use --precision fp32",
            )
        self.loss_sum_N.zero_()
        progress.unlogged_steps = 0
        return StepsDone(
            step=progress.step,
            epoch=progress.epoch + 1,
            losses=self._by_task(losses_N),
            weights=self._by_task(self.weighting.weights().detach().cpu()),
            learning_rate=self.config.learning_rate * self._factor(progress.step - 1),
            sequences_per_second=sequences_per_second,
        )

    def _by_task(self, values_N: Tensor) -> dict[str, float]:
        return dict(zip(self.tasks, values_N.tolist(), strict=True))

    def _evaluate(self) -> Evaluated:
        progress = self.progress
        self._check_finite()
        evaluation = evaluate(self.model, self.dev, self.autocast)
        best = progress.best is None or evaluation.overall > progress.best
        if best:
            progress.best, progress.best_step = evaluation.overall, progress.step
            progress.evaluations_since_best = 0
            metrics = {
                "seed": self.config.seed,
                "train": {"step": progress.step, "dev": evaluation.to_json()},
            }
            checkpoint.save_model(
                self.folder,
                self.model,
                self.pretrained.tokenizer,
                self.config,
                metrics,
                self.pretrained.source,
            )
        else:
            progress.evaluations_since_best += 1
        return Evaluated(progress.step, evaluation, best)

    def _check_finite(self) -> None:
        """Keep a state that is lost from being evaluated or saved."""
        if not all(bool(torch.isfinite(p).all()) for p in self.model.parameters()):
            raise SwissError(
                f"step {self.progress.step}: the model's weights are not finite",
                hint="lower --learning-rate, or use --precision fp32",
            )

    def _save_last(self) -> Saved:
        self._check_finite()
        self.progress.positions = {name: s.position for name, s in self.streams.items()}
        checkpoint.save_last(
            self.folder,
            self.model,
            self.weighting,
            self.optimizer,
            self.loss_sum_N,
            self.progress,
        )
        return Saved(self.progress.step)

    def _out_of_patience(self) -> bool:
        patience = self.config.patience
        return bool(patience) and self.progress.evaluations_since_best >= patience


def _method(kind: MethodKind, name: str) -> Any:
    module, _, attribute = find_method(kind, name).target.partition(":")
    return getattr(import_module(module), attribute)


def _notes(
    split: Split, examples: Mapping[str, Examples], datasets: Mapping[str, TaskDataset]
) -> list[str]:
    notes = []
    for task in examples:
        if skipped := examples[task].skipped:
            some = ", ".join(skipped[:3]) + (", ..." if len(skipped) > 3 else "")
            notes.append(
                f"{task}: {len(skipped)} {split} rows without a text or label are left out ({some})"
            )
        if count := datasets[task].num_truncated:
            notes.append(f"{task}: {count} {split} rows are cut to the longest input")
    return notes
