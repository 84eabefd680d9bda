"""Regularizers, moving averages, layer-wise decay, distillation."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from swiss_training import checkpoint
from swiss_training.checkpoint import Checkpoint
from swiss_training.engine import fit
from swiss_training.multitask import objective as multitask
from swiss_training.multitask.config import TrainConfig
from swiss_training.multitask.data import Batch
from swiss_training.multitask.evaluation import predict_logits
from swiss_training.multitask.losses import compute_divergence
from swiss_training.multitask.model import MultitaskModel, load_model
from swiss_training.multitask.teacher import FILE
from swiss_training.optim import make_optimizer
from swiss_training.regularizers.bregman import BregmanProximalPoint
from swiss_training.regularizers.contrastive import Contrastive
from swiss_training.regularizers.distillation import Distillation
from swiss_training.regularizers.r_drop import RDrop
from swiss_training.regularizers.smart import Smart
from swiss_training.weighting.automatic import AutomaticWeightedLoss
from swiss_training.weighting.unweighted import Unweighted
from swisscli.core.errors import ConfigurationError, ModelError
from swisscli.core.methods import MethodSpec, methods_of
from swisscli.core.model.directory import ModelDirectory
from swisscli.core.tasks import DEFAULT_TASKS, TASKS
from tests.support.training import dev_rows, make_model, tiny_config


def batch_of(task: str) -> Batch:
    return dev_rows(task).batch(range(6))


def with_dropout(probability: float = 0.3) -> MultitaskModel:
    """The random model, whose heads and encoder drop units."""
    config = make_model().config
    encoder = replace(config.encoder, hidden_dropout_prob=probability)
    torch.manual_seed(0)
    model = MultitaskModel(replace(config, encoder=encoder), dropout=probability)
    model.load_state_dict(make_model().state_dict())
    return model.train()


def apply(regularizer: Any, model: MultitaskModel, task: str, batch: Batch) -> tuple[Tensor, ...]:
    """The plain loss, the regularised one, and the output that both are of."""
    output = model.output(task, *batch.inputs)
    loss = model.head(task).loss(output, batch.targets_B)
    return loss, regularizer(loss, model, task, batch, output), output


def assert_same_slope(model: MultitaskModel, a: Tensor, b: Tensor) -> None:
    weight = model.encoder.layers[0].up.weight
    slopes = [torch.autograd.grad(loss, weight, retain_graph=True)[0] for loss in (a, b)]
    assert slopes[0].abs().max() > 1e-4
    assert torch.allclose(*slopes, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("task", DEFAULT_TASKS)
@pytest.mark.parametrize("spec", methods_of("regularizer"), ids=lambda spec: spec.name)
def test_every_regularizer_gives_a_loss_to_train_on(spec: MethodSpec, task: str) -> None:
    model = with_dropout()
    values = {**vars(TrainConfig()), spec.options[0].key: 0.5}
    assert spec.is_on(values)
    assert not spec.is_on(vars(TrainConfig()))
    regularizer = spec.make(values, model)
    teacher_BC = torch.zeros(6, TASKS[task].num_outputs)
    batch = replace(batch_of(task), teacher_BC=teacher_BC)
    loss, regularised, _ = apply(regularizer, model, task, batch)
    assert regularised.shape == ()
    assert regularised.isfinite()
    assert regularised != loss
    regularised.backward()
    assert model.encoder.layers[0].up.weight.grad.abs().max() > 0
    assert model.training
    regularizer.after_step(model)


@pytest.mark.parametrize("task", DEFAULT_TASKS)
def test_smart_finds_a_direction_that_changes_the_prediction_more_than_noise(task: str) -> None:
    model, batch, radius = make_model(), batch_of(task), 0.05
    torch.manual_seed(1)
    loss, regularised, _ = apply(Smart(model, 2.0, radius, step_size=1.0), model, task, batch)
    penalty = ((regularised - loss) / 2).item()
    (slope,) = torch.autograd.grad(regularised - loss, model.encoder.layers[0].up.weight)
    assert slope.abs().max() > 1e-4
    clean = model(task, *batch.inputs)
    shape = (*batch.input_ids_ST.shape, model.config.encoder.hidden_size)
    random = []
    for _ in range(10):
        noise = radius * torch.randn(shape).sign()
        moved = model.head(task).logits(model.output(task, *batch.inputs, noise))
        random.append(compute_divergence(TASKS[task], moved, clean).item())
    assert penalty > 3 * max(random) > 0


def test_smart_stays_within_its_radius_and_leaves_the_model_training() -> None:
    model = with_dropout()
    seen = []

    def watch(module: Any, args: tuple[Any, ...]) -> None:
        if len(args) > 3 and args[3] is not None:
            seen.append(args[3])

    model.encoder.register_forward_pre_hook(watch)
    smart = Smart(model, weight=1.0, radius=0.01, step_size=5.0)
    _, regularised, _ = apply(smart, model, "sentiment", batch_of("sentiment"))
    first, second = seen
    assert first.std().item() == pytest.approx(0.01, rel=0.1)
    assert second.abs().max().item() == pytest.approx(0.01)
    assert model.training
    regularised.backward()
    assert all(p.grad is not None for p in model.heads["sentiment"].parameters())


def test_smart_leaves_a_frozen_encoder_without_dropout(tmp_path: Path) -> None:
    run = multitask.Multitask(tiny_config(tmp_path / "run", freeze_encoder=True, smart_weight=1.0))
    run.train()
    assert run.model.heads.training
    assert not run.model.encoder.training
    modes = {name: module.training for name, module in run.model.named_modules()}
    run.loss(run.tasks[0], run.streams[run.tasks[0]].next())
    assert {name: module.training for name, module in run.model.named_modules()} == modes


def test_smart_is_right_under_autocast() -> None:
    model, batch = make_model(), batch_of("paraphrase")
    smart = Smart(model, weight=1.0, radius=1e-2, step_size=1.0)
    penalties = []
    for enabled in (False, True):
        torch.manual_seed(1)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            loss, regularised, _ = apply(smart, model, "paraphrase", batch)
        penalties.append((regularised - loss).item())
    assert penalties[0] == pytest.approx(penalties[1], rel=1e-2)


def test_r_drop_is_the_halved_formula() -> None:
    model, batch = with_dropout(), batch_of("sentiment")
    torch.manual_seed(5)
    loss, regularised, first = apply(RDrop(model, weight=3.0), model, "sentiment", batch)
    torch.manual_seed(5)
    assert torch.equal(model.output("sentiment", *batch.inputs), first)
    second = model.output("sentiment", *batch.inputs)
    p, q = first.log_softmax(1), second.log_softmax(1)
    both = sum(F.kl_div(a, b, reduction="batchmean", log_target=True) for a, b in ((p, q), (q, p)))
    printed = loss + F.cross_entropy(second, batch.targets_B.long()) + 3 / 2 * both
    assert torch.allclose(regularised, printed / 2)
    assert_same_slope(model, regularised, printed / 2)


@pytest.mark.parametrize(
    ("task", "targets", "same", "others"),
    [
        ("sentiment", [0.0, 3.0, 0.0], {(0, 2): 1.0}, {(0, 1): 0.0, (1, 2): 0.0}),
        ("similarity", [0.0, 5.0, 1.0], {}, {(0, 1): 0.0, (0, 2): 0.8, (1, 2): 0.2}),
        (
            *("sentiment", [[1.0, 1, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 0, 1]]),
            *({(0, 1): 1.0}, {(0, 2): 0.0, (1, 2): 0.0}),
        ),
    ],
)
def test_contrastive_learning_wants_a_cosine_of_every_pair(
    task: str, targets: list[Any], same: dict[Any, float], others: dict[Any, float]
) -> None:
    model = make_model()
    batch = replace(dev_rows(task).batch(range(3)), targets_B=torch.tensor(targets))
    loss, regularised, _ = apply(Contrastive(model, weight=2.0), model, task, batch)
    pooled = model.pool(*batch.inputs)
    means = [
        torch.stack(
            [(F.cosine_similarity(pooled[i], pooled[j], dim=0) - t) ** 2 for (i, j), t in x.items()]
        ).mean()
        for x in (same, others)
        if x
    ]
    expected = loss + 2 * sum(means)
    assert torch.allclose(regularised, expected, atol=1e-5)
    assert_same_slope(model, regularised, expected)


def test_contrastive_learning_has_nothing_to_say_of_one_example() -> None:
    model, batch = make_model(), dev_rows("sentiment").batch([0])
    loss, regularised, _ = apply(Contrastive(model, weight=2.0), model, "sentiment", batch)
    assert torch.equal(loss, regularised)


@pytest.mark.parametrize("task", DEFAULT_TASKS)
def test_bregman_holds_the_prediction_near_the_averaged_weights(task: str) -> None:
    model, batch = make_model(), batch_of(task)
    regularizer = BregmanProximalPoint(model, weight=2.0, momentum=0.9)
    loss, regularised, _ = apply(regularizer, model, task, batch)
    assert torch.allclose(regularised, loss)  # nothing has moved yet
    before = {name: p.clone() for name, p in model.named_parameters()}
    regularizer.after_step(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    regularizer.after_step(model)
    averaged = dict(regularizer.averaged.module.named_parameters())
    for name, parameter in model.named_parameters():
        expected = 0.9 * before[name] + 0.1 * parameter
        assert torch.allclose(averaged[name], expected, atol=1e-6)
        assert not averaged[name].requires_grad
    loss, regularised, output = apply(regularizer, model, task, batch)
    anchor = regularizer.averaged.module(task, *batch.inputs)
    apart = compute_divergence(TASKS[task], model.head(task).logits(output), anchor)
    assert apart > 0
    assert torch.allclose(regularised, loss + 2 * apart)
    assert_same_slope(model, regularised, loss + 2 * apart)


def test_a_penalty_keeps_its_weight_beside_a_method_that_divides_the_loss_up(
    tmp_path: Path,
) -> None:
    losses = []
    for weights in ({}, {"bregman_weight": 2.0}, {"bregman_weight": 2.0, "r_drop_weight": 1.0}):
        run = multitask.Multitask(tiny_config(tmp_path / "run", weighting="none", **weights))
        run.model.eval()  # both passes of R-Drop are the same: it adds nothing
        with torch.no_grad():
            torch.manual_seed(1)
            for parameter in run.model.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
            losses.append(run.loss("sentiment", run.streams["sentiment"].next()).item())
    plain, penalised, both = losses
    assert penalised > plain + 1e-3
    assert both == pytest.approx(penalised)


@pytest.mark.parametrize("task", DEFAULT_TASKS)
def test_distillation_mixes_labels_and_teacher(task: str) -> None:
    model = make_model()
    logits = torch.randn(6, TASKS[task].num_outputs)
    batch = replace(batch_of(task), teacher_BC=logits)
    share, temperature = 0.25, 3.0
    distillation = Distillation(model, share, temperature)
    loss, mixed, output = apply(distillation, model, task, batch)
    if task == "sentiment":
        p, q = (F.softmax(x / temperature, 1) for x in (logits, output))
        follow = temperature**2 * (p * (p / q).log()).sum(1).mean()
    elif task == "paraphrase":
        p, q = ((x / temperature).sigmoid() for x in (logits, output))
        bernoulli = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
        follow = temperature**2 * bernoulli.mean()
    else:
        follow = ((logits - output) ** 2).mean()
    expected = (1 - share) * loss + share * follow
    assert torch.allclose(mixed, expected, atol=1e-5)
    assert_same_slope(model, mixed, expected)


def test_a_teacher_is_followed_and_its_logits_are_kept(tmp_path: Path) -> None:
    list(multitask.fit(tiny_config(tmp_path / "teacher", pooling="mean", epochs=10, dropout=0.0)))
    distil = {
        "teacher": str(tmp_path / "teacher"),
        "distillation_weight": 1.0,
        "pooling": "mean",
        "dropout": 0.0,
        "weighting": "none",
    }
    config = tiny_config(tmp_path / "student", epochs=10, **distil)
    list(multitask.fit(config))
    run = multitask.Multitask(replace(config, output=str(tmp_path / "other")))
    train = {name: stream.dataset for name, stream in run.streams.items()}
    kept = load_file(tmp_path / "student" / FILE)
    run.prepare(tmp_path / "other")
    teacher, student = (
        load_model(ModelDirectory.open(tmp_path / run)) for run in ("teacher", "student")
    )
    for name, dataset in train.items():
        assert np.array_equal(kept[name].numpy(), dataset.teacher_NC)
        assert np.allclose(dataset.teacher_NC, predict_logits(teacher, dataset, run.autocast))
        before = np.abs(predict_logits(run.model, dataset, run.autocast) - dataset.teacher_NC)
        after = np.abs(predict_logits(student, dataset, run.autocast) - dataset.teacher_NC)
        assert after.mean() < before.mean()


def test_a_run_that_was_cut_behind_its_teacher_goes_on_as_if_it_had_not_been(
    tmp_path: Path,
) -> None:
    list(multitask.fit(tiny_config(tmp_path / "teacher", max_steps=1)))
    share = {"teacher": str(tmp_path / "teacher"), "distillation_weight": 0.5, "max_steps": 2}
    list(multitask.fit(tiny_config(tmp_path / "whole", **share)))
    next(
        multitask.fit(tiny_config(tmp_path / "cut", **share))
    )  # the logits are kept, no step is taken
    assert (tmp_path / "cut" / FILE).exists()
    list(multitask.resume(tmp_path / "cut"))
    whole, cut = (load_file(tmp_path / run / "model.safetensors") for run in ("whole", "cut"))
    assert all(torch.equal(whole[name], cut[name]) for name in whole)


def test_a_teacher_computes_only_the_rows_that_the_run_reads(tmp_path: Path) -> None:
    list(multitask.fit(tiny_config(tmp_path / "teacher", max_steps=1)))
    share = {"teacher": str(tmp_path / "teacher"), "distillation_weight": 0.5}
    run = multitask.Multitask(
        tiny_config(tmp_path / "run", max_steps=1, batch_size=2, tasks=["sentiment"], **share)
    )
    run.prepare(tmp_path / "run")
    dataset = run.streams["sentiment"].dataset
    assert dataset.teacher_NC is not None
    known_N = ~np.isnan(dataset.teacher_NC).any(axis=1)
    batch = run.streams["sentiment"].next()
    assert known_N.sum() == 2 < len(dataset)
    assert batch.teacher_BC is not None
    assert not batch.teacher_BC.isnan().any()


def test_a_run_that_was_stopped_while_its_teacher_computed_computes_the_rest(
    tmp_path: Path,
) -> None:
    list(multitask.fit(tiny_config(tmp_path / "teacher", max_steps=1)))
    share = {"teacher": str(tmp_path / "teacher"), "distillation_weight": 0.5, "max_steps": 2}
    next(multitask.fit(tiny_config(tmp_path / "run", **share)))
    whole = checkpoint.read(tmp_path / "run" / FILE)
    part = {name: tensor.clone() for name, tensor in whole.tensors.items()}
    done, missing = list(part)[:2]
    part[done] += 7.0
    part[missing][:] = torch.nan
    checkpoint.write(tmp_path / "run" / FILE, Checkpoint(part, whole.record))
    list(multitask.resume(tmp_path / "run"))
    tensors = checkpoint.read(tmp_path / "run" / FILE).tensors
    assert torch.equal(tensors[done].nan_to_num(), part[done].nan_to_num())
    assert torch.equal(tensors[missing].nan_to_num(), whole.tensors[missing].nan_to_num())


def test_a_teacher_that_does_not_fit_is_refused_before_the_encoder_is_read(tmp_path: Path) -> None:
    share = {"distillation_weight": 0.5}
    with pytest.raises(ModelError, match=r"manifest.json.*not found"):
        multitask.fit(
            tiny_config(tmp_path / "run", teacher=str(tmp_path), encoder="absent/encoder", **share)
        )
    list(multitask.fit(tiny_config(tmp_path / "teacher", max_steps=1, tasks=["sentiment"])))
    with pytest.raises(ConfigurationError, match="has no head for paraphrase, similarity"):
        multitask.fit(tiny_config(tmp_path / "run", teacher=str(tmp_path / "teacher"), **share))
    assert not (tmp_path / "run").exists()


def test_the_moving_average_is_what_is_evaluated_and_saved(tmp_path: Path) -> None:
    config = tiny_config(tmp_path / "run", ema_decay=0.5, max_steps=3, eval_every=3, save_every=1)
    states = []
    for event in multitask.fit(config):
        if type(event).__name__ == "Saved":
            states.append(load_file(tmp_path / "run" / "checkpoints" / "last.safetensors"))
    name = "heads.sentiment.linear.weight"
    weights = [state[f"model.{name}"] for state in states]
    expected = weights[0]  # an average begins with the first step
    for weight in weights[1:]:
        expected = 0.5 * expected + 0.5 * weight
    saved = load_file(tmp_path / "run" / "model.safetensors")
    assert torch.allclose(saved[name], expected, atol=1e-7)
    assert not torch.allclose(saved[name], weights[-1], atol=1e-7)


def test_lower_layers_learn_slower() -> None:
    model = make_model()
    optimizer = make_optimizer(
        model,
        Unweighted(3),
        learning_rate=1.0,
        weighting_learning_rate=1.0,
        weight_decay=0.0,
        layer_decay=0.5,
    )
    rates = {id(p): group["peak"] for group in optimizer.param_groups for p in group["params"]}
    by_name = {name: rates[id(p)] for name, p in model.named_parameters()}
    assert len(by_name) == len(rates)
    for name, expected in (
        ("heads.sentiment.linear.weight", 1.0),
        ("encoder.pooler.bias", 1.0),
        ("encoder.layers.1.down.weight", 0.5),
        ("encoder.layers.0.attention.query.bias", 0.25),
        ("encoder.embeddings.word.weight", 0.125),
    ):
        assert by_name[name] == expected


def test_the_loss_weighting_has_its_own_learning_rate_and_does_not_decay() -> None:
    weighting = AutomaticWeightedLoss(3)
    *others, own = make_optimizer(
        make_model(), weighting, learning_rate=1.0, weighting_learning_rate=7.0, weight_decay=0.5
    ).param_groups
    assert own["params"] == list(weighting.parameters())
    assert (own["peak"], own["weight_decay"]) == (7.0, 0.0)
    assert {group["peak"] for group in others} == {1.0}


def test_a_frozen_encoder_stays_as_it_was(tmp_path: Path) -> None:
    config = tiny_config(tmp_path / "run", freeze_encoder=True, max_steps=4, weight_decay=0.5)
    run = multitask.Multitask(config)
    before = {name: p.clone() for name, p in run.model.encoder.state_dict().items()}
    heads = {name: p.clone() for name, p in run.model.heads.state_dict().items()}
    list(fit(lambda *_: run, config))
    assert all(torch.equal(p, before[n]) for n, p in run.model.encoder.state_dict().items())
    assert not any(torch.equal(p, heads[n]) for n, p in run.model.heads.state_dict().items())


@pytest.mark.parametrize("aggregation", ["none", "pcgrad"])
def test_frozen_layers_and_the_embeddings_stay_as_they_were(
    tmp_path: Path, aggregation: str
) -> None:
    values = {"aggregation": aggregation, "max_steps": 4, "weight_decay": 0.5, "pooling": "mean"}
    config = tiny_config(tmp_path / "run", freeze_layers=1, **values)
    run = multitask.Multitask(config)
    before = {name: p.clone() for name, p in run.model.encoder.state_dict().items()}
    list(fit(lambda *_: run, config))
    after = run.model.encoder.state_dict()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert changed == {name for name in after if name.startswith("layers.1.")}


def test_frozen_layers_drop_nothing(tmp_path: Path) -> None:
    run = multitask.Multitask(tiny_config(tmp_path / "run", freeze_layers=1))
    run.train()
    lowest, highest = run.model.encoder.layers
    modules = [*run.model.encoder.embeddings.modules(), *lowest.modules()]
    assert not any(module.training for module in modules)
    assert highest.training
    assert run.model.heads.training


def test_more_frozen_layers_than_the_encoder_has_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="freeze_layers is 3, the encoder has 2 layers"):
        multitask.Multitask(tiny_config(tmp_path / "run", freeze_layers=3))
