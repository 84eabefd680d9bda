"""The training loop: a generator of events. It prints nothing."""

import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from swiss_training import checkpoint, optim
from swiss_training.aggregation.gradients import TaskGradients
from swiss_training.checkpoint import LAST, RUN_CONFIG, Progress
from swiss_training.devices import choose_device, choose_precision, make_autocast
from swiss_training.events import Evaluated, Event, Finished, Saved, Started, StepsDone
from swiss_training.families.pretrained import PretrainedEncoder, load_pretrained
from swiss_training.multitask.config import TrainConfig
from swiss_training.multitask.data import Batch, BatchStream, TaskDataset
from swiss_training.multitask.evaluation import evaluate
from swiss_training.multitask.examples import Examples, read_tasks
from swiss_training.multitask.metrics import Metrics, TrainMetrics
from swiss_training.multitask.model import MultitaskModel, save_model
from swiss_training.multitask.teacher import Teacher
from swiss_training.regularizers import Regularizer
from swiss_training.samplers import Sampler
from swiss_training.samplers.epoch import Epoch
from swisscli.core.errors import ConfigurationError, DataError, ModelError, SwissError
from swisscli.core.methods import find_method, methods_of
from swisscli.core.model.model_config import ModelConfig
from swisscli.core.tasks import TASKS, Split
from swisscli.core.tokenization import Tokenizer


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
            hint="start one: swiss train `output=DIR`",
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
        # Before the encoder, which may have to be downloaded.
        self.teacher = Teacher(Path(config.teacher), config.tasks) if config.teacher else None
        torch.manual_seed(config.seed)
        self.pretrained = load_pretrained(config.encoder)
        self.tasks = tuple(train)
        self.model = self._make_model(self.pretrained).to(self.device)
        count, options = len(self.tasks), vars(config)
        weighting = find_method("weighting", config.weighting)
        self.weighting = weighting.make(options, count).to(self.device)
        aggregation = find_method("aggregation", config.aggregation)
        self.aggregation = aggregation.make(options, count).to(self.device)
        self.regularizers = nn.ModuleList(
            spec.make(options, self.model).to(self.device)
            for spec in methods_of("regularizer")
            if spec.is_on(options)
        )
        self.average: AveragedModel | None = None
        if config.ema_decay:
            self.average = optim.moving_average(self.model, config.ema_decay)
        words = cast(nn.Embedding, self.model.encoder.embeddings.word)
        self.optimizer = optim.make_optimizer(
            self.model,
            self.weighting,
            learning_rate=config.learning_rate,
            weighting_learning_rate=config.awl_learning_rate,
            weight_decay=config.weight_decay,
            layer_decay=config.layer_decay,
            by_row=words if self._reads_few_words() else None,
        )
        tokenizer = self._make_tokenizer()
        pad_token_id = self.model.config.encoder.pad_token_id
        datasets, self.dev = (
            {
                name: TaskDataset(examples, tokenizer, pad_token_id, config.pair_encoding)
                for name, examples in split.items()
            }
            for split in (train, dev)
        )
        self.streams = {
            name: BatchStream(dataset, config.batch_size, (config.seed, list(TASKS).index(name)))
            for name, dataset in datasets.items()
        }
        self.sampler: Sampler = find_method("sampler", config.sampler).make(options)
        self.losses_2N = torch.zeros(2, count, device=self.device)
        """Sum of the tasks' losses since the last log line, and their number."""
        self.progress = Progress(train_rows={name: len(data) for name, data in datasets.items()})
        if resumed:
            self._restore()
        self.steps_per_epoch = -(-len(self._updates(0, 1)) // config.gradient_accumulation_steps)
        self.num_steps = config.max_steps or config.epochs * self.steps_per_epoch
        self.num_epochs = -(-self.num_steps // self.steps_per_epoch)
        self.notes = _notes("train", train, datasets) + _notes("dev", dev, self.dev)
        if self.pretrained.pooler_initialised and config.pooling == "cls":
            self.notes.append(f"{config.encoder} has no pooler: a new one is initialised")

    def _make_model(self, pretrained: PretrainedEncoder) -> MultitaskModel:
        longest = pretrained.encoder.config.longest_input
        if self.config.max_length > longest:
            raise ConfigurationError(
                f"max_length is {self.config.max_length}, the encoder takes {longest} tokens"
            )
        model_config = ModelConfig(
            encoder=pretrained.encoder.config,
            pooling=self.config.pooling,
            max_length=self.config.max_length or longest,
            tasks=tuple(TASKS[name] for name in self.tasks),
            pair_encoding=self.config.pair_encoding,
            heads=self.config.heads,
        )
        model = MultitaskModel(model_config, dropout=self.config.dropout)
        model.encoder = pretrained.encoder
        if self.config.freeze_encoder:
            model.encoder.requires_grad_(False)
        return model

    def _reads_few_words(self) -> bool:
        """Whether a step reads only the word embeddings of its batches, and updates them."""
        config = self.config
        averages = config.ema_decay or vars(config)["bregman_weight"]
        reads_all = averages or config.freeze_encoder or config.aggregation != "none"
        return self.device.type == "cpu" and not reads_all

    def _make_tokenizer(self) -> Tokenizer:
        tokenizer = Tokenizer(self.pretrained.tokenizer, self.model.config.max_length)
        encoder = self.pretrained.encoder.config
        pairs = self.config.pair_encoding and any(TASKS[name].arity > 1 for name in self.tasks)
        tokenizer.check_fits(encoder.vocab_size, self.config.encoder)
        if pairs and not encoder.tells_pairs_apart:
            raise ModelError(
                f"{self.config.encoder}: type_vocab_size is {encoder.type_vocab_size}: this BERT"
                " has one token type, a pair of texts in one sequence needs two",
                hint="choose another encoder, or encode the texts separately with"
                " `pair_encoding=False`",
            )
        return tokenizer

    def _restore(self) -> None:
        train_rows = self.progress.train_rows
        self.progress = checkpoint.load_state(
            self.folder, self._modules(), self.optimizer, self.losses_2N, Progress
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

    def _modules(self) -> dict[str, nn.Module]:
        """Every module whose state a checkpoint holds."""
        modules = {
            "model": self.model,
            "weighting": self.weighting,
            "aggregation": self.aggregation,
            "regularizers": self.regularizers,
        }
        return modules | ({"average": self.average} if self.average else {})

    def _updates(self, number: int, num_epochs: int) -> list[tuple[str, ...]]:
        sizes = {name: stream.num_batches for name, stream in self.streams.items()}
        return list(self.sampler(Epoch(sizes, self.config.seed, number, num_epochs)))

    def events(self) -> Iterator[Event]:
        """Train to the end."""
        if not (self.folder / RUN_CONFIG).is_file():
            checkpoint.save_config(self.folder, self.config)
        if self.teacher:
            train = {name: stream.dataset for name, stream in self.streams.items()}
            self.teacher.teach(train, self.folder, self.device, self.autocast)
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
        updates = self._updates(progress.epoch, self.num_epochs)
        size = config.gradient_accumulation_steps
        logged, sequences = time.perf_counter(), 0
        while progress.step_in_epoch < self.steps_per_epoch and progress.step < self.num_steps:
            start = progress.step_in_epoch * size
            self._train_mode()
            sequences += self._step(updates[start : start + size])
            progress.step += 1
            progress.step_in_epoch += 1
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

    def _train_mode(self) -> None:
        self.model.train()
        if self.config.freeze_encoder:
            self.model.encoder.eval()  # its output is the input feature of the heads

    def _step(self, updates: list[tuple[str, ...]]) -> int:
        """One optimizer step; returns the examples it trained on."""
        config, examples = self.config, 0
        drawn = Counter(task for tasks in updates for task in tasks)
        self.optimizer.zero_grad(set_to_none=True)
        gradients = TaskGradients(self.model) if config.aggregation != "none" else None
        for index, task in enumerate(self.tasks):
            for _ in range(drawn[task]):
                batch = self.streams[task].next().to(self.device)
                examples += len(batch.targets_B)
                self.optimizer.catch_up(batch.input_ids_ST)
                for part in batch.split(config.micro_batch_tokens):
                    share = len(part.targets_B) / len(batch.targets_B)
                    loss = self._loss(index, task, part, share)
                    torch.autograd.backward(loss / len(updates))
            if gradients and drawn[task]:
                gradients.take(index)
        if gradients:
            generator = torch.Generator()
            generator.manual_seed(config.seed + self.progress.step)
            gradients.give(self.aggregation, generator)
        if config.max_grad_norm:
            optim.clip_gradients(self.model.parameters(), config.max_grad_norm)
        optim.set_learning_rate(self.optimizer, self._factor(self.progress.step))
        self.optimizer.step()
        for regularizer in self.regularizers:
            cast(Regularizer, regularizer).after_step(self.model)
        if self.average:
            self.average.update_parameters(self.model)
        return examples

    def _loss(self, index: int, task: str, batch: Batch, share: float = 1.0) -> Tensor:
        """The weighted and regularised loss of a share of a batch, a scalar."""
        with self.autocast:
            output_BC = self.model.output(task, *batch.inputs)
            loss = self.model.head(task).loss(output_BC, batch.targets_B, batch.weights_B)
            self.losses_2N[:, index] += share * torch.stack([loss.detach(), torch.ones_like(loss)])
            for regularizer in self.regularizers:
                loss = regularizer(loss, self.model, task, batch, output_BC)
        number_1 = torch.tensor([index], device=self.device)
        return share * self.weighting(loss[None], number_1).sum()

    def _factor(self, step: int) -> float:
        config = self.config
        return optim.schedule_factor(step, self.num_steps, config.warmup_ratio, config.schedule)

    def _log(self, sequences_per_second: float) -> StepsDone:
        progress = self.progress
        sum_N, count_N = self.losses_2N.tolist()
        trained = zip(self.tasks, sum_N, count_N, strict=True)
        losses = {task: total / count for task, total, count in trained if count}
        for task, loss in losses.items():
            if not math.isfinite(loss):
                raise SwissError(
                    f"step {progress.step}: the loss of {task} is not finite",
                    hint="lower `learning_rate`, or use `precision=fp32`",
                )
        self.losses_2N.zero_()
        weights = self.weighting.weights().tolist()
        return StepsDone(
            step=progress.step,
            epoch=progress.epoch + 1,
            losses=losses,
            weights=dict(zip(self.tasks, weights, strict=True)),
            learning_rate=self.config.learning_rate * self._factor(progress.step - 1),
            sequences_per_second=sequences_per_second,
        )

    def _evaluate(self) -> Evaluated:
        progress = self.progress
        self.optimizer.catch_up()
        self._check_finite()
        model = cast(MultitaskModel, self.average.module) if self.average else self.model
        evaluation = evaluate(model, self.dev, self.autocast)
        best = progress.best is None or evaluation.overall > progress.best
        if best:
            progress.best, progress.best_step = evaluation.overall, progress.step
            progress.evaluations_since_best = 0
            metrics = Metrics(self.config.seed, TrainMetrics(progress.step, evaluation))
            save_model(
                self.folder,
                model,
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
                hint="lower `learning_rate`, or use `precision=fp32`",
            )

    def _save_last(self) -> Saved:
        self._check_finite()
        self.progress.positions = {name: s.position for name, s in self.streams.items()}
        checkpoint.save_state(
            self.folder, self._modules(), self.optimizer, self.losses_2N, self.progress
        )
        return Saved(self.progress.step)

    def _out_of_patience(self) -> bool:
        patience = self.config.patience
        return bool(patience) and self.progress.evaluations_since_best >= patience


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
