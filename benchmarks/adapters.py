"""Uses each library as its documentation recommends. Opening a contender imports its packages.

This module is read in more than one virtual environment, so it imports nothing but the standard
library: the ONNX backend of `sentence-transformers` needs an older `transformers`.
"""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

Texts = Sequence[tuple[str, ...]]

BATCH_SIZE = 32


@dataclass(frozen=True)
class Setting:
    """Settings with which a contender is opened.

    Attributes:
        models: The folder that `models.py` filled.
        task: sentiment or paraphrase.
        threads: Number of threads per operator.
        device: cpu or cuda.
    """

    models: Path
    task: str
    threads: int
    device: str

    @property
    def hugging_face(self) -> Path:
        """Folder of the task's `BertForSequenceClassification`."""
        return self.models / "hugging-face" / self.task

    @property
    def exported(self) -> Path:
        """Folder of the graphs that sentence-transformers exported."""
        return self.models / "exported" / self.task


class Contender(Protocol):
    """A loaded model."""

    def predict(self, texts: Texts) -> Iterable[Any]:
        """Answer every record in order, in the form in which its users get answers."""
        ...

    def logits(self, texts: Texts) -> list[list[float]]:
        """Logits of each record, to compare contenders with; multiclass up to a constant."""
        ...


class Pipeline:
    """`transformers.pipeline` over a data set, which it reads as a stream."""

    def __init__(self, setting: Setting, batch_size: int, dtype: str) -> None:
        import torch
        import transformers

        transformers.logging.set_verbosity_error()
        self._pipeline = transformers.pipeline(
            "text-classification",
            model=str(setting.hugging_face),
            device=setting.device,
            dtype=getattr(torch, dtype),
        )
        self._batch_size = batch_size

    def predict(self, texts: Texts) -> Iterable[Any]:
        """Answer every record in order."""
        return self._pipeline(_dataset(texts), batch_size=self._batch_size, truncation=True)

    def logits(self, texts: Texts) -> list[list[float]]:
        """Compute the logits of each record."""
        answers = self._pipeline(
            _dataset(texts),
            batch_size=self._batch_size,
            truncation=True,
            top_k=None,
            function_to_apply="none",
        )
        index = self._pipeline.model.config.label2id
        by_class = (sorted(answer, key=lambda item: index[item["label"]]) for answer in answers)
        return [[item["score"] for item in answer] for answer in by_class]


def _dataset(texts: Texts) -> Any:
    from torch.utils.data import Dataset

    class Records(Dataset):  # type: ignore[type-arg]
        def __len__(self) -> int:
            return len(texts)

        def __getitem__(self, index: int) -> Any:
            item = texts[index]
            return item[0] if len(item) == 1 else {"text": item[0], "text_pair": item[1]}

    return Records()


class CrossEncoder:
    """`sentence_transformers.CrossEncoder`; it sorts the pairs by length itself."""

    def __init__(self, setting: Setting, batch_size: int, dtype: str) -> None:
        import torch
        from sentence_transformers import CrossEncoder as Model

        self._model = Model(
            str(setting.hugging_face),
            device=setting.device,
            model_kwargs={"dtype": getattr(torch, dtype)},
        )
        self._batch_size = batch_size

    def predict(self, texts: Texts) -> Iterable[Any]:
        """Answer every record in order."""
        return self._scores(texts, None)

    def logits(self, texts: Texts) -> list[list[float]]:
        """Compute the logits of each record."""
        from torch.nn import Identity

        return [[float(score)] for score in self._scores(texts, Identity())]

    def _scores(self, texts: Texts, activation: Any) -> Any:
        return self._model.predict(
            [list(item) for item in texts],
            batch_size=self._batch_size,
            show_progress_bar=False,
            activation_fn=activation,
        )


class OnnxCrossEncoder(CrossEncoder):
    """The same with its ONNX backend."""

    def __init__(self, setting: Setting, graph: str) -> None:
        import onnxruntime
        from sentence_transformers import CrossEncoder as Model

        self._model = Model(
            str(setting.exported),
            backend="onnx",
            device="cpu",
            model_kwargs={
                "provider": "CPUExecutionProvider",
                "session_options": _session_options(onnxruntime, setting.threads),
                "file_name": str(_find(setting.exported, graph).relative_to(setting.exported)),
            },
        )
        self._batch_size = BATCH_SIZE


class FixedBatches:
    """ONNX Runtime and `tokenizers` in a few lines: batches of 32.

    Batches take the records in input order or, with `by_length`, those of similar length.
    """

    def __init__(
        self, setting: Setting, model: str, graph: str, output: str, *, by_length: bool = False
    ) -> None:
        import numpy
        import onnxruntime
        import tokenizers

        folder = setting.models / model.format(task=setting.task)
        self._numpy = numpy
        self._by_length = by_length
        self._output = output.format(task=setting.task)
        self._session = onnxruntime.InferenceSession(
            str(_find(folder, graph)),
            _session_options(onnxruntime, setting.threads),
            providers=["CPUExecutionProvider"],
        )
        self._tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(_longest_input(setting.hugging_face))

    def predict(self, texts: Texts) -> Iterator[Any]:
        """Answer every record in order."""
        if not self._by_length:
            for start in range(0, len(texts), BATCH_SIZE):
                yield from self._run(self._encode(texts[start : start + BATCH_SIZE]))
            return
        encodings = self._encode(texts)
        order = sorted(range(len(texts)), key=lambda index: -len(encodings[index]))
        answers: list[Any] = [None] * len(texts)
        for start in range(0, len(texts), BATCH_SIZE):
            batch = order[start : start + BATCH_SIZE]
            logits = self._run([encodings[index] for index in batch])
            for index, answer in zip(batch, logits, strict=True):
                answers[index] = answer
        yield from answers

    def _encode(self, texts: Texts) -> Any:
        return self._tokenizer.encode_batch([item[0] if len(item) == 1 else item for item in texts])

    def _run(self, encodings: Any) -> Any:
        longest = max(len(encoding) for encoding in encodings)
        for encoding in encodings:
            encoding.pad(longest)
        array = self._numpy.array
        inputs = {
            "input_ids": array([encoding.ids for encoding in encodings]),
            "attention_mask": array([encoding.attention_mask for encoding in encodings]),
            "token_type_ids": array([encoding.type_ids for encoding in encodings]),
        }
        return self._session.run([self._output], inputs)[0].tolist()

    def logits(self, texts: Texts) -> list[list[float]]:
        """Answer every record in order."""
        return list(self.predict(texts))


class Swiss:
    """`swisscli.Predictor`."""

    def __init__(self, setting: Setting, precision: str) -> None:
        from swisscli import Predictor
        from swisscli.inference.cache import LogitsCache

        self._task = setting.task
        self._new_cache = LogitsCache
        self._predictor = Predictor(
            setting.models / f"swiss-{precision}", device=setting.device, threads=setting.threads
        )

    def predict(self, texts: Texts) -> Iterable[Any]:
        """Answer every record in order, without cached answers of an earlier run."""
        self._predictor._cache = self._new_cache()
        return self._predictor.predict(self._task, texts)

    def logits(self, texts: Texts) -> list[list[float]]:
        """Compute the logits of each record."""
        logits = []
        for answer in self.predict(texts):
            log_probabilities = [math.log(p) for p in answer.probabilities]
            if len(log_probabilities) == 2:  # two classes of one logit
                log_probabilities = [log_probabilities[1] - log_probabilities[0]]
            logits.append(log_probabilities)
        return logits


def _session_options(onnxruntime: Any, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return options


def _find(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if not found:
        raise FileNotFoundError(f"{pattern} was not exported")
    return found[0]


def _longest_input(hugging_face: Path) -> int:
    settings = json.loads((hugging_face / "tokenizer_config.json").read_text(encoding="utf-8"))
    return int(settings["model_max_length"])
