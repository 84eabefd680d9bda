"""The methods of multitask training, by name. To add one, write its file and an entry here.

Targets are strings, and options are declared here, so that `swiss train --help` lists all of them
without importing torch.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

MethodKind = Literal["weighting", "aggregation", "sampler", "regularizer"]


@dataclass(frozen=True)
class Bounds:
    """The allowed values of a number.

    Attributes:
        rule: The rule in words, which errors show after "must be".
        holds: Whether a value is allowed.
    """

    rule: str
    holds: Callable[[float], bool]


NOT_NEGATIVE = Bounds("0 or above", lambda value: value >= 0)
POSITIVE = Bounds("above 0", lambda value: value > 0)
FRACTION = Bounds("in [0, 1]", lambda value: 0 <= value <= 1)
BELOW_ONE = Bounds("in [0, 1)", lambda value: 0 <= value < 1)


@dataclass(frozen=True)
class MethodOption:
    """A parameter of a method: a configuration key and a command-line option.

    Attributes:
        key: Configuration key; with dashes, the option of `swiss train`.
        argument: Keyword argument of the method.
        default: Default value: a number, or a mapping from tasks to numbers.
        bounds: Allowed numbers.
        help: Help text of the option.
    """

    key: str
    argument: str
    default: float | Mapping[str, float]
    bounds: Bounds
    help: str

    @property
    def is_per_task(self) -> bool:
        """Whether the value is a number for each task."""
        return isinstance(self.default, Mapping)


@dataclass(frozen=True)
class MethodSpec:
    """One method of training several tasks together.

    Attributes:
        name: Name on the command line and in configurations.
        kind: Kind of the method; its protocol is in `swiss_training/KIND/__init__.py`.
        target: `module:attribute` of the function that makes the method.
        summary: One line for the help text.
        reference: Paper and equation.
        options: Parameters; the first one of a regularizer turns it on.
    """

    name: str
    kind: MethodKind
    target: str
    summary: str
    reference: str
    options: tuple[MethodOption, ...] = ()

    def is_on(self, values: Mapping[str, Any]) -> bool:
        """Whether the first option turns a regularizer on, by not being 0.

        Args:
            values: Value of each option, by key.
        """
        return bool(values[self.options[0].key])

    def make(self, values: Mapping[str, Any], *given: Any) -> Any:
        """Make the method.

        Args:
            values: Value of each option, by key.
            given: Arguments that every method of the kind takes.
        """
        module, _, attribute = self.target.partition(":")
        arguments = {option.argument: values[option.key] for option in self.options}
        return getattr(import_module(module), attribute)(*given, **arguments)


# Regularizers apply in this order: those that divide the loss up come before those that
# add to it.
METHODS: tuple[MethodSpec, ...] = (
    MethodSpec(
        name="none",
        kind="weighting",
        target="swiss_training.weighting.unweighted:Unweighted",
        summary="the plain sum of the task losses",
        reference="swissBERT, section 4.1",
    ),
    MethodSpec(
        name="learnable",
        kind="weighting",
        target="swiss_training.weighting.learnable:LearnableWeights",
        summary="learned weights without a regularizer",
        reference="swissBERT, section 4.2",
    ),
    MethodSpec(
        name="uncertainty",
        kind="weighting",
        target="swiss_training.weighting.uncertainty:HomoscedasticUncertainty",
        summary="homoscedastic uncertainty: learned variance per task",
        reference="Kendall et al. 2018 (arXiv:1705.07115); swissBERT, section 4.2",
    ),
    MethodSpec(
        name="awl",
        kind="weighting",
        target="swiss_training.weighting.automatic:AutomaticWeightedLoss",
        summary="automatic weighted loss: learned variance per task, never negative",
        reference="Liebel and Körner 2018 (arXiv:1805.06334), eq. 2",
    ),
    MethodSpec(
        name="none",
        kind="aggregation",
        target="swiss_training.aggregation.sum:Sum",
        summary="the plain sum of the tasks' gradients",
        reference="swissBERT, section 4.1",
    ),
    MethodSpec(
        name="pcgrad",
        kind="aggregation",
        target="swiss_training.aggregation.pcgrad:PCGrad",
        summary="gradient surgery: remove what conflicts with another task's gradient",
        reference="Yu et al. 2020 (arXiv:2001.06782), algorithm 1; swissBERT, section 4.2",
    ),
    MethodSpec(
        name="gradvac",
        kind="aggregation",
        target="swiss_training.aggregation.gradvac:GradVac",
        summary="gradient vaccine: turn gradients towards the usual angle between two tasks",
        reference="Wang et al. 2021 (arXiv:2010.05874), eq. 3",
    ),
    MethodSpec(
        name="cagrad",
        kind="aggregation",
        target="swiss_training.aggregation.cagrad:CAGrad",
        summary="conflict-averse: improve the worst task most, near the mean gradient",
        reference="Liu et al. 2021 (arXiv:2110.14048), algorithm 1",
    ),
    MethodSpec(
        name="balanced",
        kind="sampler",
        target="swiss_training.samplers.balanced:Balanced",
        summary="one batch of every task per update, until the smallest task is exhausted",
        reference="swissBERT, section 4.1",
    ),
    MethodSpec(
        name="biased",
        kind="sampler",
        target="swiss_training.samplers.biased:Biased",
        summary="batches drawn by `sampling_weights`, until one task should be exhausted",
        reference="swissBERT, section 4.2, biased task sampling",
        options=(
            MethodOption(
                "sampling_weights",
                "weights",
                {},
                POSITIVE,
                "How often `sampler=biased` draws each task; 1 for a task not named. The paper has"
                " sst=1,para=1.7,sts=1.",
            ),
        ),
    ),
    MethodSpec(
        name="proportional",
        kind="sampler",
        target="swiss_training.samplers.proportional:Proportional",
        summary="batches drawn in proportion to the tasks' sizes, as many as all tasks have",
        reference="Sanh et al. 2019 (arXiv:1811.06031), section 3",
    ),
    MethodSpec(
        name="square-root",
        kind="sampler",
        target="swiss_training.samplers.square_root:SquareRoot",
        summary="batches drawn in proportion to the square root of the tasks' sizes",
        reference="Stickland and Murray 2019 (arXiv:1902.02671), section 3.2",
    ),
    MethodSpec(
        name="annealed",
        kind="sampler",
        target="swiss_training.samplers.annealed:Annealed",
        summary="batches drawn by size at first, and more evenly towards the end",
        reference="Stickland and Murray 2019 (arXiv:1902.02671), eq. 3",
    ),
    MethodSpec(
        name="r_drop",
        kind="regularizer",
        target="swiss_training.regularizers.r_drop:RDrop",
        summary="R-Drop: two passes with different dropout must agree",
        reference="Wu et al. 2021 (arXiv:2106.14448), eq. 3",
        options=(
            MethodOption(
                "r_drop_weight", "weight", 0.0, NOT_NEGATIVE, "Weight of the divergence; 0: off."
            ),
        ),
    ),
    MethodSpec(
        name="distillation",
        kind="regularizer",
        target="swiss_training.regularizers.distillation:Distillation",
        summary="knowledge distillation: the model follows the logits of a teacher",
        reference="Hinton et al. 2015 (arXiv:1503.02531), section 2",
        options=(
            MethodOption(
                "distillation_weight",
                "weight",
                0.0,
                FRACTION,
                "Fraction of the loss taken from the teacher; 0: off.",
            ),
            MethodOption(
                "distillation_temperature",
                "temperature",
                2.0,
                POSITIVE,
                "Softmax temperature for teacher and model logits.",
            ),
        ),
    ),
    MethodSpec(
        name="contrastive",
        kind="regularizer",
        target="swiss_training.regularizers.contrastive:Contrastive",
        summary="supervised contrastive learning: examples of a class have similar outputs",
        reference="Tunstall et al. 2022 (arXiv:2209.11055), section 3.1",
        options=(
            MethodOption(
                *("contrastive_weight", "weight", 0.0, NOT_NEGATIVE),
                "Weight of the difference of cosines; 0: off. Helps if labels are few.",
            ),
        ),
    ),
    MethodSpec(
        name="smart",
        kind="regularizer",
        target="swiss_training.regularizers.smart:Smart",
        summary="SMART: the prediction must not change for adversarial noise on the embeddings",
        reference="Jiang et al. 2020 (arXiv:1911.03437), eq. 2",
        options=(
            MethodOption(
                "smart_weight", "weight", 0.0, NOT_NEGATIVE, "Weight of the penalty; 0: off."
            ),
            MethodOption(
                "smart_radius",
                "radius",
                1e-2,
                POSITIVE,
                "Largest change to a component of an embedded token.",
            ),
            MethodOption(
                "smart_step_size",
                "step_size",
                1e-2,
                POSITIVE,
                "Length of the adversary's step, before it is clipped to the radius.",
            ),
        ),
    ),
    MethodSpec(
        name="bregman",
        kind="regularizer",
        target="swiss_training.regularizers.bregman:BregmanProximalPoint",
        summary="Bregman proximal point: predictions must stay near those of averaged weights",
        reference="Jiang et al. 2020 (arXiv:1911.03437), eq. 4 and 5",
        options=(
            MethodOption(
                "bregman_weight", "weight", 0.0, NOT_NEGATIVE, "Weight of the divergence; 0: off."
            ),
            MethodOption(
                "bregman_momentum",
                "momentum",
                0.99,
                BELOW_ONE,
                "Fraction of the averaged weights that is kept at each step.",
            ),
        ),
    ),
)


def methods_of(kind: MethodKind) -> tuple[MethodSpec, ...]:
    """Return all methods of a kind, in order."""
    return tuple(spec for spec in METHODS if spec.kind == kind)


def method_names(kind: MethodKind) -> tuple[str, ...]:
    """Return the names of all methods of a kind, in order."""
    return tuple(spec.name for spec in methods_of(kind))


def method_options() -> tuple[MethodOption, ...]:
    """Return the options of all methods, in order."""
    return tuple(option for spec in METHODS for option in spec.options)


def find_method(kind: MethodKind, name: str) -> MethodSpec:
    """Find a method.

    Raises:
        KeyError: if no method has that kind and name.
    """
    for spec in methods_of(kind):
        if spec.name == name:
            return spec
    raise KeyError(f"{kind} {name}")


@dataclass(frozen=True)
class HeadSpec:
    """A kind of prediction heads.

    Attributes:
        name: Name on the command line and in configurations.
        summary: One line for the help text.
        reference: Paper and section.
    """

    name: str
    summary: str
    reference: str


HEADS = (
    HeadSpec("linear", "one linear layer per task", "swissBERT, section 4.1"),
    HeadSpec(
        "layer-sharing",
        "two linear layers with LeakyReLU, the first shared by the tasks of two texts",
        "swissBERT, section 4.2, weight sharing",
    ),
    HeadSpec(
        "cosine",
        "cosine similarity of two separately encoded texts, CosineEmbeddingLoss",
        "Reimers and Gurevych 2019 (arXiv:1908.10084); swissBERT, section 4.2",
    ),
)
"""The kinds of heads that `multitask/heads.py` and the graph's `heads.py` implement."""
