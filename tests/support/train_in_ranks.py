"""Trains the runs that the golden test of several ranks compares; a program for torchrun.

python tests/support/train_in_ranks.py FOLDER ENCODER TRAIN_FILE
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import torch

from swiss_training.distributed import ranks, reduction
from swiss_training.multitask import objective as multitask
from swisscli.core.methods import METHODS, MethodSpec
from tests.support.training import tiny_config

WHOLE_BATCH = 16
"""Examples of a batch of all ranks; a task's last batch has one, fewer than there are ranks."""
BUCKET_BYTES = 4096
"""Cuts the gradients of the tiny encoder into many pieces, as those of a real one are."""
CASES: dict[str, dict[str, object]] = {
    "plain": {},
    "contrastive": {"contrastive_weight": 1.0},
    "pcgrad": {
        "aggregation": "pcgrad",
        "weighting": "learnable",
        "sampler": "proportional",
        "smart_weight": 1.0,
    },
    "gradvac": {
        "aggregation": "gradvac",
        "weighting": "uncertainty",
        "sampler": "square-root",
        "r_drop_weight": 1.0,
    },
    "cagrad": {
        "aggregation": "cagrad",
        "weighting": "none",
        "sampler": "annealed",
        "bregman_weight": 1.0,
        "gradient_accumulation_steps": 2,
    },
    "parts": {
        "sampler": "biased",
        "sampling_weights": {"sentiment": 2.0},
        "micro_batch_tokens": 60,
        "heads": "layer-sharing",
        "smart_weight": 1.0,
    },
    "distillation": {"distillation_weight": 0.5, "ema_decay": 0.5, "pooling": "cls"},
}


def configure(case: Mapping[str, object], teacher: Path) -> dict[str, object]:
    """The configuration of a case, which has a teacher if it distils from one."""
    return {**case, "teacher": str(teacher)} if "distillation_weight" in case else dict(case)


def uses(case: Mapping[str, object], method: MethodSpec) -> bool:
    """Whether a case's run has a method."""
    config = vars(tiny_config(Path("run"), **configure(case, Path("teacher"))))
    if method.kind == "regularizer":
        return method.is_on(config)
    return config[method.kind] == method.name


CASES |= {
    f"{method.kind}-{method.name}": (
        {method.options[0].key: 0.5} if method.kind == "regularizer" else {method.kind: method.name}
    )
    for method in METHODS
    if not any(uses(case, method) for case in CASES.values())
}
"""In addition, a case for each method that is in none of them."""


def main() -> None:
    """Train every case, without dropout and clipping."""
    folder, encoder, train_file = map(Path, sys.argv[1:])
    torch.set_num_threads(1)
    reduction.BUCKET_BYTES = BUCKET_BYTES
    with ranks.join():
        for name, case in CASES.items():
            common: dict[str, object] = {
                "encoder": str(encoder),
                "train_files": {"sentiment": [str(train_file)]},
                "pooling": "mean",
                "dropout": 0.0,
                "max_grad_norm": 0.0,
                "batch_size": WHOLE_BATCH // ranks.size(),
                "max_steps": 4,
                "eval_every": 4,
            }
            values = common | configure(case, folder.parent / "teacher")
            for _ in multitask.fit(tiny_config(folder / name, **values)):
                pass


if __name__ == "__main__":
    main()
