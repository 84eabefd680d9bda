"""Trains the runs that the golden test of several ranks compares; a program for torchrun.

python tests/support/train_in_ranks.py FOLDER ENCODER

If the folder holds runs named `resumed ...`, they are resumed after their second step.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from swiss_training.distributed import ranks, reduction
from swiss_training.multitask import data
from swiss_training.multitask import objective as multitask
from swiss_training.run_folder import PREVIOUS
from swisscli.core.methods import MethodSpec, method_names, methods_of
from tests.support.training import tiny_config

WHOLE_BATCH = 16
"""Examples of a batch of all ranks; a task's last batch has one, fewer than there are ranks."""
DEV_BATCH = 8
"""Dev rows of a batch: some tasks have more batches than there are ranks, one has a single one."""
BUCKET_BYTES = 4096
"""Cuts the gradients of the tiny encoder into many pieces, as those of a real one are."""
STEPS = 4
REGULARIZERS: tuple[dict[str, object], ...] = (
    {"smart_weight": 1.0},
    {"r_drop_weight": 1.0, "bregman_weight": 1.0},
    {"distillation_weight": 0.5},
    {"contrastive_weight": 1.0},
)
OTHERS: tuple[dict[str, object], ...] = (
    {},
    {"micro_batch_tokens": 60},
    {"gradient_accumulation_steps": 2},
    {"ema_decay": 0.5, "pooling": "cls"},
    {"max_grad_norm": 0.1, "layer_decay": 0.9},
    {"pair_encoding": False},
    {"heads": "layer-sharing"},
)


def _combinations() -> Iterator[tuple[str, dict[str, object]]]:
    """Every aggregation with every weighting, and each of these with every regularizer.

    Samplers and what else training can do take turns.
    """
    samplers = method_names("sampler")
    number = 0
    for row, aggregation in enumerate(method_names("aggregation")):
        for column, weighting in enumerate(method_names("weighting")):
            sampler = samplers[number % len(samplers)]
            values: dict[str, object] = {
                "aggregation": aggregation,
                "weighting": weighting,
                "sampler": sampler,
                **({"sampling_weights": {"sentiment": 2.0}} if sampler == "biased" else {}),
                **REGULARIZERS[(row + column) % len(REGULARIZERS)],
                **OTHERS[number % len(OTHERS)],
            }
            if "contrastive_weight" in values:  # which compares all examples of a batch
                values.pop("micro_batch_tokens", None)
            yield f"{aggregation} {weighting}", values
            number += 1


CASES: dict[str, dict[str, object]] = {
    "plain": {},
    **dict(_combinations()),
    "parts": {"micro_batch_tokens": 60, "class_weights": "sqrt"},
    "cosine": {"pair_encoding": False, "heads": "cosine"},
    "frozen": {"freeze_encoder": True},
    "frozen layer": {"freeze_layers": 1, "aggregation": "pcgrad"},
    "bf16": {"precision": "bf16"},
}


def configure(case: Mapping[str, object], teacher: Path) -> dict[str, object]:
    """The configuration of a case, which may have a teacher."""
    return {**case, "teacher": str(teacher)} if "distillation_weight" in case else {**case}


def has_regularizer(case: Mapping[str, object], method: MethodSpec) -> bool:
    return method.is_on(vars(tiny_config(Path("run"), **configure(case, Path("teacher")))))


CASES |= {
    method.name: {method.options[0].key: 0.5}
    for method in methods_of("regularizer")
    if not any(has_regularizer(case, method) for case in CASES.values())
}
"""In addition, a case for each regularizer that is in none of them."""
RESUMED = ("plain", "gradvac uncertainty")
"""Cases that are also resumed by another number of ranks."""


def main() -> None:
    """Train every case, without dropout, and resume what is to be resumed."""
    folder, encoder = map(Path, sys.argv[1:])
    torch.set_num_threads(1)
    reduction.BUCKET_BYTES = BUCKET_BYTES
    vars(data)["EVALUATION_BATCH"] = DEV_BATCH  # imported by name
    with ranks.join():
        for run in sorted(folder.glob("resumed *")):
            for _ in multitask.resume(run / PREVIOUS):
                pass
        for name in CASES:
            common: dict[str, object] = {
                "encoder": str(encoder),
                "train_files": {"sentiment": [str(folder.parent / "short.csv")]},
                "dev_files": {"sentiment": [str(folder.parent / "few.csv")]},
                "pooling": "mean",
                "dropout": 0.0,
                "max_grad_norm": 0.0,
                "batch_size": WHOLE_BATCH // ranks.size(),
                "max_steps": STEPS,
                "eval_every": STEPS,
                "save_every": STEPS // 2,
            }
            values = common | configure(CASES[name], folder.parent / "teacher")
            for _ in multitask.fit(tiny_config(folder / name, **values)):
                pass


if __name__ == "__main__":
    main()
