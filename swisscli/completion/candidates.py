"""Candidates for the unfinished word of a command line."""

import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from enum import Enum, EnumType
from importlib import import_module
from inspect import signature
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from swisscli.commands import COMMANDS

_COLUMN_OPTIONS = ("--columns", "--by")
_TASK_COMMANDS = ("predict", "summarize")
_EVERYWHERE = ("--color", "--debug", "--help")
_GLOBAL = (*_EVERYWHERE, "--version", "--install-completion")
_MAX_FOLDERS = 1000
# Every character that is special to bash, between words.
_SPECIAL = re.compile(r"[^\w@%+=:,./\-]")


def answer(shell: str, typed: Sequence[str]) -> None:
    """Print the candidates, one per line.

    Args:
        shell: `bash`, `zsh` or `fish`.
        typed: The words after the program's name as typed, with quotes; the last is unfinished.
    """
    *words, last = typed or [""]
    if shell == "bash":  # --by=country comes as three words
        words = [word for word in words if word != "="]
        last = "" if last == "=" else last
    found = candidates(list(map(_unquoted, words)), _unquoted(last))
    if shell == "bash" and not last.startswith(("'", '"')):  # the others quote by themselves
        found = [_SPECIAL.sub(r"\\\g<0>", name) for name in found]
    sys.stdout.writelines(f"{name}\n" for name in found)


def _unquoted(word: str) -> str:
    for closing in ("", '"', "'"):  # a quote may not be closed yet
        try:
            return "".join(shlex.split(word + closing))
        except ValueError:
            continue
    return word


def candidates(words: Sequence[str], last: str) -> list[str]:
    """Find candidates for the unfinished word; empty where a file is expected.

    Args:
        words: The words before it, without the program's name.
        last: The unfinished word.
    """
    option, equals, value = last.partition("=")
    if equals and option.startswith("--"):
        return [f"{option}={found}" for found in candidates([*words, option], value)]
    command = next((word for word in words if word in COMMANDS), None)
    if command is None:
        return _starting(_GLOBAL if last.startswith("-") else COMMANDS, last)
    before = words[-1]
    if before in _COLUMN_OPTIONS:
        return _columns(words, last)
    if before == "--model":
        return _models(last)
    if before == "--search":
        from swiss_training.multitask.config import TrainConfig

        return _starting((f"{key}=" for key in TrainConfig.defaults()), last)
    if before == "--task":
        return _starting((task.name for task in _known_tasks(words) if task.arity == 2), last)
    if last.startswith("-"):
        return _starting([*_options(command), *_EVERYWHERE], last)
    if before.startswith("-"):
        kind = _options(command).get(before)
        if kind is not None and bool not in (kind, *get_args(kind)):
            return _starting(_choices(kind), last)
    asks_for_task = command in _TASK_COMMANDS and not _has_task(words)
    return _tasks(words, last) if asks_for_task else []


def _starting(names: Iterable[str], beginning: str) -> list[str]:
    return [name for name in names if name.startswith(beginning)]


def _options(command: str) -> dict[str, Any]:
    """The options of a command, long and short, and the type of each."""
    function = getattr(import_module(f"swisscli.commands.{command}"), command)
    options: dict[str, Any] = {}
    for name, parameter in signature(function).parameters.items():
        for option in getattr(parameter.annotation, "__metadata__", ()):
            if type(option).__name__ == "OptionInfo":
                # Typer takes the first flag for a default until it builds the command.
                declared = [option.default, *(option.param_decls or ())]
                flags = " ".join(map(str, declared)).replace("/", " ").split()
                if not _starting(flags, "--"):
                    flags.append(f"--{name.replace('_', '-')}")
                named = _starting(flags, "-")  # the others are defaults
                options |= dict.fromkeys(named, get_args(parameter.annotation)[0])
    return options


def _choices(kind: Any) -> list[str]:
    """The values of an option that has a list of them."""
    found: list[str] = []
    for part in (kind, *get_args(kind)):
        if isinstance(part, EnumType):
            members: Iterable[Enum] = part
            found += [str(member.value) for member in members]
        elif get_origin(part) is Literal:
            found += get_args(part)
    return found


def _known_tasks(words: Sequence[str]) -> Sequence[Any]:
    """The tasks of the model that is named before; the built-in ones if it cannot be read."""
    from swisscli.core.errors import SwissError
    from swisscli.core.model.directory import ModelDirectory, find_model
    from swisscli.core.tasks import TASKS

    named = next((model for option, model in pairwise(words) if option == "--model"), None)
    try:
        return ModelDirectory.open(find_model(named)).config.tasks
    except (SwissError, OSError):
        return tuple(TASKS.values())


def _has_task(words: Sequence[str]) -> bool:
    names = {name for task in _known_tasks(words) for name in (task.name, *task.aliases)}
    return any(names.issuperset(word.split(",")) for word in words)


def _tasks(words: Sequence[str], last: str) -> list[str]:
    """Tasks; after a comma those that can be asked of the same input."""
    known = _known_tasks(words)
    *chosen, beginning = last.split(",")
    if not chosen:
        return _starting((name for task in known for name in (task.name, *task.aliases)), last)
    asked = [task for task in known if {task.name, *task.aliases} & set(chosen)]
    arities = {task.arity for task in asked}
    others = [task.name for task in known if task not in asked and {task.arity} == arities]
    return [",".join([*chosen, name]) for name in _starting(others, beginning)]


def _models(last: str) -> list[str]:
    """Model directories in the folder that the word leads to; without one also those in `runs`."""
    folder = Path(last).parent if last and not last.endswith("/") else Path(last or ".")
    folders = [folder] if last else [folder, Path("runs")]
    inside = [path for each in folders for path in _subfolders(each)]
    models = {str(path) for path in inside if (path / "config.json").exists()}
    return _starting(sorted(models), last)


def _subfolders(folder: Path) -> list[Path]:
    try:
        return [path for path in islice(folder.iterdir(), _MAX_FOLDERS) if path.is_dir()]
    except OSError:
        return []


def _columns(words: Sequence[str], last: str) -> list[str]:
    """The columns of the first table among the words; after a comma the others."""
    *chosen, beginning = last.split(",")
    names = next((found for word in words if (found := _columns_of(word))), ())
    rest = [name for name in names if name not in chosen and "\n" not in name]
    return [",".join([*chosen, name]) for name in _starting(rest, beginning)]


def _columns_of(path: str) -> tuple[str, ...]:
    from swisscli.core.columns import InputColumns
    from swisscli.core.errors import SwissError
    from swisscli.core.io.formats import ColumnChoice, InputFormat, format_of
    from swisscli.core.io.tables import read_table

    try:
        layout = format_of(path)
        if layout in (None, InputFormat.TXT) or not Path(path).is_file():
            return ()
        # Whatever the columns are called, the first exists.
        choice = ColumnChoice(has_header=True if layout.is_delimited else None, chosen=("1",))
        with Path(path).open("rb") as stream:
            table = read_table(stream, path, layout, InputColumns("columns", (("",),)), choice)
            return table.heading.names
    except (SwissError, OSError, ValueError):
        return ()
