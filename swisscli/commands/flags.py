"""Parameters as command-line flags.

A library names a parameter as a Python caller passes it, between backticks: `device` or
`device=cpu`. The program shows the flag that a person types: `--device`, `--device cpu`.
"""

import re
import shlex
from collections.abc import Collection
from typing import Any

_PARAMETER = re.compile(r"`([a-z][a-z_]*)(?:=([^`]+))?`")
_OWN_NAMES = {
    "awl_learning_rate": "--awl-lr",
    "dev_files": "--dev",
    "output_format": "--format",
    "train_files": "--train",
}


def flag_of(parameter: str) -> str:
    """Return the flag of a parameter."""
    return _OWN_NAMES.get(parameter, f"--{parameter.replace('_', '-')}")


def with_flags(text: str) -> str:
    """Return a message with every parameter in backticks replaced by its flag."""
    return _PARAMETER.sub(lambda match: _format_flag(match[1], match[2]), text)


def _format_flag(parameter: str, value: str | None) -> str:
    name = flag_of(parameter)
    if value == "False":
        return name.replace("--", "--no-", 1)
    return name if value in (None, "True") else f"{name} {value}"


def command_line(context: Any, leave_out: Collection[str] = ()) -> str:
    """Return the command line that was typed, to start the same command again.

    Args:
        context: The command's context.
        leave_out: Parameters to leave out.
    """
    words = ["swiss", context.info_name]
    for param in context.command.params:
        value = context.params.get(param.name)
        if value in (None, [], (), param.default) or param.name in leave_out:
            continue
        for single in value if isinstance(value, list | tuple) else [value]:
            if isinstance(single, bool):
                words.append((param.opts if single else param.secondary_opts)[0])
            elif param.param_type_name == "argument":
                words.append(str(single))
            else:
                words += [param.opts[0], str(single)]
    return shlex.join(words)
