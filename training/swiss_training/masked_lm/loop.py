"""Masked language modelling of an encoder on unlabelled text: a generator of events.

References: Devlin et al. 2018, arXiv:1810.04805, section 3.1; on text of the domain or of the task,
Gururangan et al. 2020, arXiv:2004.10964.
"""

import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW

from swiss_training import checkpoint, optim
from swiss_training.checkpoint import LAST
from swiss_training.devices import choose_device, choose_precision, make_autocast
from swiss_training.families import FAMILIES
from swiss_training.families.masked_lm import MaskedLanguageModel, load_head, to_checkpoint
from swiss_training.families.pretrained import load_pretrained
from swiss_training.masked_lm import corpus
from swiss_training.masked_lm.config import PretrainConfig
from swiss_training.masked_lm.events import (
    DevLoss,
    Evaluated,
    Event,
    Finished,
    Saved,
    Started,
    StepsDone,
)
from swiss_training.masked_lm.masking import MaskedBatch, MaskedBatches, Vocabulary
from swisscli.core.errors import ConfigurationError, DataError, SwissError
from swisscli.core.model.directory import CONFIG, TOKENIZER, WEIGHTS
from swisscli.core.model.schema import Object, read_json
from swisscli.core.tokenization import Tokenizer

RUN_CONFIG = Path("checkpoints") / "pretrain_config.json"
"""The configuration of a run, written before its first step."""
RECORD = "pretraining.json"
"""How the encoder beside it came about: configuration, source, step, dev loss, versions."""


@dataclass
class Progress:
    """Where a run stands. The step alone says which batches were taken.

    Attributes:
        step: Optimizer steps taken.
        best_loss: The lowest dev loss so far; None before the first or without held-out text.
        best_step: The step of the encoder that was written last.
        unlogged_tokens: Masked tokens whose losses are summed for the next log line.
        text: SHA-256 of the tokens, to tell when the text has changed.
    """

    step: int = 0
    best_loss: float | None = None
    best_step: int = 0
    unlogged_tokens: int = 0
    text: str = ""


def fit(config: PretrainConfig) -> Iterator[Event]:
    """Pretrain a new run into `config.output`.

    Raises:
        SwissError: of bad text, a bad encoder, an absent device, or a loss that is not finite.
    """
    checkpoint.check_new_run(Path(config.output), RUN_CONFIG, "swiss pretrain")
    return Run(config).events()


def resume(run: Path) -> Iterator[Event]:
    """Go on with the run of a folder where its last checkpoint stands; if it has none, from step 0.

    Raises:
        ConfigurationError: if the folder holds no run, or its text has changed.
        DataError: if the text is not where it was.
        ModelError: if the checkpoint is damaged.
    """
    if not (run / RUN_CONFIG).is_file():
        raise ConfigurationError(
            f"{run}: no run to resume, {RUN_CONFIG} is not there",
            hint="start one: swiss pretrain FILE... `output=DIR`",
        )
    config = PretrainConfig.read(run / RUN_CONFIG, output=str(run))
    try:
        return Run(config, resumed=(run / LAST).is_file()).events()
    except DataError as error:
        raise DataError(
            error.message, hint="resume it in the folder where it began, with the text it had"
        ) from None


class Run:
    """A run in memory: model, optimizer, text and where it stands.

    Args:
        config: The configuration.
        resumed: Whether to go on from the last checkpoint.
    """

    def __init__(self, config: PretrainConfig, resumed: bool = False) -> None:
        self.config = config
        self.folder = Path(config.output)
        self.device = choose_device(config.device)
        self.precision = choose_precision(config.precision, self.device)
        self.autocast = make_autocast(self.precision, self.device)
        # Reads all text once: what is wrong with it is said before anything is downloaded.
        is_dev_N = corpus.hold_out(corpus.read_texts(config), config.dev_share, config.seed)
        torch.manual_seed(config.seed)
        self.pretrained = load_pretrained(config.encoder)
        self.encoder_config = self.pretrained.encoder.config
        tokenizer = self._make_tokenizer()
        vocabulary = Vocabulary.of(tokenizer, self.encoder_config.pad_token_id, config.encoder)
        self.model = MaskedLanguageModel(self.pretrained.encoder)
        has_head = load_head(
            self.model.head, self.encoder_config.model_type, self.pretrained.weights
        )
        self.model.to(self.device)
        groups = optim.model_groups(self.model, config.learning_rate, config.weight_decay)
        self.optimizer = AdamW(groups, fused=True)
        texts = corpus.read_texts(config)
        self.text = corpus.tokenize(texts, is_dev_N, tokenizer, vocabulary.is_ordinary_V)
        self.train, self.dev = (
            MaskedBatches(side, config.batch_size, vocabulary, config.seed)
            for side in (self.text.train, self.text.dev)
        )
        self.loss_sum = torch.zeros((), device=self.device)
        self.progress = Progress(text=self._fingerprint())
        if resumed:
            self._restore()
        batches = config.epochs * self.train.num_batches
        self.num_steps = config.max_steps or -(-batches // config.gradient_accumulation_steps)
        self.notes = self._notes(has_head)

    def _make_tokenizer(self) -> Tokenizer:
        longest = self.encoder_config.longest_input
        if self.config.max_length > longest:
            raise ConfigurationError(
                f"max_length is {self.config.max_length}, the encoder takes {longest} tokens"
            )
        tokenizer = Tokenizer(self.pretrained.tokenizer, self.config.max_length or longest)
        tokenizer.check_fits(self.encoder_config.vocab_size, self.config.encoder)
        return tokenizer

    def _fingerprint(self) -> str:
        digest = sha256()
        for side in (self.text.train, self.text.dev):
            digest.update(side.starts.tobytes() + side.ids.tobytes())
        return digest.hexdigest()

    def _restore(self) -> None:
        text = self.progress.text
        self.progress = checkpoint.load_state(
            self.folder, {"model": self.model}, self.optimizer, self.loss_sum, Progress
        )
        if self.progress.text != text:
            raise ConfigurationError(
                f"{self.folder}: the text has changed since the run began",
                hint="restore the files, or begin a new run",
            )

    def _notes(self, has_head: bool) -> list[str]:
        encoder, text = self.config.encoder, self.text
        notes = [
            f"the masked language head is the one of {encoder}"
            if has_head
            else f"{encoder} has no masked language head: a new one is initialised"
        ]
        if self.pretrained.pooler_initialised:
            notes.append(f"{encoder} has no pooler, nor will what is written have one")
        if text.num_divided:
            notes.append(f"{text.num_divided} texts are longer than the longest sequence: divided")
        if text.num_unknown:
            notes.append(
                f"{text.num_unknown} sequences without a token of the vocabulary are left out"
            )
        return notes

    def events(self) -> Iterator[Event]:
        """Pretrain to the end."""
        config, progress = self.config, self.progress
        if not (self.folder / RUN_CONFIG).is_file():
            checkpoint.save_text(self.folder / RUN_CONFIG, config.to_json())
        yield Started(
            num_steps=self.num_steps,
            step=progress.step,
            train_sequences=len(self.text.train),
            train_tokens=len(self.text.train.ids),
            dev_sequences=len(self.text.dev),
            device=str(self.device),
            precision=self.precision,
            notes=self.notes,
        )
        if progress.step == 0 and len(self.text.dev):
            yield Evaluated(0, self._dev_loss(), best=False)
        yield from self._steps()
        record = read_json(self.folder / RECORD, Object())
        best = (
            DevLoss(record["dev"]["loss"], record["dev"]["num_tokens"]) if record["dev"] else None
        )
        yield Finished(progress.step, best, progress.best_step)

    def _steps(self) -> Iterator[Event]:
        config, progress = self.config, self.progress
        logged, sequences = time.perf_counter(), 0
        while progress.step < self.num_steps:
            before = self._num_passes()
            self.model.train()
            sequences += self._step()
            progress.step += 1
            last = progress.step == self.num_steps
            if progress.step % config.log_every == 0 or last:
                yield self._log(sequences / (time.perf_counter() - logged))
                logged, sequences = time.perf_counter(), 0
            evaluating = last or (
                progress.step % config.eval_every == 0
                if config.eval_every
                else self._num_passes() > before
            )
            if evaluating:
                paused = time.perf_counter()
                yield from self._evaluate()
                logged += time.perf_counter() - paused
            if evaluating or progress.step % config.save_every == 0:
                yield self._save_last()

    def _num_passes(self) -> int:
        """Passes over the text that are through."""
        batches = self.progress.step * self.config.gradient_accumulation_steps
        return batches // self.train.num_batches

    def _step(self) -> int:
        """One optimizer step; returns the sequences it trained on."""
        config, progress = self.config, self.progress
        size = config.gradient_accumulation_steps
        batches = [self.train.batch(progress.step * size + i) for i in range(size)]
        num_tokens = sum(len(batch.labels_M) for batch in batches)
        self.optimizer.zero_grad(set_to_none=True)
        for batch in batches:
            loss = self._loss_sum(batch)
            self.loss_sum += loss.detach()
            torch.autograd.backward(loss / num_tokens)
        progress.unlogged_tokens += num_tokens
        if config.max_grad_norm:
            clip_grad_norm_(self.model.parameters(), config.max_grad_norm)
        optim.set_learning_rate(self.optimizer, self._factor(progress.step))
        self.optimizer.step()
        return sum(len(batch.input_ids_BT) for batch in batches)

    def _loss_sum(self, batch: MaskedBatch) -> Tensor:
        """Sum over the batch's masked tokens of their negative log-likelihood, a scalar."""
        batch = batch.to(self.device)
        with self.autocast:
            logits_MV = self.model(*batch.inputs)
        return F.cross_entropy(logits_MV.float(), batch.labels_M, reduction="sum")

    def _factor(self, step: int) -> float:
        return optim.schedule_factor(step, self.num_steps, self.config.warmup_ratio)

    def _log(self, sequences_per_second: float) -> StepsDone:
        progress = self.progress
        loss = (self.loss_sum / progress.unlogged_tokens).item()
        if not math.isfinite(loss):
            raise self._diverged("the loss is")
        self.loss_sum.zero_()
        progress.unlogged_tokens = 0
        return StepsDone(
            step=progress.step,
            epoch=-(
                -progress.step * self.config.gradient_accumulation_steps // self.train.num_batches
            ),
            loss=loss,
            learning_rate=self.config.learning_rate * self._factor(progress.step - 1),
            sequences_per_second=sequences_per_second,
        )

    def _dev_loss(self) -> DevLoss:
        """The loss on the held-out text, without dropout, with the same masks each time."""
        self.model.eval()
        total = torch.zeros((), device=self.device, dtype=torch.float64)
        num_tokens = 0
        with torch.inference_mode():
            for batch in self.dev.by_length():
                total += self._loss_sum(batch)
                num_tokens += len(batch.labels_M)
        loss = total.item() / num_tokens
        if not math.isfinite(loss):
            raise self._diverged("the loss on the held-out text is")
        return DevLoss(loss, num_tokens)

    def _evaluate(self) -> Iterator[Event]:
        """Measure the dev loss; write the encoder if it is the lowest or there is none."""
        progress = self.progress
        self._check_finite()
        if not len(self.text.dev):
            self._write(None)
            return
        dev = self._dev_loss()
        best = progress.best_loss is None or dev.loss < progress.best_loss
        if best:
            progress.best_loss = dev.loss
            self._write(dev)
        yield Evaluated(progress.step, dev, best)

    def _write(self, dev: DevLoss | None) -> None:
        """Write the encoder's directory, the weights last: without them it is none."""
        self.progress.best_step = self.progress.step
        tensors = to_checkpoint(self.model)
        if self.pretrained.pooler_initialised:
            tensors = {name: tensor for name, tensor in tensors.items() if ".pooler." not in name}
        config = self.encoder_config.to_json()
        family = FAMILIES[self.encoder_config.model_type]
        config["architectures"] = [family.masked_lm.architecture]
        record = {
            "source_encoder": self.pretrained.source,
            "config": asdict(self.config),
            "step": self.progress.step,
            "dev": dev and asdict(dev),
            "versions": checkpoint.package_versions(),
        }
        tokenizer = self.pretrained.tokenizer.read_text(encoding="utf-8")
        checkpoint.save_text(self.folder / TOKENIZER, tokenizer)
        for name, values in ((CONFIG, config), (RECORD, record)):
            text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
            checkpoint.save_text(self.folder / name, text)
        checkpoint.save_tensors(self.folder / WEIGHTS, tensors, {"format": "pt"})

    def _check_finite(self) -> None:
        """Keep a state that is lost from being evaluated or saved."""
        if not all(bool(torch.isfinite(p).all()) for p in self.model.parameters()):
            raise self._diverged("the model's weights are")

    def _diverged(self, what: str) -> SwissError:
        return SwissError(
            f"step {self.progress.step}: {what} not finite",
            hint="lower `learning_rate`, or use `precision=fp32`",
        )

    def _save_last(self) -> Saved:
        self._check_finite()
        checkpoint.save_state(
            self.folder, {"model": self.model}, self.optimizer, self.loss_sum, self.progress
        )
        return Saved(self.progress.step)
