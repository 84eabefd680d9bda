"""`swiss report`: read options, measure, write the page."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swisscli import console
from swisscli.commands.extras import requires_extra
from swisscli.commands.options import (
    BackendOption,
    DevFiles,
    DeviceOption,
    ForceOption,
    ModelArgument,
    parse_dev_data,
    run_or_newest,
)
from swisscli.core.errors import ConfigurationError, DataError, Problems
from swisscli.core.events import Note, Step

if TYPE_CHECKING:
    from swiss_evaluation.report.build import ReportInput, ReportRequest

_MAX_PAIRS = 8


def report(
    model: ModelArgument = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Folder with the dev and train files, named as in the CS224N project. Default:"
            " the files that the run was trained with.",
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The page to write.")
    ] = Path("report.html"),
    force: ForceOption = False,
    dev: DevFiles = None,
    pair: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="TEXT TEXT",
            help="Show the attention of this pair; for several, use --pairs. Default: the paper's"
            " pair, and a short dev row of each task.",
        ),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=f"Show the attention of the pairs in FILE, at most {_MAX_PAIRS}. The format is"
            " that of swiss predict similarity.",
        ),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(
            metavar="N[,N]",
            help="Layers of the heatmaps shown without JavaScript, counted from 0. Default: the"
            " second, the middle and the last.",
        ),
    ] = None,
    heads: Annotated[
        str, typer.Option(metavar="N[,N]", help="Heads of these heatmaps, counted from 0.")
    ] = "0",
    errors: Annotated[
        int, typer.Option(min=1, help="Number of worst errors to list for each task.")
    ] = 10,
    backend: BackendOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Write a report about a trained model as one self-contained HTML page.

    \b
    swiss report
    swiss report runs/swiss --data data/cs224n -o report.html
    swiss report runs/swiss --pair "A man sings." "Someone is singing." --layers 1,6,11

    The page has training curves, label distributions, a confusion matrix and reliability diagram or
    a scatter plot for each task, the worst errors with their text, accuracy by length, and the
    attention of any layer and head. It loads nothing from the network. If something cannot be
    shown, the page gives the reason. Each view of the attention has an address, such as
    report.html#view=0&layer=11&head=0.

    Exit status: 0 success; 2 wrong usage; 3 no data, or unreadable data; 4 no usable model;
    5 the extra is not installed; 6 the device is not available.
    """  # noqa: D301
    problems = Problems()
    with requires_extra("report"):
        from swiss_evaluation.data import EvaluationSource
        from swiss_evaluation.report.attention_views import AttentionChoice
        from swiss_evaluation.report.build import ReportRequest, prepare
        from swiss_training.multitask.data_files import DataChoice

        choice = DataChoice(data)
        with problems.collect():
            choice = parse_dev_data(data, dev)
        source = EvaluationSource(
            model=run_or_newest(model),
            backend=backend,
            device=device,
            data=choice,
        )
        chosen_layers: tuple[int, ...] = ()
        with problems.collect():
            chosen_layers = _parse_numbers("--layers", layers) if layers is not None else ()
        chosen_heads: tuple[int, ...] = ()
        with problems.collect():
            chosen_heads = _parse_numbers("--heads", heads)
        texts: tuple[tuple[str, ...], ...] = ()
        with problems.collect():
            texts = _read_texts(pair, pairs)
        views = AttentionChoice(texts, chosen_layers, chosen_heads)
        request = ReportRequest(source, output, force, views, errors)
        with problems.collect():
            prepared = prepare(request)
        problems.check()
        _report(request, prepared)


def _parse_numbers(option: str, given: str) -> tuple[int, ...]:
    try:
        return tuple(dict.fromkeys(int(part) for part in given.split(",")))
    except ValueError:
        raise ConfigurationError(
            f"{option} {given!r} is not a list of numbers", hint=f"for example: {option} 1,6,11"
        ) from None


def _read_texts(pair: tuple[str, str] | None, file: Path | None) -> tuple[tuple[str, ...], ...]:
    """Read the pair of the command line and the pairs of the file.

    Raises:
        ConfigurationError: if there are too many, or a text is empty.
        DataError: if the file cannot be read.
    """
    texts: list[tuple[str, ...]] = [pair] if pair else []
    if pair and not all(text.strip() for text in pair):
        raise ConfigurationError("--pair has an empty text", hint='for example: --pair "a" "b"')
    if file is not None:
        from swisscli.core.io.formats import ColumnChoice
        from swisscli.core.tasks import TASKS, input_columns
        from swisscli.inference.readers import find_sources, read_records

        columns = input_columns([TASKS["similarity"]])
        (source,) = find_sources([str(file)], columns, None)
        for record in read_records(source, columns, ColumnChoice()):
            if record.error:
                raise DataError(f"{file}:{record.line}: {record.error.message}")
            if all(text.strip() for text in record.texts):
                texts.append(record.texts)
            if len(texts) > _MAX_PAIRS:
                raise ConfigurationError(
                    f"--pairs {file}: more than {_MAX_PAIRS} pairs", hint="choose fewer"
                )
        if not texts:
            raise DataError(f"{file}: has no pair", hint="each line is a text, a tab and a text")
    return tuple(texts)


def _report(request: "ReportRequest", prepared: "ReportInput") -> None:
    """Write the page, with the steps on standard error."""
    from swiss_evaluation.report import build

    with console.progress("rows") as advance:
        for event in build.report(request, prepared, advance):
            match event:
                case Step(description):
                    console.status(description)
                case Note(message):
                    console.warning(message)
                case build.Written(path, num_bytes):
                    console.status(f"wrote {path}, {num_bytes / 1e6:.1f} MB")
