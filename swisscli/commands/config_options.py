"""Makes command-line options from a run's configuration, one for each key with a text here."""

from collections.abc import Callable, Mapping
from inspect import Parameter, Signature, signature
from typing import Annotated, Any

import typer

from swiss_training.config import RunConfig
from swisscli.commands.flags import flag_of, with_flags

RUN_OPTIONS = {
    "encoder": "Hugging Face style directory, folder that swiss train or swiss pretrain wrote, name"
    " on the Hub, or packaged: the one that comes with swiss.",
    "max_length": "Longest input in tokens; 0: as long as the encoder takes.",
    "epochs": "Passes over the data.",
    "max_steps": "Optimizer steps; 0: by `epochs`.",
    "batch_size": "Sequences per batch.",
    "gradient_accumulation_steps": "Batches whose gradients are combined in an optimizer step.",
    "learning_rate": "Peak learning rate.",
    "schedule": "After the warm-up, linear: the learning rate falls to 0; constant: it stays.",
    "warmup_ratio": "Share of the steps over which the learning rate rises.",
    "weight_decay": "AdamW's weight decay.",
    "max_grad_norm": "Gradient clipping; 0: none.",
    "precision": "fp32, bf16 (autocast) or auto.",
    "device": "auto, cpu, cuda or cuda:N.",
    "seed": "Seed of initialization, data order, dropout and masks.",
    "eval_every": "Steps between evaluations on the dev data; 0: after each epoch.",
    "save_every": "Steps between checkpoints.",
    "save_minutes": "Most minutes between checkpoints; 0: by steps only. The first comes within a"
    " minute.",
    "log_every": "Steps between log lines.",
    "patience": "Stop after this many evaluations without improvement; 0: never.",
}
"""Help texts of the options that every kind of run has."""


def with_options(
    config: type[RunConfig], texts: Mapping[str, str]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Replace a command's `**options` by an option for each key of a configuration.

    The value of an absent option is None, so that a recipe can set its key.

    Args:
        config: The configuration, which has the type and default of each key.
        texts: Help text of each key.
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
        about = with_flags(texts[key])
        option = typer.Option(flag, help=about, show_default=shown or False, metavar=metavar)
        annotation = Annotated[kind | None, option]  # type: ignore[valid-type]
        return Parameter(key, Parameter.KEYWORD_ONLY, default=None, annotation=annotation)

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = [p for p in signature(command).parameters.values() if p.kind != Parameter.VAR_KEYWORD]
        parameters = [*own, *map(parameter, texts)]
        command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        return command

    return decorate


def given_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that the user set, by key."""
    return {key: value for key, value in options.items() if value is not None}
