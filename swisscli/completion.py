"""What a shell offers at Tab: commands, options, tasks, models and columns.

`swiss --install-completion` writes a script into the shell's configuration, Typer's own, which
calls the program with `_SWISS_COMPLETE` set. It is answered here, before the program itself is
loaded: an answer has to come in less than 0.2 s.
"""

import os
import shlex
import sys
from collections.abc import Sequence
from importlib import import_module
from inspect import signature
from itertools import islice
from pathlib import Path

from swisscli.commands import COMMANDS

_COLUMN_OPTIONS = ("--columns", "--by")
_TASK_COMMANDS = ("predict", "summarize")
_EVERYWHERE = ("--color", "--debug", "--help")
_MAX_FOLDERS = 1000
_ESCAPED = {"'": "''", '"': '""', "$": r"\$", "`": r"\`", ":": r"\\:"}


def answer(instruction: str) -> int:
    """Answer a shell on standard output.

    Args:
        instruction: `complete_bash`, `complete_zsh` or `complete_fish`, as the variable has it.

    Returns:
        The exit status.
    """
    shell = instruction.partition("_")[2]
    words, last = _typed(shell)
    found = candidates(words, last)
    if shell == "fish" and os.environ.get("_TYPER_COMPLETE_FISH_ACTION") == "is-args":
        return 0 if found else 1
    if shell == "zsh":
        quoted = "\n".join(f'"{_escaped(name)}"' for name in found)
        sys.stdout.write(f"_arguments '*: :(({quoted}))'\n" if found else "_files\n")
    else:
        sys.stdout.write("".join(f"{name}\n" for name in found))
    return 0


def _typed(shell: str) -> tuple[list[str], str]:
    """The words after the program's name, and the one that is not finished."""
    if shell == "bash":
        words = _split(os.environ.get("COMP_WORDS", ""))
        number = int(os.environ.get("COMP_CWORD", "0"))
        return words[1:number], words[number] if number < len(words) else ""
    line = os.environ.get("_TYPER_COMPLETE_ARGS", "")
    words = _split(line)[1:]
    if line.endswith(" ") or not words:
        return words, ""
    return words[:-1], words[-1]


def _split(line: str) -> list[str]:
    for closing in ("", '"', "'"):  # a quote may not be closed yet
        try:
            return shlex.split(line + closing)
        except ValueError:
            continue
    return line.split()


def _escaped(name: str) -> str:
    """A name as Typer's script for zsh evaluates it."""
    return "".join(_ESCAPED.get(character, character) for character in name)


def candidates(words: Sequence[str], last: str) -> list[str]:
    """What the unfinished word may become; empty where a file is due.

    Args:
        words: The words before it, without the program's name.
        last: What there is of it.
    """
    command = next((word for word in words if word in COMMANDS), None)
    if command is None:
        if last.startswith("-"):
            return _starting(
                [*_EVERYWHERE, "--version", "--install-completion", "--show-completion"], last
            )
        return _starting(COMMANDS, last)
    if words[-1] in _COLUMN_OPTIONS:
        return _columns(words, last)
    if words[-1] == "--model":
        return _models(last)
    if last.startswith("-"):
        return _starting([*_options(command), *_EVERYWHERE], last)
    if command in _TASK_COMMANDS and words[-1] == command:
        return _tasks(last)
    return []


def _starting(names: Sequence[str] | dict[str, str], beginning: str) -> list[str]:
    return [name for name in names if name.startswith(beginning)]


def _options(command: str) -> list[str]:
    function = getattr(import_module(f"swisscli.commands.{command}"), command)
    names = []
    for name, parameter in signature(function).parameters.items():
        for option in getattr(parameter.annotation, "__metadata__", ()):
            if type(option).__name__ == "OptionInfo":
                # Typer takes the first flag for a default until it builds the command.
                declared = [option.default, *(option.param_decls or ())]
                words = " ".join(map(str, declared)).replace("/", " ").split()
                names += [word for word in words if word.startswith("--")] or [
                    f"--{name.replace('_', '-')}"
                ]
    return names


def _tasks(last: str) -> list[str]:
    """Tasks; after a comma those that can be asked of the same input."""
    from swisscli.core.tasks import TASKS, task_names

    *chosen, beginning = last.split(",")
    if not chosen:
        return _starting(task_names(), beginning)
    arities = {task.arity for task in TASKS.values() if {task.name, *task.aliases} & set(chosen)}
    others = [
        task.name
        for task in TASKS.values()
        if {task.arity} == arities and not {task.name, *task.aliases} & set(chosen)
    ]
    return [",".join([*chosen, name]) for name in _starting(others, beginning)]


def _models(last: str) -> list[str]:
    """Model directories where the word leads to, and in `runs`; folders on the way to one."""
    folder = Path(last).parent if last and not last.endswith("/") else Path(last or ".")
    folders = [folder] if last else [folder, Path("runs")]
    inside = [path for each in folders for path in _subfolders(each)]
    models = [str(path) for path in inside if (path / "config.json").exists()]
    found = models or [f"{path}/" for path in inside]
    return _starting(sorted(set(found)), last)


def _subfolders(folder: Path) -> list[Path]:
    try:
        return [path for path in islice(folder.iterdir(), _MAX_FOLDERS) if path.is_dir()]
    except OSError:
        return []


def _columns(words: Sequence[str], last: str) -> list[str]:
    """The columns of the first table among the words; after a comma the others."""
    *chosen, beginning = last.split(",")
    names = next((found for word in words if (found := _columns_of(word))), ())
    rest = [name for name in names if name not in chosen]
    return [",".join([*chosen, name]) for name in _starting(rest, beginning)]


def _columns_of(path: str) -> tuple[str, ...]:
    from swisscli.core.columns import InputColumns
    from swisscli.core.errors import SwissError
    from swisscli.core.io.formats import ColumnChoice, InputFormat, format_of
    from swisscli.core.io.tables import read_table

    try:
        layout = format_of(path)
        # Parquet is left out: to load its library takes too long.
        if layout in (None, InputFormat.TXT, InputFormat.PARQUET) or not Path(path).is_file():
            return ()
        # Whatever the columns are called: the first of them is there to be read.
        choice = ColumnChoice(has_header=layout.is_delimited or None, chosen=("1",))
        with Path(path).open("rb") as stream:
            table = read_table(stream, path, layout, InputColumns("columns", (("",),)), choice)
            return table.heading.names
    except (SwissError, OSError, ValueError):
        return ()
