"""Writes the pages that are made from the code: `make docs-reference`. A test compares them.

They are the command reference, from `--help`; the methods, from the registry; and the drawing of
the packaged model's architecture, from its configuration.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from swiss_evaluation.report.architecture import architecture
from swisscli.commands import COMMANDS
from swisscli.core.methods import HEADS, METHODS
from swisscli.core.model.directory import ModelDirectory, default_model

DOCS = Path(__file__).parent


def pages() -> dict[str, str]:
    """The pages made from code: their text by their path below `docs/`."""
    return {
        "reference/commands.md": commands(),
        "methods.md": methods(),
        "model/architecture.svg": architecture(ModelDirectory.open(default_model()).config),
    }


def commands() -> str:
    """The help text of every command."""
    names = ["", *COMMANDS]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        helps = pool.map(help_text, names)
    parts = [
        "# Commands",
        "What `--help` prints, written by `make docs-reference`.",
        *(
            f"## swiss {name}\n\n```text\n{text}```" if name else f"```text\n{text}```"
            for name, text in zip(names, helps, strict=True)
        ),
    ]
    return "\n\n".join(parts) + "\n"


def help_text(command: str) -> str:
    """What `swiss COMMAND --help` prints on a terminal of 80 columns."""
    words = [sys.executable, "-m", "swisscli", *command.split(), "--help"]
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
    done = subprocess.run(words, capture_output=True, env=environment, check=True)
    return done.stdout.decode()


def methods() -> str:
    """The methods of multitask training, by kind."""
    titles = {
        "weighting": ("Loss weightings", "`--weighting NAME`"),
        "aggregation": ("Gradient aggregations", "`--aggregation NAME`"),
        "sampler": ("Task samplers", "`--sampler NAME`"),
        "regularizer": ("Regularizers", "on if their first option is not 0; they compose"),
    }
    parts = [
        "# Methods",
        "What `swiss train` can train several tasks with. Written by `make docs-reference` from"
        " `swisscli/core/methods.py`; [Add a method](contributing.md#add-a-method).",
    ]
    for kind, (title, use) in titles.items():
        parts += [f"## {title}", f"{use[0].upper()}{use[1:]}.", "\n".join(_table(kind))]
    heads = [f"| `{head.name}` | {head.summary} | {head.reference} |" for head in HEADS]
    parts += ["## Heads", "`--heads NAME`.", "\n".join([*_HEADER, *heads])]
    return "\n\n".join(parts) + "\n"


_HEADER = ("| name | what it does | source |", "| --- | --- | --- |")


def _table(kind: str) -> Iterator[str]:
    yield "| name | what it does | options | source |"
    yield "| --- | --- | --- | --- |"
    for spec in METHODS:
        if spec.kind == kind:
            flags = ", ".join(f"`--{option.key.replace('_', '-')}`" for option in spec.options)
            yield f"| `{spec.name}` | {spec.summary} | {flags} | {spec.reference} |"


def main() -> None:
    """Write every page."""
    for name, text in pages().items():
        path = DOCS / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
