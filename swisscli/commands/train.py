"""`swiss train`: read options, train, show what happens."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swiss_training.config import TrainConfig
from swisscli.commands.extras import requires_extra
from swisscli.contract.methods import METHODS, MethodKind
from swisscli.contract.model_dir import METRICS, read_json
from swisscli.contract.tasks import resolve_task
from swisscli.errors import ConfigurationError

if TYPE_CHECKING:
    from swiss_training.loop import Event
    from swisscli.console import TrainingDisplay

DEFAULT = TrainConfig()


def _methods(kind: MethodKind) -> str:
    return "; ".join(
        f"{spec.name}: {spec.summary} ({spec.reference})" for spec in METHODS if spec.kind == kind
    )


def _option(name: str, text: str, key: str | None = None, **extra: Any) -> Any:
    """An option whose default is the configuration's, so that a recipe can set it as well."""
    shown = str(getattr(DEFAULT, key)) if key else False
    return typer.Option(name, help=text, show_default=shown, **extra)


def train(
    context: typer.Context,
    data: Annotated[
        str | None,
        _option("--data", "Folder with the files of the CS224N project.", "data"),
    ] = None,
    train_files: Annotated[
        list[str] | None,
        _option(
            "--train",
            "A training file in place of the task's file in --data; TASK+=FILE: besides it."
            " Repeat for several.",
            metavar="TASK=FILE",
        ),
    ] = None,
    dev_files: Annotated[
        list[str] | None,
        _option("--dev", "The same for dev files.", metavar="TASK=FILE"),
    ] = None,
    encoder: Annotated[
        str | None,
        _option(
            "--encoder",
            "Hugging Face style directory, folder that swiss train or swiss pretrain wrote, or"
            " name on the Hub.",
            "encoder",
        ),
    ] = None,
    tasks: Annotated[
        str | None,
        _option("--tasks", "The tasks to train; all without it.", metavar="TASK[,TASK]"),
    ] = None,
    output: Annotated[
        str | None,
        _option("--output", "Run folder; it becomes the model directory.", "output"),
    ] = None,
    config: Annotated[
        Path | None,
        _option("--config", "Recipe (TOML); options given besides it win."),
    ] = None,
    resume: Annotated[
        Path | None,
        _option(
            "--resume",
            "Go on with the run in this folder where its last checkpoint stands.",
            metavar="RUN",
        ),
    ] = None,
    awl: Annotated[
        bool,
        _option("--awl", "Automatic weighted loss; short for --weighting awl."),
    ] = False,
    awl_learning_rate: Annotated[
        float | None,
        _option(
            "--awl-lr",
            "Peak learning rate of the loss weighting's parameters.",
            "awl_learning_rate",
        ),
    ] = None,
    weighting: Annotated[
        str | None,
        _option("--weighting", f"Loss weighting. {_methods('weighting')}.", "weighting"),
    ] = None,
    sampler: Annotated[
        str | None,
        _option("--sampler", f"Task sampler. {_methods('sampler')}.", "sampler"),
    ] = None,
    pooling: Annotated[
        str | None,
        _option(
            "--pooling",
            "Pooled output. cls: first token through the pooler; mean: mean of the last hidden"
            " states, better for encoders made for sentence embeddings.",
            "pooling",
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        _option("--epochs", "Epochs, as the task sampler defines them.", "epochs"),
    ] = None,
    max_steps: Annotated[
        int | None,
        _option("--max-steps", "Optimizer steps; 0: by --epochs.", "max_steps"),
    ] = None,
    batch_size: Annotated[
        int | None,
        _option("--batch-size", "Examples per task and batch.", "batch_size"),
    ] = None,
    gradient_accumulation_steps: Annotated[
        int | None,
        _option(
            "--gradient-accumulation-steps",
            "Updates whose gradients are averaged in an optimizer step.",
            "gradient_accumulation_steps",
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        _option("--learning-rate", "Peak learning rate.", "learning_rate"),
    ] = None,
    warmup_ratio: Annotated[
        float | None,
        _option(
            "--warmup-ratio",
            "Share of the steps over which the learning rate rises; it then falls to 0.",
            "warmup_ratio",
        ),
    ] = None,
    weight_decay: Annotated[
        float | None,
        _option("--weight-decay", "AdamW's weight decay.", "weight_decay"),
    ] = None,
    max_grad_norm: Annotated[
        float | None,
        _option("--max-grad-norm", "Gradient clipping; 0: none.", "max_grad_norm"),
    ] = None,
    dropout: Annotated[
        float | None,
        _option("--dropout", "Dropout before the heads.", "dropout"),
    ] = None,
    max_length: Annotated[
        int | None,
        _option(
            "--max-length",
            "Longest input in tokens; 0: as long as the encoder takes.",
            "max_length",
        ),
    ] = None,
    precision: Annotated[
        str | None,
        _option("--precision", "fp32, bf16 (autocast) or auto.", "precision"),
    ] = None,
    device: Annotated[
        str | None,
        _option("--device", "auto, cpu, cuda or cuda:N.", "device"),
    ] = None,
    seed: Annotated[
        int | None,
        _option("--seed", "Of initialisation, data order and dropout.", "seed"),
    ] = None,
    eval_every: Annotated[
        int | None,
        _option(
            "--eval-every",
            "Steps between dev evaluations; 0: after each epoch.",
            "eval_every",
        ),
    ] = None,
    save_every: Annotated[
        int | None,
        _option("--save-every", "Steps between checkpoints.", "save_every"),
    ] = None,
    log_every: Annotated[
        int | None,
        _option("--log-every", "Steps between log lines.", "log_every"),
    ] = None,
    patience: Annotated[
        int | None,
        _option(
            "--patience",
            "Evaluations without a better overall score after which to stop; 0: never.",
            "patience",
        ),
    ] = None,
) -> None:
    """Train one encoder and a head per task together.

    Writes a run folder: the model directory of the best state on the dev sets, the checkpoint of
    the last, and log.jsonl. Then: swiss export RUN.

    \b
    swiss train --data data/cs224n --awl
    swiss train --encoder encoders/minilm --pooling mean --train sst+=phrases.tsv
    swiss train --resume runs/swiss

    Exit status: 0 all well; 2 wrong usage or configuration; 3 unreadable data; 4 no usable
    encoder or checkpoint; 5 the extra is not installed; 6 the device is not there.
    """  # noqa: D301
    given = {
        name: value
        for name, value in context.params.items()
        if value is not None and name in TrainConfig.__dataclass_fields__
    }
    if tasks is not None:
        given["tasks"] = [resolve_task(name.strip()).name for name in tasks.split(",")]
    for split, specs in (("train", train_files), ("dev", dev_files)):
        given.pop(f"{split}_files", None)
        own, extra = parse_files(f"--{split}", specs or [])
        tables = {f"{split}_files": own, f"extra_{split}_files": extra}
        given |= {name: files for name, files in tables.items() if files}
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


def parse_files(option: str, specs: list[str]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
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
    """Train a new run, or resume the one in a folder, and show its events.

    The dev metrics of the best state go to standard output, the rest to standard error.
    """
    with requires_extra("train"):
        from swiss_training import log, loop
    from swisscli.console import TrainingDisplay

    folder = what if isinstance(what, Path) else Path(what.output)
    with TrainingDisplay() as display:
        display.line("reading data and encoder")
        events = loop.resume(what) if isinstance(what, Path) else loop.fit(what)
        saved = 0
        try:
            for event in log.logged(folder, events):
                show(event, display)
                if isinstance(event, loop.Started | loop.Saved):
                    saved = event.step
        except KeyboardInterrupt:
            display.line(f"interrupted; swiss train --resume {folder} goes on from step {saved}")
            raise
    best = read_json(folder / METRICS)["train"]
    overall = best["dev"].pop("overall")
    for task, score in best["dev"].items():
        typer.echo(f"{task}\t{score['metric']}\t{score['value']:.4f}\t{score['rows']}")
    typer.echo(f"overall\tmean\t{overall:.4f}")
    display.line(f"the best state, of step {best['step']}, is in {folder}")
    display.line(f"next: swiss export {folder}")


def show(event: "Event", display: "TrainingDisplay") -> None:
    """Show an event."""
    from swiss_training import loop

    match event:
        case loop.Started():
            rows = ", ".join(f"{task} {count:,}" for task, count in event.train_rows.items())
            display.line(
                f"training rows: {rows}; {event.num_steps:,} steps on {event.device}"
                f" in {event.precision}"
            )
            for note in event.notes:
                display.line(note)
            display.start(event.num_steps, event.step)
        case loop.StepsDone():
            display.steps(**vars(event))
        case loop.Evaluated():
            scores = {task: score.value for task, score in event.evaluation.scores.items()}
            display.evaluation(event.step, scores, event.evaluation.overall, best=event.best)
        case loop.Finished(stopped_early=True):
            display.line(f"stopped early at step {event.step}")
