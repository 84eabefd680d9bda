"""Makes command-line options from a run's configuration, one for each key with a text here."""

from collections.abc import Callable, Mapping
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any

import typer

from swiss_training.config import RunConfig
from swisscli.commands.flags import flag_of, with_flags
from swisscli.core.errors import ConfigurationError

RUN_OPTIONS = {
    "encoder": "Hugging Face style directory, folder that swiss train or swiss pretrain wrote, name"
    " on the Hub, or packaged: the one that comes with swiss.",
    "max_length": "Maximum input length in tokens; 0: the encoder's maximum.",
    "epochs": "Passes over the data.",
    "max_steps": "Total number of optimizer steps; 0: by `epochs`.",
    "batch_size": "Sequences per batch.",
    "gradient_accumulation_steps": "Batches whose gradients are combined in an optimizer step.",
    "learning_rate": "Peak learning rate.",
    "schedule": "Learning rate after the warm-up: linear falls to 0, constant stays.",
    "warmup_ratio": "Fraction of the steps during which the learning rate rises.",
    "weight_decay": "AdamW's weight decay.",
    "max_grad_norm": "Norm that gradients are clipped to; 0: no clipping.",
    "precision": "Precision of training: fp32, bf16 (autocast) or auto.",
    "device": "Device that trains: auto, cpu, cuda or cuda:N.",
    "seed": "Seed of initialization, data order, dropout and masks.",
    "eval_every": "Steps between evaluations on the dev data; 0: after each epoch.",
    "save_every": "Steps between checkpoints.",
    "save_minutes": "Maximum number of minutes between checkpoints; 0: by steps only. The first"
    " comes within a minute.",
    "log_every": "Steps between log lines.",
    "patience": "Stop after this many evaluations without improvement; 0: never.",
    "track": "Also show the curves in tensorboard, mlflow or wandb (swissbert[track]), or none.",
}
"""Help texts of the options that every kind of run has."""


PANELS = ("Search", "Common options", "Data", "Model", "Methods", "Optimization", "Run")
"""The groups of options in `--help`, in their order."""
SEARCH, COMMON, DATA, MODEL, METHOD, OPTIMIZATION, RUN = PANELS
RUN_PANELS = {
    **dict.fromkeys(("encoder", "output", "epochs", "batch_size", "learning_rate"), COMMON),
    "max_length": MODEL,
    **dict.fromkeys(("max_steps", "gradient_accumulation_steps", "schedule"), OPTIMIZATION),
    **dict.fromkeys(("warmup_ratio", "weight_decay", "max_grad_norm", "patience"), OPTIMIZATION),
    **dict.fromkeys(("precision", "device", "seed", "eval_every", "save_every"), RUN),
    **dict.fromkeys(("save_minutes", "log_every", "track"), RUN),
}
"""The group of each option that every kind of run has."""

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        help="Recipe (TOML). Options on the command line override it.", rich_help_panel=COMMON
    ),
]
ResumeOption = Annotated[
    Path | None,
    typer.Option(
        help="Resume the run in this folder from its last checkpoint, or from the checkpoint"
        " named.",
        metavar="RUN",
        rich_help_panel=COMMON,
    ),
]


def with_options(
    config: type[RunConfig], texts: Mapping[str, str], panels: Mapping[str, str]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Replace a command's `**options` by an option for each key of a configuration.

    The value of an absent option is None, so that a recipe can set its key.

    Args:
        config: The configuration, which has the type and default of each key.
        texts: Help text of each key.
        panels: Group of each key in `--help`.
    """
    defaults = config.defaults()

    def parameter(key: str) -> Parameter:
        default = defaults[key]
        kind, flag, shown, metavar = type(default), flag_of(key), str(default), None
        if isinstance(default, bool):
            off = flag.replace("--", "--no-")
            flag, shown = f"{flag}/{off}", (flag if default else off).removeprefix("--")
        elif isinstance(default, dict):
            kind, shown, metavar = str, "", "TASK=N[,...]"
        short = ("-o",) if key == "output" else ()
        about = with_flags(texts[key]) + (f"  [default: {shown}]" if shown else "")
        option = typer.Option(
            flag,
            *short,
            help=about,
            show_default=False,
            metavar=metavar,
            rich_help_panel=panels[key],
        )
        annotation = Annotated[kind | None, option]  # type: ignore[valid-type]
        return Parameter(key, Parameter.KEYWORD_ONLY, default=None, annotation=annotation)

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = [
            p.replace(kind=Parameter.KEYWORD_ONLY)
            for p in signature(command).parameters.values()
            if p.kind != Parameter.VAR_KEYWORD
        ]
        parameters = sorted([*own, *map(parameter, texts)], key=_help_position)
        command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        return command

    return decorate


def _help_position(parameter: Parameter) -> int:
    """Where a parameter comes in `--help`: arguments first, then the groups in their order."""
    info = next(iter(getattr(parameter.annotation, "__metadata__", ())), None)
    panel = getattr(info, "rich_help_panel", None)
    return 1 + PANELS.index(panel) if panel else 0


def check_resume(
    command: str, resume: Path | None, given: Mapping[str, Any], recipe: Path | None
) -> None:
    """Check that nothing is given that a resumed run has in its own configuration.

    Args:
        command: The command, such as `swiss train`.
        resume: What to resume; None for a new run.
        given: The options that the user set, by key.
        recipe: The recipe that the user named.

    Raises:
        ConfigurationError: if something is given.
    """
    if resume and (given or recipe):
        names = ", ".join(sorted([*given, *(["config"] if recipe else [])]))
        raise ConfigurationError(
            f"--resume takes the run's own configuration, but {names} was given",
            hint=f"type: {command} --resume {resume}",
        )


def given_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that the user set, by key."""
    return {key: value for key, value in options.items() if value is not None}
