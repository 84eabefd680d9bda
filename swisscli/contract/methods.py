"""The multitask methods, by name. A new method is its own file and one entry here.

Targets are strings so that `swiss train --help` lists the methods without importing torch.
"""

from dataclasses import dataclass
from typing import Literal

MethodKind = Literal["weighting", "sampler"]


@dataclass(frozen=True)
class MethodSpec:
    """One method of training several tasks together.

    Attributes:
        name: Its command-line and configuration name.
        kind: Which protocol it implements.
        target: `module:attribute` that implements it.
        summary: One line for the help text.
        reference: Paper and equation.
    """

    name: str
    kind: MethodKind
    target: str
    summary: str
    reference: str


METHODS: tuple[MethodSpec, ...] = (
    MethodSpec(
        name="none",
        kind="weighting",
        target="swiss_training.weighting.unweighted:Unweighted",
        summary="the plain sum of the task losses",
        reference="swissBERT, section 4.1",
    ),
    MethodSpec(
        name="awl",
        kind="weighting",
        target="swiss_training.weighting.automatic:AutomaticWeightedLoss",
        summary="automatic weighted loss: learned variance per task, never negative",
        reference="Liebel and Körner 2018 (arXiv:1805.06334), eq. 2",
    ),
    MethodSpec(
        name="balanced",
        kind="sampler",
        target="swiss_training.samplers.balanced:balanced",
        summary="one batch of every task per update until the smallest task is through",
        reference="swissBERT, section 4.1",
    ),
)


def method_names(kind: MethodKind) -> tuple[str, ...]:
    """Names of all methods of a kind, in order."""
    return tuple(spec.name for spec in METHODS if spec.kind == kind)


def find_method(kind: MethodKind, name: str) -> MethodSpec:
    """Find a method.

    Raises:
        KeyError: if there is none of that kind and name.
    """
    for spec in METHODS:
        if spec.kind == kind and spec.name == name:
            return spec
    raise KeyError(f"{kind} {name}")
