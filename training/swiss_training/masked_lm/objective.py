"""The objective of masked language modelling of an encoder on unlabelled text.

References: Devlin et al. 2018, arXiv:1810.04805, section 3.1; on text of the domain or of the task,
Gururangan et al. 2020, arXiv:2004.10964.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW

from swiss_training import checkpoint, engine, fingerprint, optim
from swiss_training.devices import choose_device, choose_precision, make_autocast
from swiss_training.events import Event, Measurement
from swiss_training.families import FAMILIES
from swiss_training.families.masked_lm import MaskedLanguageModel, load_head, to_checkpoint
from swiss_training.families.pretrained import load_pretrained
from swiss_training.interruption import Interruption
from swiss_training.loss_totals import LossTotals
from swiss_training.masked_lm import corpus
from swiss_training.masked_lm.config import PretrainConfig
from swiss_training.masked_lm.masking import MaskedBatch, MaskedBatches, Vocabulary
from swiss_training.observer import NOBODY, Observer
from swisscli.core.model.directory import CONFIG, TOKENIZER, WEIGHTS
from swisscli.core.tokenization import Tokenizer

RECORD = "pretraining.json"
"""File that records how the encoder was trained: configuration, source, step, loss, versions."""


def fit(
    config: PretrainConfig, stop: Interruption | None = None, observer: Observer = NOBODY
) -> Iterator[Event]:
    """Pretrain a new run into `config.output`; see `engine.fit`."""
    return engine.fit(MaskedLM, config, stop, observer)


def resume(
    run: Path, stop: Interruption | None = None, observer: Observer = NOBODY
) -> Iterator[Event]:
    """Resume the run of a folder, or one of its checkpoints; see `engine.resume`."""
    return engine.resume(MaskedLM, PretrainConfig, run, stop, observer)


@dataclass(frozen=True)
class DevLoss:
    """The loss on the held-out text.

    Attributes:
        loss: Mean negative log-likelihood of a masked token, in nats.
        num_tokens: Masked tokens that it was measured on.
    """

    loss: float
    num_tokens: int

    @property
    def perplexity(self) -> float:
        """Exponential of the loss; infinite if it overflows a float."""
        return math.exp(self.loss) if self.loss < 700 else math.inf

    @property
    def selection_score(self) -> float:
        """Score that decides the best state: the lowest loss."""
        return -self.loss

    @property
    def figures(self) -> dict[str, float]:
        """Loss and perplexity."""
        return {"loss": self.loss, "perplexity": self.perplexity}

    def to_json(self) -> dict[str, Any]:
        """The loss as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Read the JSON form."""
        return cls(float(values["loss"]), int(values["num_tokens"]))


class MaskedLM:
    """Model and text of a pretraining run; see `swiss_training.objective.Objective`.

    Args:
        config: The configuration.
        observer: Receives what is read, tokenized and evaluated.

    Attributes:
        train: The batches to train on.
        dev: The batches of the held-out text.
    """

    def __init__(self, config: PretrainConfig, observer: Observer = NOBODY) -> None:
        self.config = config
        self.observer = observer
        self.device = choose_device(config.device)
        self.precision = choose_precision(config.precision, self.device)
        self.autocast = make_autocast(self.precision, self.device)
        # Reads all text once: what is wrong with it is said before anything is downloaded.
        texts = corpus.read_texts(config, observer)
        is_dev_N = corpus.hold_out(texts, config.dev_share, config.seed)
        torch.manual_seed(config.seed)
        observer.on_activity(f"reading the encoder {config.encoder}")
        self.pretrained = load_pretrained(config.encoder)
        self.encoder_config = self.pretrained.encoder.config
        tokenizer = self._make_tokenizer()
        vocabulary = Vocabulary.of(tokenizer, self.encoder_config.pad_token_id, config.encoder)
        self.model = MaskedLanguageModel(self.pretrained.encoder)
        has_head = load_head(
            self.model.head, self.encoder_config.model_type, self.pretrained.weights
        )
        self.model.to(self.device)
        groups = optim.group_parameters(self.model, config.learning_rate, config.weight_decay)
        self.optimizer = AdamW(groups, fused=True)
        texts = corpus.read_texts(config)
        texts = observer.count(texts, "tokenizing the text", "texts", len(is_dev_N))
        self.text = corpus.tokenize(texts, is_dev_N, tokenizer, vocabulary.is_ordinary_V)
        self.train, self.dev = (
            MaskedBatches(side, config.batch_size, vocabulary, config.seed)
            for side in (self.text.train, self.text.dev)
        )
        self.losses = LossTotals(["masked tokens"]).to(self.device)
        batches = config.epochs * self.train.num_batches
        self.num_steps = config.max_steps or -(-batches // config.gradient_accumulation_steps)
        self.train_rows = {"sequences": len(self.text.train)}
        self.dev_rows = {"sequences": len(self.text.dev)}
        self.data = (
            f"text: {len(self.text.train):,} sequences of {len(self.text.train.ids):,} tokens,"
            f" and {len(self.text.dev):,} held out"
        )
        self.notes = self._notes(has_head)

    def _make_tokenizer(self) -> Tokenizer:
        longest = self.pretrained.longest_input(self.config.max_length)
        tokenizer = Tokenizer(self.pretrained.tokenizer, longest)
        tokenizer.check_fits(self.encoder_config.vocab_size, self.config.encoder)
        return tokenizer

    def _notes(self, has_head: bool) -> list[str]:
        encoder, text = self.config.encoder, self.text
        notes = [
            f"the masked language head is the one of {encoder}"
            if has_head
            else f"{encoder} has no masked language head: a new one is initialised"
        ]
        if self.pretrained.pooler_initialised:
            notes.append(f"{encoder} has no pooler, so the written encoder has none either")
        if text.num_divided:
            notes.append(
                f"{text.num_divided} texts are longer than the longest sequence and are split"
            )
        if text.num_unknown:
            notes.append(
                f"{text.num_unknown} sequences without a token of the vocabulary are skipped"
            )
        return notes

    def modules(self) -> dict[str, nn.Module]:
        """The one module whose state a checkpoint holds."""
        return {"model": self.model}

    def fingerprint(self) -> dict[str, str]:
        """Hashes of text and encoder."""
        sides = {"the text": self.text.train, "the held-out text": self.text.dev}
        content = {
            name: f"{len(side):,} sequences,"
            f" {fingerprint.digest([side.starts.tobytes(), side.ids.tobytes()])}"
            for name, side in sides.items()
        }
        return content | fingerprint.hash_encoder(self.pretrained)

    def prepare(self, folder: Path) -> None:
        """Do nothing: all text has been read."""

    def seek(self, step: int) -> None:
        """Do nothing: a batch depends only on its number."""

    def epochs_done(self, step: int) -> int:
        """Return the number of complete passes over the text after so many steps."""
        return step * self.config.gradient_accumulation_steps // self.train.num_batches

    def backward(self, step: int) -> int:
        """Compute the gradients of a step, in which each masked token counts the same.

        Returns:
            Its sequences.
        """
        size = self.config.gradient_accumulation_steps
        batches = [self.train.batch(step * size + i) for i in range(size)]
        num_tokens = sum(len(batch.labels_M) for batch in batches)
        self.model.train()
        for batch in batches:
            loss = self._loss_sum(batch)
            self.losses.add(0, loss, len(batch.labels_M))
            torch.autograd.backward(loss / num_tokens)
        return sum(len(batch.input_ids_BT) for batch in batches)

    def _loss_sum(self, batch: MaskedBatch) -> Tensor:
        """Sum over the batch's masked tokens of their negative log-likelihood, a scalar."""
        batch = batch.to(self.device)
        with self.autocast:
            logits_MV = self.model(*batch.inputs)
        return F.cross_entropy(logits_MV.float(), batch.labels_M, reduction="sum")

    def after_step(self) -> None:
        """Do nothing."""

    def settle(self) -> None:
        """Do nothing."""

    def weights(self) -> dict[str, float]:
        """Return no factors: a single loss has none."""
        return {}

    def baseline(self) -> DevLoss | None:
        """Measure the loss on the held-out text before the first step, for comparison."""
        return self.evaluate()

    def evaluate(self) -> DevLoss | None:
        """Measure the loss on the held-out text, without dropout, with the same masks each time."""
        if not len(self.text.dev):
            return None
        self.model.eval()
        total = torch.zeros((), device=self.device, dtype=torch.float64)
        num_tokens = done = 0
        what, size = "evaluating the held-out text", len(self.text.dev)
        self.observer.on_activity(what, done, size, "sequences")
        with torch.inference_mode():
            for batch in self.dev.by_length():
                total += self._loss_sum(batch)
                num_tokens += len(batch.labels_M)
                done += len(batch.input_ids_BT)
                self.observer.on_activity(what, done, size, "sequences")
        return DevLoss(total.item() / num_tokens, num_tokens)

    def read_measurement(self, values: dict[str, Any]) -> DevLoss:
        """A dev loss from its JSON form."""
        return DevLoss.from_json(values)

    def write(self, folder: Path, step: int, measured: Measurement | None) -> None:
        """Write the encoder's directory, the weights last, so that it is not usable before."""
        tensors = to_checkpoint(self.model)
        if self.pretrained.pooler_initialised:
            tensors = {name: tensor for name, tensor in tensors.items() if ".pooler." not in name}
        config = self.encoder_config.to_json()
        family = FAMILIES[self.encoder_config.model_type]
        config["architectures"] = [family.masked_lm.architecture]
        record = {
            "source_encoder": self.pretrained.source,
            "config": asdict(self.config),
            "step": step,
            "dev": measured and measured.to_json(),
            "versions": checkpoint.package_versions(),
        }
        tokenizer = self.pretrained.tokenizer.read_text(encoding="utf-8")
        checkpoint.save_text(folder / TOKENIZER, tokenizer)
        for name, values in ((CONFIG, config), (RECORD, record)):
            text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
            checkpoint.save_text(folder / name, text)
        checkpoint.save_tensors(folder / WEIGHTS, tensors, {"format": "pt"})
