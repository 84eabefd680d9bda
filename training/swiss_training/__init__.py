"""Trains models: encoder, heads, losses, multitask methods and the training engine.

What is public and stays is in `__all__`: a configuration, `fit` and `resume`, which train it, and
the events that they yield; an observer is told what happens between them. Call it from Python with
`from swiss_training import TrainConfig, fit`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swiss_training.events import (
        Evaluated,
        Event,
        Finished,
        Interrupted,
        Saved,
        Started,
        StepsDone,
    )
    from swiss_training.multitask.config import TrainConfig
    from swiss_training.multitask.objective import fit, resume
    from swiss_training.observer import Observer

__all__ = [
    "Evaluated",
    "Event",
    "Finished",
    "Interrupted",
    "Observer",
    "Saved",
    "Started",
    "StepsDone",
    "TrainConfig",
    "fit",
    "resume",
]

_HOMES = {
    "Observer": "observer",
    "TrainConfig": "multitask.config",
    "fit": "multitask.objective",
    "resume": "multitask.objective",
}


def __getattr__(name: str) -> object:
    # Loaded when it is asked for: torch takes a second.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'events')}"), name)
