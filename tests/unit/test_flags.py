"""Libraries name parameters; only the program speaks of flags."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from swisscli.commands import COMMANDS
from swisscli.commands.flags import flag_of, with_flags
from swisscli.main import app
from tests.support.paths import ROOT

LIBRARIES = ("swisscli/core", "swisscli/inference", "training", "export", "evaluation")
PARAMETER = re.compile(r"`([a-z][a-z_]*)(?:=[^`]*)?`")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("use `device=cpu`", "use --device cpu"),
        ("`batch_tokens` is 0", "--batch-tokens is 0"),
        ("add `force=True`", "add --force"),
        ("leave out `has_header=False`", "leave out --no-has-header"),
        ("`dev_files=TASK=FILE`, `train_files`", "--dev TASK=FILE, --train"),
        ("a `Class` and `two words` stay", "a `Class` and `two words` stay"),
    ],
)
def test_a_parameter_is_shown_as_its_flag(text: str, shown: str) -> None:
    assert with_flags(text) == shown


def strings(path: Path) -> Iterator[tuple[int, str]]:
    """The string literals of a module, but for docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or id(node) in docstrings:
            continue
        if isinstance(node.value, str):
            yield node.lineno, node.value


def library_strings() -> Iterator[tuple[str, str]]:
    for library in LIBRARIES:
        for path in sorted((ROOT / library).rglob("*.py")):
            for line, text in strings(path):
                yield f"{path.relative_to(ROOT)}:{line}", text


OTHER_PROGRAMS = (
    "pip install",
    "gzip --test",
    "in Slurm with --array",
    "torchrun's --max-restarts",
)


def test_no_library_message_has_a_flag() -> None:
    flag = re.compile(r"(?<![\w-])--[a-z]")
    found = [
        f"{where}: {text!r}"
        for where, text in library_strings()
        # the flags of other programs
        if flag.search(text) and not any(name in text for name in OTHER_PROGRAMS)
    ]
    assert found == []


def test_every_parameter_of_a_library_message_is_an_option() -> None:
    group: Any = typer.main.get_command(app)
    context = typer.Context(group)
    options = {"--help"} | {
        name
        for command in COMMANDS
        for parameter in group.get_command(context, command).params
        for name in (*parameter.opts, *parameter.secondary_opts)
    }
    unknown = [
        f"{where}: {flag_of(match[1])}"
        for where, text in library_strings()
        for match in PARAMETER.finditer(text)
        if flag_of(match[1]) not in options
    ]
    assert unknown == []
