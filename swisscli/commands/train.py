"""`swiss train`: read options, train, show what happens."""

from pathlib import Path
from typing import Annotated, Any

import typer
from swiss_training.config import TrainConfig

from swisscli.contract.methods import METHODS, MethodKind
from swisscli.contract.tasks import resolve_task
from swisscli.errors import ConfigurationError

DEFAULT = TrainConfig()

DATA = "Data and encoder"
METHOD = "Multitask methods"
OPTIMISATION = "Optimisation"
CONTROL = "Evaluation and checkpoints"


def _methods(kind: MethodKind) -> str:
    return "; ".join(f"{spec.name}: {spec.summary}" for spec in METHODS if spec.kind == kind)


def _option(name: str, panel: str, text: str, key: str | None = None, **extra: Any) -> Any:
    """An option whose default is the configuration's, so that a recipe can set it as well."""
    shown = str(getattr(DEFAULT, key)) if key else False
    return typer.Option(name, help=text, rich_help_panel=panel, show_default=shown, **extra)


def train(
    data: Annotated[
        str | None,
        _option("--data", DATA, "Folder with the files of the CS224N project.", "data"),
    ] = None,
    train_files: Annotated[
        list[str] | None,
        _option(
            "--train",
            DATA,
            "A training file in place of the task's file in --data; TASK+=FILE: besides it."
            " Repeat for several.",
            metavar="TASK=FILE",
        ),
    ] = None,
    dev_files: Annotated[
        list[str] | None,
        _option("--dev", DATA, "The same for dev files.", metavar="TASK=FILE"),
    ] = None,
    encoder: Annotated[
        str | None,
        _option(
            "--encoder", DATA, "Hugging Face style directory, or name on the Hub.", "encoder"
        ),
    ] = None,
    output: Annotated[
        str | None,
        _option("--output", DATA, "Run folder; it becomes the model directory.", "output"),
    ] = None,
    config: Annotated[
        Path | None,
        _option("--config", DATA, "Recipe (TOML); options given besides it win."),
    ] = None,
    resume: Annotated[
        Path | None,
        _option(
            "--resume",
            DATA,
            "Go on with the run in this folder where its last checkpoint stands.",
            metavar="RUN",
        ),
    ] = None,
    awl: Annotated[
        bool,
        _option("--awl", METHOD, "Automatic weighted loss; short for --weighting awl."),
    ] = False,
    awl_learning_rate: Annotated[
        float | None,
        _option(
            "--awl-lr",
            METHOD,
            "Peak learning rate of the loss weighting's parameters.",
            "awl_learning_rate",
        ),
    ] = None,
    weighting: Annotated[
        str | None,
        _option(
            "--weighting", METHOD, f"Loss weighting. {_methods('weighting')}.", "weighting"
        ),
    ] = None,
    sampler: Annotated[
        str | None,
        _option("--sampler", METHOD, f"Task sampler. {_methods('sampler')}.", "sampler"),
    ] = None,
    pooling: Annotated[
        str | None,
        _option(
            "--pooling",
            METHOD,
            "Pooled output. cls: first token through the pooler; mean: mean of the last hidden"
            " states, better for encoders made for sentence embeddings.",
            "pooling",
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        _option(
            "--epochs", OPTIMISATION, "Epochs, as the task sampler defines them.", "epochs"
        ),
    ] = None,
    max_steps: Annotated[
        int | None,
        _option("--max-steps", OPTIMISATION, "Optimizer steps; 0: by --epochs.", "max_steps"),
    ] = None,
    batch_size: Annotated[
        int | None,
        _option("--batch-size", OPTIMISATION, "Examples per task and batch.", "batch_size"),
    ] = None,
    gradient_accumulation_steps: Annotated[
        int | None,
        _option(
            "--gradient-accumulation-steps",
            OPTIMISATION,
            "Updates whose gradients are averaged in an optimizer step.",
            "gradient_accumulation_steps",
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        _option("--learning-rate", OPTIMISATION, "Peak learning rate.", "learning_rate"),
    ] = None,
    warmup_ratio: Annotated[
        float | None,
        _option(
            "--warmup-ratio",
            OPTIMISATION,
            "Share of the steps over which the learning rate rises; it then falls to 0.",
            "warmup_ratio",
        ),
    ] = None,
    weight_decay: Annotated[
        float | None,
        _option("--weight-decay", OPTIMISATION, "AdamW's weight decay.", "weight_decay"),
    ] = None,
    max_grad_norm: Annotated[
        float | None,
        _option(
            "--max-grad-norm", OPTIMISATION, "Gradient clipping; 0: none.", "max_grad_norm"
        ),
    ] = None,
    dropout: Annotated[
        float | None,
        _option("--dropout", OPTIMISATION, "Dropout before the heads.", "dropout"),
    ] = None,
    max_length: Annotated[
        int | None,
        _option(
            "--max-length",
            OPTIMISATION,
            "Longest input in tokens; 0: as long as the encoder takes.",
            "max_length",
        ),
    ] = None,
    precision: Annotated[
        str | None,
        _option("--precision", OPTIMISATION, "fp32, bf16 (autocast) or auto.", "precision"),
    ] = None,
    device: Annotated[
        str | None,
        _option("--device", OPTIMISATION, "auto, cpu, cuda or cuda:N.", "device"),
    ] = None,
    seed: Annotated[
        int | None,
        _option(
            "--seed", OPTIMISATION, "Of initialisation, data order and dropout.", "seed"
        ),
    ] = None,
    eval_every: Annotated[
        int | None,
        _option(
            "--eval-every",
            CONTROL,
            "Steps between dev evaluations; 0: after each epoch.",
            "eval_every",
        ),
    ] = None,
    save_every: Annotated[
        int | None,
        _option("--save-every", CONTROL, "Steps between checkpoints.", "save_every"),
    ] = None,
    log_every: Annotated[
        int | None,
        _option("--log-every", CONTROL, "Steps between log lines.", "log_every"),
    ] = None,
    patience: Annotated[
        int | None,
        _option(
            "--patience",
            CONTROL,
            "Evaluations without a better overall score after which to stop; 0: never.",
            "patience",
        ),
    ] = None,
) -> None:
    """Train one encoder and a head per task together.

    Writes a run folder: the model directory of the best state on the dev sets, the checkpoint of
    the last, and log.jsonl. Then: swiss export RUN.

    Examples:

        swiss train --data data/cs224n --awl

        swiss train --encoder encoders/minilm --pooling mean --train sst+=phrases.tsv

        swiss train --resume runs/swiss
    """
    given = {
        name: value
        for name, value in locals().items()
        if value not in (None, False) and name in TrainConfig.__dataclass_fields__
    }
    for split, specs in (("train", train_files), ("dev", dev_files)):
        given.pop(f"{split}_files", None)
        own, extra = parse_files(f"--{split}", specs or [])
        given |= {key: files for key, files in _named(split, own, extra) if files}
    if awl:
        if weighting not in (None, "awl"):
            raise ConfigurationError(
                f"--awl and --weighting {weighting} contradict each other", hint="give one of them"
            )
        given["weighting"] = "awl"
    if resume:
        if given or config:
            options = ", ".join(sorted([*given, *(["config"] if config else [])]))
            raise ConfigurationError(
                f"--resume goes on with the run's own configuration, but {options} was given",
                hint=f"type: swiss train --resume {resume}",
            )
        run(resume)
    else:
        run(TrainConfig.read(config, **given) if config else TrainConfig(**given))


def _named(split: str, own: Any, extra: Any) -> list[tuple[str, dict[str, list[str]]]]:
    return [(f"{split}_files", own), (f"extra_{split}_files", extra)]


def parse_files(
    option: str, specs: list[str]
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Read `TASK=FILE` and `TASK+=FILE`.

    Args:
        option: The option's name, for errors.
        specs: What was given to it.

    Returns:
        Files by task that replace the task's own, and files that add to them.

    Raises:
        ConfigurationError: if one has another form or names no task.
    """
    own: dict[str, list[str]] = {}
    extra: dict[str, list[str]] = {}
    for spec in specs:
        name, separator, file = spec.partition("=")
        if not (separator and file):
            raise ConfigurationError(
                f"{option} {spec!r} is not TASK=FILE", hint=f"type for example: {option} sst=my.tsv"
            )
        files = extra if name.endswith("+") else own
        files.setdefault(resolve_task(name.removesuffix("+")).name, []).append(file)
    return own, extra


def run(what: TrainConfig | Path) -> None:
    """Train a new run, or resume the one in a folder, and show its events."""
    from swiss_training import log, loop

    from swisscli.console import TrainingDisplay

    folder = what if isinstance(what, Path) else Path(what.output)
    events = loop.resume(what) if isinstance(what, Path) else loop.fit(what)
    with TrainingDisplay(folder) as display:
        for event in log.logged(folder, events):
            display.show(event)
