"""The multitask methods, by name. A new method is its own file and one entry here.

Targets are strings so that `swiss train --help` lists the methods without importing torch.
"""

from dataclasses import dataclass
from typing import Literal

MethodKind = Literal["heads", "weighting", "aggregation", "sampler", "regularizer", "optimization"]


@dataclass(frozen=True)
class MethodSpec:
    """One method of training several tasks together.

    Attributes:
        name: Its command-line and configuration name. A regularizer or an optimization method is
            turned on by the configuration keys that begin with its name. Regularizers are applied
            in their order here: those that divide the loss up stand before those that add to it.
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
        name="linear",
        kind="heads",
        target="swiss_training.multitask.heads:LinearHead",
        summary="one linear layer per task",
        reference="swissBERT, section 4.1",
    ),
    MethodSpec(
        name="layer-sharing",
        kind="heads",
        target="swiss_training.multitask.heads:LinearHead",
        summary="two linear layers with LeakyReLU, the first shared by the tasks of two texts",
        reference="swissBERT, section 4.2, weight sharing",
    ),
    MethodSpec(
        name="cosine",
        kind="heads",
        target="swiss_training.multitask.heads:CosineHead",
        summary="cosine similarity of two separately encoded texts, CosineEmbeddingLoss",
        reference="Reimers and Gurevych 2019 (arXiv:1908.10084); swissBERT, section 4.2",
    ),
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
        summary="learned weights without a regulariser",
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
        target="swiss_training.aggregation.summed:Summed",
        summary="the plain sum of the tasks' gradients",
        reference="swissBERT, section 4.1",
    ),
    MethodSpec(
        name="pcgrad",
        kind="aggregation",
        target="swiss_training.aggregation.pcgrad:PCGrad",
        summary="gradient surgery: a conflicting part of another task's gradient is projected away",
        reference="Yu et al. 2020 (arXiv:2001.06782), algorithm 1; swissBERT, section 4.2",
    ),
    MethodSpec(
        name="gradvac",
        kind="aggregation",
        target="swiss_training.aggregation.gradvac:GradVac",
        summary="gradient vaccine: gradients are turned towards the usual angle between two tasks",
        reference="Wang et al. 2021 (arXiv:2010.05874), eq. 3",
    ),
    MethodSpec(
        name="cagrad",
        kind="aggregation",
        target="swiss_training.aggregation.cagrad:CAGrad",
        summary="conflict-averse: the best progress of the worst task near the mean gradient",
        reference="Liu et al. 2021 (arXiv:2110.14048), algorithm 1",
    ),
    MethodSpec(
        name="balanced",
        kind="sampler",
        target="swiss_training.samplers.balanced:balanced",
        summary="one batch of every task per update until the smallest task is through",
        reference="swissBERT, section 4.1",
    ),
    MethodSpec(
        name="biased",
        kind="sampler",
        target="swiss_training.samplers.biased:biased",
        summary="batches drawn by --sampling-weights, until one task should be through",
        reference="swissBERT, section 4.2, biased task sampling",
    ),
    MethodSpec(
        name="proportional",
        kind="sampler",
        target="swiss_training.samplers.proportional:proportional",
        summary="batches drawn by the tasks' sizes, as many as the tasks have",
        reference="Sanh et al. 2019 (arXiv:1811.06031), section 3",
    ),
    MethodSpec(
        name="square-root",
        kind="sampler",
        target="swiss_training.samplers.square_root:square_root",
        summary="batches drawn by the square root of the tasks' sizes",
        reference="Stickland and Murray 2019 (arXiv:1902.02671), section 3.2",
    ),
    MethodSpec(
        name="annealed",
        kind="sampler",
        target="swiss_training.samplers.annealed:annealed",
        summary="by size at first, evenly in the end",
        reference="Stickland and Murray 2019 (arXiv:1902.02671), eq. 3",
    ),
    MethodSpec(
        name="r_drop",
        kind="regularizer",
        target="swiss_training.regularizers.r_drop:RDrop",
        summary="two passes with other dropout must agree",
        reference="Wu et al. 2021 (arXiv:2106.14448), eq. 3",
    ),
    MethodSpec(
        name="distillation",
        kind="regularizer",
        target="swiss_training.regularizers.distillation:Distillation",
        summary="the logits of a teacher are followed besides the labels",
        reference="Hinton et al. 2015 (arXiv:1503.02531), section 2",
    ),
    MethodSpec(
        name="smart",
        kind="regularizer",
        target="swiss_training.regularizers.smart:Smart",
        summary="the prediction must not change near the embedded text (adversarial)",
        reference="Jiang et al. 2020 (arXiv:1911.03437), eq. 2",
    ),
    MethodSpec(
        name="bregman",
        kind="regularizer",
        target="swiss_training.regularizers.bregman:BregmanProximalPoint",
        summary="the prediction must stay near that of the averaged earlier weights",
        reference="Jiang et al. 2020 (arXiv:1911.03437), eq. 4 and 5",
    ),
    MethodSpec(
        name="ema",
        kind="optimization",
        target="torch.optim.swa_utils:AveragedModel",
        summary="dev scores and the model are those of the weights' exponential moving average",
        reference="Polyak and Juditsky 1992; Tarvainen and Valpola 2017 (arXiv:1703.01780), eq. 2",
    ),
    MethodSpec(
        name="layer_decay",
        kind="optimization",
        target="swiss_training.optim:make_optimizer",
        summary="each encoder layer learns slower than the one above it",
        reference="Howard and Ruder 2018 (arXiv:1801.06146), section 3.2",
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
