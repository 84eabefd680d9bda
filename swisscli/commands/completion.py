"""What the shell completes. It runs at every Tab: nothing heavy may be imported here."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from swisscli.core.errors import SwissError
from swisscli.core.tasks import TASKS, TaskSpec

_MAX_FOLDERS = 1000
_ALL_NAMES = 1 << 10


def complete_tasks(args: list[str], incomplete: str) -> list[str]:
    """Tasks of the model; after a comma those that can be asked of the same input."""
    known = _tasks(args)
    *chosen, last = incomplete.split(",")
    before = "".join(f"{name}," for name in chosen)
    if not chosen:
        names = (name for task in known for name in (task.name, *task.aliases))
        return [name for name in names if name.startswith(last)]
    arities = {task.arity for task in known if task.name in chosen}
    return [
        before + task.name
        for task in known
        if task.name.startswith(last) and task.name not in chosen and {task.arity} == arities
    ]


def _tasks(args: list[str]) -> tuple[TaskSpec, ...]:
    """The tasks of the model that is named before; the built-in ones if it cannot be read."""
    from swisscli.core.model.directory import ModelDirectory, find_model

    named = args[args.index("--model") + 1 :][:1] if "--model" in args else []
    try:
        return ModelDirectory.open(find_model(next(iter(named), None))).config.tasks
    except (SwissError, OSError):
        return tuple(TASKS.values())


def complete_models(incomplete: str) -> list[str]:
    """Model directories, and folders on the way to one: the current one's and those in `runs`."""
    folder = Path(incomplete or ".")
    folder = folder if incomplete.endswith("/") or not incomplete else folder.parent
    found = _models_in(folder)
    if not incomplete:
        found = [*found, *_models_in(Path("runs"))]
    return [name for name in dict.fromkeys(found) if name.startswith(incomplete)]


def _models_in(folder: Path) -> list[str]:
    try:
        inside = [path for path in islice(folder.iterdir(), _MAX_FOLDERS) if path.is_dir()]
    except OSError:
        return []
    models = [str(path) for path in inside if (path / "config.json").exists()]
    others = [f"{path}/" for path in inside if f"{path}" not in models]
    return sorted(models) or sorted(others)


def complete_columns(args: list[str], incomplete: str) -> list[str]:
    """The columns of the first table that is named before."""
    *chosen, last = incomplete.split(",")
    before = "".join(f"{name}," for name in chosen)
    names = next(_tables(args), ())
    return [before + name for name in names if name.startswith(last) and name not in chosen]


def _tables(args: list[str]) -> Iterator[tuple[str, ...]]:
    from swisscli.core.columns import InputColumns
    from swisscli.core.io.formats import ColumnChoice, InputFormat, format_of
    from swisscli.core.io.tables import read_table

    # Whatever the columns are called, the first is there to be read.
    anything = InputColumns("columns", (("",),))
    for name in args:
        try:
            layout = format_of(name)
            if layout in (None, InputFormat.TXT) or not Path(name).is_file():
                continue
            is_delimited = layout.is_delimited
            choice = ColumnChoice(has_header=True if is_delimited else None, chosen=("1",))
            with Path(name).open("rb") as stream:
                yield read_table(stream, name, layout, anything, choice).heading.names
        except (SwissError, OSError):
            continue
