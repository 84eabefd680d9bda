"""Parameters as command-line flags.

A library names a parameter as a Python caller passes it, between backticks: `device` or
`device=cpu`. The program shows the flag that a person types: `--device`, `--device cpu`.
"""

import re

_PARAMETER = re.compile(r"`([a-z][a-z_]*)(?:=([^`]+))?`")
_OWN_NAMES = {
    "awl_learning_rate": "--awl-lr",
    "dev_files": "--dev",
    "output_format": "--format",
    "train_files": "--train",
}


def flag_of(parameter: str) -> str:
    """The flag of a parameter."""
    return _OWN_NAMES.get(parameter, f"--{parameter.replace('_', '-')}")


def with_flags(text: str) -> str:
    """A message with every parameter between backticks as its flag."""
    return _PARAMETER.sub(lambda match: _format_flag(match[1], match[2]), text)


def _format_flag(parameter: str, value: str | None) -> str:
    name = flag_of(parameter)
    if value == "False":
        return name.replace("--", "--no-", 1)
    return name if value in (None, "True") else f"{name} {value}"
