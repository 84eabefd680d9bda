"""The objective of multitask training: trains one encoder and a head per task together."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast
from zlib import crc32

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from swiss_training import engine, fingerprint, optim
from swiss_training.aggregation.gradients import TaskGradients
from swiss_training.devices import choose_device, choose_precision, make_autocast
from swiss_training.distributed import ranks
from swiss_training.distributed.reduction import GradientSum
from swiss_training.events import Event, Measurement
from swiss_training.families.dropout import use_fast_dropout
from swiss_training.families.pretrained import PretrainedEncoder, load_pretrained
from swiss_training.interruption import Interruption
from swiss_training.loss_totals import LossTotals
from swiss_training.multitask.config import TrainConfig
from swiss_training.multitask.data import Batch, BatchStream, TaskDataset
from swiss_training.multitask.evaluation import evaluate
from swiss_training.multitask.examples import Examples, read_tasks
from swiss_training.multitask.metrics import Evaluation, Metrics, TrainMetrics
from swiss_training.multitask.model import MultitaskModel, save_model
from swiss_training.multitask.teacher import Teacher
from swiss_training.observer import NOBODY, Observer
from swiss_training.regularizers import Regularizer
from swiss_training.samplers import Sampler
from swiss_training.samplers.epoch import Epoch
from swisscli.core.errors import ConfigurationError, ModelError
from swisscli.core.methods import find_method, methods_of
from swisscli.core.model.model_config import ModelConfig
from swisscli.core.model.schema import Place
from swisscli.core.tasks import TASKS, Split, TaskSpec
from swisscli.core.tokenization import Tokenizer


def fit(
    config: TrainConfig, stop: Interruption | None = None, observer: Observer = NOBODY
) -> Iterator[Event]:
    """Train a new run into `config.output`; see `engine.fit`."""
    return engine.fit(Multitask, config, stop, observer)


def resume(
    run: Path, stop: Interruption | None = None, observer: Observer = NOBODY
) -> Iterator[Event]:
    """Resume the run of a folder, or one of its checkpoints; see `engine.resume`."""
    return engine.resume(Multitask, TrainConfig, run, stop, observer)


class Multitask:
    """Model, data and methods of a multitask run; see `swiss_training.objective.Objective`.

    Args:
        config: The configuration.
        observer: Receives what is read, tokenized and evaluated.

    Attributes:
        tasks: The names of the tasks, in the configuration's order.
        streams: The training batches of each task.
        dev: The dev examples of each task.
        weighting: The loss weighting.
        aggregation: The gradient aggregation.
        regularizers: The regularizers that are on.
        average: A moving average of the model, which is evaluated and written instead of it.
    """

    def __init__(self, config: TrainConfig, observer: Observer = NOBODY) -> None:
        self.config = config
        self.observer = observer
        self.device = choose_device(config.device)
        self.precision = choose_precision(config.precision, self.device)
        self.autocast = make_autocast(self.precision, self.device)
        _check_parts(config)
        train, dev = read_tasks(config, observer)
        # Before the encoder, which may have to be downloaded.
        self.teacher = Teacher(Path(config.teacher), config.tasks) if config.teacher else None
        torch.manual_seed(config.seed)
        observer.on_activity(f"reading the encoder {config.encoder}")
        self.pretrained = load_pretrained(config.encoder)
        self.tasks = tuple(train)
        specs = tuple(examples.task for examples in train.values())
        self.model = self._make_model(self.pretrained, specs).to(self.device)
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
            self.average = optim.make_moving_average(self.model, config.ema_decay)
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
        self._words = words
        self._sum = self._make_sum() if ranks.size() > 1 else None
        tokenizer = self._make_tokenizer()
        pad_token_id = self.model.config.encoder.pad_token_id
        datasets, self.dev = (
            {
                name: TaskDataset(examples, tokenizer, pad_token_id, config.pair_encoding, observer)
                for name, examples in split.items()
            }
            for split in (train, dev)
        )
        self.streams = {
            name: BatchStream(dataset, config.batch_size, (config.seed, _number(name)))
            for name, dataset in datasets.items()
        }
        self.sampler: Sampler = find_method("sampler", config.sampler).make(options)
        self.losses = LossTotals(self.tasks).to(self.device)
        self.steps_per_epoch = -(-len(self._sample(0, 1)) // config.gradient_accumulation_steps)
        steps = max(config.epochs * self.steps_per_epoch, config.min_steps)
        self.num_steps = config.max_steps or steps
        self.num_epochs = -(-self.num_steps // self.steps_per_epoch)
        self._updates: tuple[int, list[tuple[str, ...]]] = (-1, [])
        self.train_rows = {name: len(dataset) for name, dataset in datasets.items()}
        self.dev_rows = {name: len(dataset) for name, dataset in self.dev.items()}
        rows = ", ".join(f"{task} {count:,}" for task, count in self.train_rows.items())
        self.data = f"training rows: {rows}"
        self.notes = _list_notes("train", train, datasets) + _list_notes("dev", dev, self.dev)
        if self.pretrained.pooler_initialised and config.pooling == "cls":
            self.notes.append(f"{config.encoder} has no pooler: a new one is initialised")

    def _make_model(
        self, pretrained: PretrainedEncoder, tasks: tuple[TaskSpec, ...]
    ) -> MultitaskModel:
        model_config = ModelConfig(
            encoder=pretrained.encoder.config,
            pooling=self.config.pooling,
            max_length=pretrained.longest_input(self.config.max_length),
            tasks=tasks,
            pair_encoding=self.config.pair_encoding,
            heads=self.config.heads,
            long_text=self.config.long_text,
        )
        model = MultitaskModel(model_config, dropout=self.config.dropout)
        model.encoder = pretrained.encoder
        if self.config.fast_dropout:
            use_fast_dropout(model)
        if self.config.freeze_layers > len(model.encoder.layers):
            raise ConfigurationError(
                f"freeze_layers is {self.config.freeze_layers}, the encoder has"
                f" {len(model.encoder.layers)} layers"
            )
        for module in self._frozen(model):
            module.requires_grad_(False)
        return model

    def _frozen(self, model: MultitaskModel) -> list[nn.Module]:
        """The parts of a model that this run does not train."""
        if self.config.freeze_encoder:
            return [model.encoder]
        if not self.config.freeze_layers:
            return []
        return [model.encoder.embeddings, *model.encoder.layers[: self.config.freeze_layers]]

    def _reads_few_words(self) -> bool:
        """Whether a step reads only the word embeddings of its batches, and updates them."""
        config = self.config
        averages = config.ema_decay or vars(config)["bregman_weight"]
        frozen = config.freeze_encoder or config.freeze_layers
        reads_all = averages or frozen or config.aggregation != "none"
        return self.device.type == "cpu" and not reads_all

    def _make_sum(self) -> GradientSum:
        """The sum over all ranks of the gradients that no gradient surgery takes."""
        named = self.model.named_parameters()
        surgery = self.config.aggregation != "none"
        own = [p for name, p in named if not surgery or name.startswith("heads.")]
        return GradientSum([*own, *self.weighting.parameters()])

    def _make_tokenizer(self) -> Tokenizer:
        tokenizer = Tokenizer(self.pretrained.tokenizer, self.model.config.max_length)
        encoder = self.pretrained.encoder.config
        tasks = self.model.config.tasks
        pairs = self.config.pair_encoding and any(task.arity > 1 for task in tasks)
        tokenizer.check_fits(encoder.vocab_size, self.config.encoder)
        if pairs and not encoder.tells_pairs_apart:
            raise ModelError(
                f"{self.config.encoder}: type_vocab_size is {encoder.type_vocab_size}: this BERT"
                " has one token type, a pair of texts in one sequence needs two",
                hint="choose another encoder, or encode the texts separately with"
                " `pair_encoding=False`",
            )
        return tokenizer

    def modules(self) -> dict[str, nn.Module]:
        """Every module whose state a checkpoint holds, by name."""
        modules = {
            "model": self.model,
            "weighting": self.weighting,
            "aggregation": self.aggregation,
            "regularizers": self.regularizers,
        }
        return modules | ({"average": self.average} if self.average else {})

    def fingerprint(self) -> dict[str, str]:
        """Hashes of data, encoder and teacher."""
        train = {name: stream.dataset for name, stream in self.streams.items()}
        content = {
            f"the {split} data of {name}": dataset.fingerprint()
            for split, datasets in (("train", train), ("dev", self.dev))
            for name, dataset in datasets.items()
        }
        content |= fingerprint.hash_encoder(self.pretrained)
        if self.teacher:
            content["the teacher"] = self.teacher.fingerprint()
        return content

    def prepare(self, folder: Path) -> None:
        """Give every dataset the logits of the teacher, if the run has one."""
        if self.teacher:
            train = {name: stream.dataset for name, stream in self.streams.items()}
            drawn = self._count_drawn(self.num_steps)
            rows = {name: stream.rows(drawn[name]) for name, stream in self.streams.items()}
            self.teacher.cache_logits(
                train, rows, folder, self.device, self.autocast, self.observer
            )

    def _sample(self, number: int, num_epochs: int) -> list[tuple[str, ...]]:
        """The tasks of each update of an epoch."""
        sizes = {name: stream.num_batches for name, stream in self.streams.items()}
        return list(self.sampler(Epoch(sizes, self.config.seed, number, num_epochs)))

    def _updates_of(self, step: int) -> list[tuple[str, ...]]:
        """Group updates into steps, which average their gradients; the last may have fewer."""
        number, step_in_epoch = divmod(step, self.steps_per_epoch)
        if self._updates[0] != number:
            self._updates = number, self._sample(number, self.num_epochs)
        size = self.config.gradient_accumulation_steps
        return self._updates[1][step_in_epoch * size : (step_in_epoch + 1) * size]

    def seek(self, step: int) -> None:
        """Move every stream past the batches that the sampler drew in earlier steps."""
        drawn = self._count_drawn(step)
        for name, stream in self.streams.items():
            stream.position = drawn[name]

    def _count_drawn(self, step: int) -> Counter[str]:
        """Count the batches of each task that the sampler draws before a step."""
        return Counter(
            task for before in range(step) for tasks in self._updates_of(before) for task in tasks
        )

    def epochs_done(self, step: int) -> int:
        """Return the number of complete epochs after so many steps."""
        return step // self.steps_per_epoch

    def train(self) -> None:
        """Set the model to training mode; what is frozen stays in evaluation mode."""
        self.model.train()
        for module in self._frozen(self.model):
            module.eval()

    def backward(self, step: int) -> int:
        """Compute the gradients of a step, task by task; returns its examples on all ranks."""
        updates = self._updates_of(step)
        self.train()
        gradients = TaskGradients(self.model) if self.config.aggregation != "none" else None
        passes, examples = self._take_passes(updates)
        for number, (index, part) in enumerate(passes, start=1):
            is_last = number == len(passes)
            if self._sum and is_last:
                self._sum.open()
            torch.autograd.backward(self.loss(self.tasks[index], part) / len(updates))
            if gradients and (is_last or passes[number][0] != index):
                gradients.take(index)
        if self._sum:
            self._sum.finish()
        if gradients:
            gradients.finish()
        self.losses.add_up()  # the last exchange: a step that loses a rank leaves no trace
        if gradients:
            generator = torch.Generator()
            generator.manual_seed(self.config.seed + step)
            gradients.combine(self.aggregation, generator)
        if self._sum and self._words.sparse and self._words.weight.grad is not None:
            # Rows that only other ranks read.
            self.optimizer.catch_up(self._words.weight.grad.coalesce().indices())
        return examples

    def _take_passes(self, updates: list[tuple[str, ...]]) -> tuple[list[tuple[int, Batch]], int]:
        """Take the batches of a step, in parts that a pass may compute, task by task.

        Returns:
            The number of each part's task and the part; the number of examples on all ranks.
        """
        drawn = Counter(task for tasks in updates for task in tasks)
        passes, examples = [], 0
        for index, task in enumerate(self.tasks):
            for _ in range(drawn[task]):
                batch = self.streams[task].next().to(self.device)
                examples += batch.whole
                self.optimizer.catch_up(batch.input_ids_ST)
                passes += [(index, part) for part in batch.split(self.config.micro_batch_tokens)]
        return passes, examples

    def loss(self, task: str, batch: Batch) -> Tensor:
        """Compute the weighted and regularized loss of a batch, times its share, a scalar."""
        index = self.tasks.index(task)
        with self.autocast:
            output_BC = self.model.output(task, *batch.inputs)
            loss = self.model.head(task).loss(output_BC, batch.targets_B, batch.weights_B)
            self.losses.add(index, batch.share * loss, batch.share)
            for regularizer in self.regularizers:
                loss = regularizer(loss, self.model, task, batch, output_BC)
        number_1 = torch.tensor([index], device=self.device)
        return batch.share * self.weighting(loss[None], number_1).sum()

    def after_step(self) -> None:
        """Update the moving averages."""
        for regularizer in self.regularizers:
            cast(Regularizer, regularizer).after_step(self.model)
        if self.average:
            self.average.update_parameters(self.model)

    def settle(self) -> None:
        """Update the word embeddings that the last steps did not read."""
        self.optimizer.catch_up()

    def weights(self) -> dict[str, float]:
        """Factor of each task's loss."""
        return dict(zip(self.tasks, self.weighting.weights().tolist(), strict=True))

    def baseline(self) -> None:
        """Return None: new heads are random."""

    @property
    def _best_model(self) -> MultitaskModel:
        return cast(MultitaskModel, self.average.module) if self.average else self.model

    def evaluate(self) -> Evaluation:
        """The metrics of all tasks on their dev examples."""
        return evaluate(self._best_model, self.dev, self.autocast, self.observer)

    def read_measurement(self, values: dict[str, Any]) -> Evaluation:
        """An evaluation from its JSON form."""
        evaluation = Evaluation.from_json(values, Place(self.config.output, "best"))
        if evaluation.scores.keys() != set(self.tasks):
            raise ValueError(
                f"its best evaluation is of {', '.join(evaluation.scores) or 'no task'}"
            )
        return evaluation

    def write(self, folder: Path, step: int, measured: Measurement | None) -> None:
        """Write the model directory, without a graph, over the one in the run's folder."""
        assert isinstance(measured, Evaluation)
        save_model(
            folder,
            self._best_model,
            self.pretrained.tokenizer,
            self.config,
            Metrics(self.config.seed, TrainMetrics(step, measured)),
            self.pretrained.source,
        )


def _check_parts(config: TrainConfig) -> None:
    """Refuse parts of batches where all examples of the whole batch are compared."""
    if ranks.size() > 1 and config.micro_batch_tokens and vars(config)["contrastive_weight"]:
        raise ConfigurationError(
            "several ranks compare all examples of a batch with `contrastive_weight`, but"
            " `micro_batch_tokens` cuts the batch",
            hint="leave out `micro_batch_tokens` and use more ranks, or `contrastive_weight=0`",
        )


def _number(task: str) -> int:
    """A number of a task's own, for the seed of its batches."""
    return list(TASKS).index(task) if task in TASKS else len(TASKS) + crc32(task.encode())


def _list_notes(
    split: Split, examples: Mapping[str, Examples], datasets: Mapping[str, TaskDataset]
) -> list[str]:
    notes = []
    for task in examples:
        notes += examples[task].notes
        if skipped := examples[task].skipped:
            some = ", ".join(skipped[:3]) + (", ..." if len(skipped) > 3 else "")
            notes.append(
                f"{task}: {len(skipped)} {split} rows without a text or label are skipped ({some})"
            )
        if count := datasets[task].num_truncated:
            notes.append(f"{task}: {count} {split} rows are truncated to the longest input")
    return notes
