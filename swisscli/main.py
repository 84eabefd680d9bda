"""The `swiss` program: its commands, loaded when they are run, and the one error handler."""

import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from swisscli import __version__, console, process
from swisscli.commands import COMMANDS
from swisscli.commands.flags import with_flags
from swisscli.completion.scripts import Shell, install, running_shell
from swisscli.console import Color
from swisscli.core.errors import DataError, SwissError
from swisscli.core.io.sink import FULL, FULL_HINT

_SHARED = ("color", "debug")
"""Options that may come before a command or after it."""
# The base of typer's usage errors, under whichever package name typer keeps it.
_UsageError: Any = typer.BadParameter.__base__


class _Command(TyperCommand):
    """Shows the options in groups, as their help panels say, and refuses empty paths."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Parse the arguments; an empty path would be the folder here."""
        words = [word.partition("=")[2] if "=" in word else word for word in args]
        rest = super().parse_args(ctx, args)
        if "" in words and not any(word and Path(word) == Path() for word in words):
            empty: Any = [p for p in self.params if ctx.params.get(p.name or "") == Path()]
            for param in empty:
                raise typer.BadParameter("the path is empty", ctx, param)
        return rest

    def format_options(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        groups: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                is_argument = param.param_type_name == "argument"
                panel = getattr(param, "rich_help_panel", None)
                name = "Arguments" if is_argument else panel or "Options"
                groups.setdefault(name, []).append(record)
        if "Options" in groups:  # those of no group come last
            groups["Options"] = groups.pop("Options")
        for name, records in groups.items():
            with formatter.section(name):
                formatter.write_dl(records)


class _Group(TyperGroup):
    """Imports a command's module when the command is run or its help is asked for."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"swisscli.commands.{cmd_name}")
        single = typer.Typer(add_completion=False, rich_markup_mode=None)
        single.command(cmd_name, cls=_Command)(getattr(module, cmd_name))
        command = typer.main.get_command(single)
        command.params += [param for param in self.params if param.name in _SHARED]
        return command

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Parse the options before the command; `--install-completion` may lack its value."""
        flag = "--install-completion"
        if flag in args and all(word.startswith("-") for word in args[args.index(flag) + 1 :][:1]):
            args = [word for word in args if word != flag]
            if "--help" not in args:
                args += [flag, running_shell()]
        return super().parse_args(ctx, args)

    def main(self, args: Sequence[str] | None = None, **_: Any) -> NoReturn:  # type: ignore[override]
        """Run the program and exit with its status."""
        arguments = list(sys.argv[1:] if args is None else args)
        sys.exit(_run(self, arguments))


app = typer.Typer(
    cls=_Group, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"swiss {__version__}")
        raise typer.Exit


def _install_completion(shell: Shell | None) -> None:
    if shell is not None:
        console.status(f"new {shell} terminals complete swiss: wrote {install(shell)}")
        raise typer.Exit


def _choose_color(context: typer.Context, color: Color | None) -> None:
    if color is not None:
        console.choose_color(color)
        context.color = None if color is Color.AUTO else color is Color.ALWAYS  # for typer.echo


@app.callback(no_args_is_help=True)
def _define_options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
    install_completion: Annotated[
        Shell | None,
        typer.Option(
            callback=_install_completion,
            is_eager=True,
            expose_value=False,
            metavar="[bash|zsh|fish]",
            help="Complete commands, options, tasks, models and columns with Tab. Default: in the "
            "current shell.",
        ),
    ] = None,
    color: Annotated[
        Color | None,
        typer.Option(
            callback=_choose_color,
            is_eager=True,
            expose_value=False,
            help="When to colour tables and messages. Default: auto, on a terminal.",
        ),
    ] = None,
    debug: Annotated[
        bool,
        typer.Option("--debug", expose_value=False, help="Show the traceback of an error."),
    ] = False,
) -> None:
    """One BERT encoder, three answers: sentiment, paraphrase and similarity.

    \b
    swiss predict sentiment reviews.txt
    cat reviews.txt | swiss predict sentiment | sort
    swiss train --awl
    swiss export
    swiss evaluate
    swiss report -o report.html
    """  # noqa: D301


def _run(group: _Group, args: Sequence[str]) -> int:
    """Run a command line; every error ends here, as a message and an exit status."""
    try:
        status = _invoke(group, args)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except BrokenPipeError:
        return 0
    except KeyboardInterrupt:
        return process.INTERRUPTED
    except _UsageError as error:
        shown = StringIO()
        error.show(shown)
        for line in shown.getvalue().rstrip("\n").split("\n"):
            console.status(line)
        return int(error.exit_code)
    except Exception as error:
        if process.was_interrupted():  # while native code was loaded, which said something else
            return process.INTERRUPTED
        if "--debug" in args:
            for line in _format_traceback(error):
                console.status(line)
        return _report(error)
    finally:
        console.choose_color(Color.AUTO)  # for the next command line of this process


def _invoke(group: _Group, args: Sequence[str]) -> int:
    try:
        with group.make_context("swiss", list(args)) as context:
            group.invoke(context)
    except typer.Exit as stop:
        return stop.exit_code
    except typer.Abort:
        return process.INTERRUPTED
    return 0


def _format_traceback(error: BaseException) -> list[str]:
    """The lines of a traceback; a message is one line, whatever it holds."""
    earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    lines = _format_traceback(earlier) if earlier else []
    lines.append("Traceback (most recent call last):")
    for entry in traceback.format_tb(error.__traceback__):
        lines += entry.splitlines()
    return [*lines, f"{type(error).__qualname__}: {error}"]


def _report(error: Exception) -> int:
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        error = DataError(
            f"{where}{error.strerror or error}", hint=FULL_HINT if error.errno in FULL else None
        )
    if isinstance(error, SwissError):
        console.error(
            with_flags(error.summary),
            error.hint and with_flags(error.hint),
            map(with_flags, error.details),
        )
        return error.exit_code
    console.error(
        f"unexpected {type(error).__name__}: {error}",
        hint="this is a bug in swiss; run it again with --debug and report what it shows",
    )
    return 1


def main() -> NoReturn:
    """Run the `swiss` program as a process."""

    def program() -> int:
        group: Any = typer.main.get_command(app)
        return _run(group, sys.argv[1:])

    process.run(program)
