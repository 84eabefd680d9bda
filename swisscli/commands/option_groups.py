"""Option groups: a dataclass declares options once, for every command that takes them."""

from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any


def with_option_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Let parameters of a command be dataclasses, whose fields become options in their place.

    A field may be a dataclass too. Each field's type is `Annotated` with a Typer option, as that of
    any other parameter. A command's own `**options` stay as they are.
    """

    @wraps(command)
    def called_with_options(**options: Any) -> None:
        arguments = _take_arguments(command, options)
        command(**arguments, **options)

    parameters = [
        p if p.kind is Parameter.VAR_KEYWORD else p.replace(kind=Parameter.KEYWORD_ONLY)
        for p in _options(command)
    ]
    called_with_options.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    called_with_options.__annotations__ = {p.name: p.annotation for p in parameters}
    return called_with_options


def _options(target: Callable[..., Any]) -> Iterator[Parameter]:
    for parameter in signature(target).parameters.values():
        group = _group_of(parameter)
        if group:
            yield from _options(group)
        else:
            yield parameter


def _take_arguments(target: Callable[..., Any], options: dict[str, Any]) -> dict[str, Any]:
    """Take out of the options what a command or a group names."""
    arguments = {}
    for name, parameter in signature(target).parameters.items():
        if group := _group_of(parameter):
            arguments[name] = group(**_take_arguments(group, options))
        elif parameter.kind is not Parameter.VAR_KEYWORD:
            arguments[name] = options.pop(name)
    return arguments


def _group_of(parameter: Parameter) -> Callable[..., Any] | None:
    kind = parameter.annotation
    return kind if isinstance(kind, type) and is_dataclass(kind) else None
