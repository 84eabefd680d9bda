"""`swiss train`: read options, train, show what happens."""

from collections.abc import Callable, Iterable, Iterator
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any

import typer

from swiss_training.multitask.config import TrainConfig
from swisscli.commands.extras import requires_extra
from swisscli.commands.flags import flag_of, with_flags
from swisscli.commands.options import parse_files
from swisscli.core.errors import ConfigurationError, Problems
from swisscli.core.methods import HEADS, METHODS, HeadSpec, MethodSpec, method_options, methods_of
from swisscli.core.model.directory import METRICS
from swisscli.core.tasks import DEFAULT_TASKS, TASKS, resolve_task, task_names

DEFAULT = TrainConfig()


def _listed(specs: Iterable[MethodSpec | HeadSpec]) -> str:
    return "; ".join(f"{spec.name}: {spec.summary} ({spec.reference})" for spec in specs)


def _help_of_methods() -> Iterator[tuple[str, str]]:
    """The options that the methods declare; a regularizer's first one introduces it."""
    for spec in METHODS:
        for option in spec.options:
            introduces = spec.kind == "regularizer" and option is spec.options[0]
            about = f"{spec.summary[0].upper()}{spec.summary[1:]} ({spec.reference}): "
            yield option.key, f"{about}{option.help}" if introduces else option.help


_OPTIONS = {
    "data": "Folder with the files of the CS224N project.",
    "encoder": "Hugging Face style directory, folder that swiss train or swiss pretrain wrote, or"
    " name on the Hub.",
    "output": "Run folder; it becomes the model directory.",
    "pooling": "Pooled output. cls: first token through the pooler; mean: mean of the last hidden"
    " states, better for encoders made for sentence embeddings.",
    "pair_encoding": "Whether two texts are one sequence, so that each word sees both; else they"
    " are encoded separately.",
    "heads": f"Heads. {_listed(HEADS)}.",
    "freeze_encoder": 'Train the heads alone (the paper\'s "pretrain").',
    "weighting": f"Loss weighting. {_listed(methods_of('weighting'))}.",
    "awl_learning_rate": "Peak learning rate of the loss weighting's parameters.",
    "aggregation": f"Gradient aggregation. {_listed(methods_of('aggregation'))}.",
    "sampler": f"Task sampler. {_listed(methods_of('sampler'))}.",
    "teacher": "Run folder of a trained model to distil from.",
    **dict(_help_of_methods()),
    "ema_decay": "Evaluate and keep an exponential moving average of the weights (Polyak and"
    " Juditsky 1992; Tarvainen and Valpola 2017 (arXiv:1703.01780), eq. 2): the share that stays at"
    " each step; 0: off.",
    "layer_decay": "Layer-wise learning-rate decay (Howard and Ruder 2018 (arXiv:1801.06146),"
    " section 3.2): multiply the learning rate by this per layer downwards; 1: off.",
    "epochs": "Epochs, as the task sampler defines them.",
    "max_steps": "Optimizer steps; 0: by --epochs.",
    "batch_size": "Examples per task and batch.",
    "micro_batch_tokens": "Most tokens that a pass computes: a larger batch is cut into parts whose"
    " gradients add up; 0: no limit.",
    "gradient_accumulation_steps": "Updates whose gradients are averaged in an optimizer step.",
    "learning_rate": "Peak learning rate.",
    "schedule": "After the warm-up, linear: the learning rate falls to 0; constant: it stays.",
    "warmup_ratio": "Share of the steps over which the learning rate rises.",
    "weight_decay": "AdamW's weight decay.",
    "max_grad_norm": "Gradient clipping; 0: none.",
    "dropout": "Dropout before the heads.",
    "max_length": "Longest input in tokens; 0: as long as the encoder takes.",
    "precision": "fp32, bf16 (autocast) or auto.",
    "device": "auto, cpu, cuda or cuda:N.",
    "seed": "Of initialisation, data order and dropout.",
    "max_dev_rows": "Dev rows per task to evaluate, evenly spaced; 0: all.",
    "eval_every": "Steps between dev evaluations; 0: after each epoch.",
    "save_every": "Steps between checkpoints.",
    "log_every": "Steps between log lines.",
    "patience": "Evaluations without a better overall score after which to stop; 0: never.",
}
"""The options that set one configuration key each, and what they say of it."""
_TASK_NAMES = ", ".join(task_names())


def _parameter(key: str) -> Parameter:
    """An option whose default is the configuration's, so that a recipe can set it as well."""
    default = getattr(DEFAULT, key)
    kind, flag, shown, metavar = type(default), flag_of(key), str(default), None
    if isinstance(default, bool):
        off = flag.replace("--", "--no-")
        flag, shown = f"{flag}/{off}", (flag if default else off).removeprefix("--")
    elif isinstance(default, dict):
        kind, shown, metavar = str, "", "TASK=N[,...]"
    about = with_flags(_OPTIONS[key])
    option = typer.Option(flag, help=about, show_default=shown or False, metavar=metavar)
    annotation = Annotated[kind | None, option]  # type: ignore[valid-type]
    return Parameter(key, Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `_OPTIONS` in place of its `**options`."""
    own = [p for p in signature(command).parameters.values() if p.kind != Parameter.VAR_KEYWORD]
    parameters = [*own, *map(_parameter, _OPTIONS)]
    command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


@_with_options
def train(
    train_files: Annotated[
        list[str] | None,
        typer.Option(
            "--train",
            help="A training file in place of the task's file in --data; TASK+=FILE: besides it."
            " Repeat for several.",
            metavar="TASK=FILE",
        ),
    ] = None,
    dev_files: Annotated[
        list[str] | None,
        typer.Option("--dev", help="The same for dev files.", metavar="TASK=FILE"),
    ] = None,
    tasks: Annotated[
        str | None,
        typer.Option(
            help=f"The tasks to train, of: {', '.join(TASKS)}.",
            metavar="TASK[,TASK]",
            show_default=",".join(DEFAULT_TASKS),
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="Recipe (TOML); options given besides it win."),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            help="Go on with the run in this folder where its last checkpoint stands.",
            metavar="RUN",
        ),
    ] = None,
    awl: Annotated[
        bool,
        typer.Option("--awl", help="Automatic weighted loss; short for --weighting awl."),
    ] = False,
    **options: Any,
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
    given: dict[str, Any] = {key: value for key, value in options.items() if value is not None}
    problems = Problems()
    if tasks is not None:
        wanted = [name.strip() for name in tasks.split(",")]
        known = []
        for name in wanted:
            with problems.collected():
                known.append(resolve_task(name).name)
        if len(known) == len(wanted):
            given["tasks"] = known
    for split, specs in (("train", train_files), ("dev", dev_files)):
        with problems.collected():
            own, extra = parse_files(f"--{split}", specs or [])
            tables = {f"{split}_files": own, f"extra_{split}_files": extra}
            given |= {name: files for name, files in tables.items() if files}
    for option in method_options():
        if option.is_per_task and option.key in given:
            with problems.collected():
                text = given.pop(option.key)
                given[option.key] = parse_task_numbers(flag_of(option.key), text)
    if awl:
        weighting = given.setdefault("weighting", "awl")
        if weighting != "awl":
            problems.add(
                ConfigurationError(
                    f"--awl and --weighting {weighting} contradict each other",
                    hint="give one of them",
                )
            )
    if resume and (given or config):
        names = ", ".join(sorted([*given, *(["config"] if config else [])]))
        problems.add(
            ConfigurationError(
                f"--resume goes on with the run's own configuration, but {names} was given",
                hint=f"type: swiss train --resume {resume}",
            )
        )
    what: Path | TrainConfig | None = resume
    if not resume:
        with problems.collected():
            what = TrainConfig.read(config, **given) if config else TrainConfig(**given)
    problems.check()
    assert what is not None
    run(what)


def parse_task_numbers(option: str, text: str) -> dict[str, float]:
    """Read `TASK=N,TASK=N`.

    Args:
        option: The option's name, for errors.
        text: What was given to it.

    Raises:
        ConfigurationError: naming all parts that have another form, name no task or name one again.
    """
    numbers: dict[str, float] = {}
    problems = Problems()
    for part in text.split(","):
        name, _, number = part.partition("=")
        problem = ""
        try:
            task = resolve_task(name.strip()).name
            if task in numbers:
                problem = f" names {task} again"
            numbers[task] = float(number)
        except ConfigurationError as error:
            problem = f": {error.message}"
        except ValueError:
            problem = " is not TASK=N"
        if problem:
            problems.add(
                ConfigurationError(
                    f"{option} {part!r}{problem}",
                    hint=f"type for example: {option} sst=1,para=1.7,sts=1; tasks: {_TASK_NAMES}",
                )
            )
    problems.check()
    return numbers


def run(what: TrainConfig | Path) -> None:
    """Train a new run, or resume the one in a folder, and show its events.

    The dev metrics of the best state go to standard output, the rest to standard error.
    """
    with requires_extra("train"):
        from swiss_training import log, loop
        from swiss_training.events import Saved, Started
        from swiss_training.multitask.metrics import Metrics
    from swisscli.console.training import TrainingDisplay

    folder = what if isinstance(what, Path) else Path(what.output)
    with TrainingDisplay() as display:
        display.line("reading data and encoder")
        events = loop.resume(what) if isinstance(what, Path) else loop.fit(what)
        saved = 0
        try:
            for event in log.logged(folder, events):
                display.show(event)
                if isinstance(event, Started | Saved):
                    saved = event.step
        except KeyboardInterrupt:
            display.line(f"interrupted; swiss train --resume {folder} goes on from step {saved}")
            raise
    best = Metrics.read(folder / METRICS).train
    assert best is not None
    for task, score in best.dev.scores.items():
        typer.echo(f"{task}\t{score.metric}\t{score.value:.4f}\t{score.rows}")
    typer.echo(f"overall\tmean\t{best.dev.overall:.4f}")
    display.line(f"the best state, of step {best.step}, is in {folder}")
    display.line(f"next: swiss export {folder}")
