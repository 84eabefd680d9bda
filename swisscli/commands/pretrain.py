"""`swiss pretrain`: read options, pretrain, show what happens."""

from pathlib import Path
from typing import Annotated, Any

import typer

from swiss_training.masked_lm.config import PretrainConfig
from swisscli import console
from swisscli.commands.config_options import (
    DATA,
    RUN_OPTIONS,
    RUN_PANELS,
    ConfigOption,
    ResumeOption,
    check_resume,
    given_options,
    with_options,
)
from swisscli.commands.extras import requires_extra
from swisscli.commands.options import OfflineOption
from swisscli.core.io.formats import parse_delimiter

_OPTIONS = {
    "output": "Run folder to create; it becomes the encoder's directory.",
    "dev_share": "Fraction of the distinct texts to hold out for the dev loss; 0: none.",
    **RUN_OPTIONS,
    "max_length": "Maximum sequence length in tokens; 0: the encoder's maximum. Longer texts are"
    " split.",
    "epochs": "Passes over the text.",
}
"""The options that set one configuration key each, and what they say of it."""


@with_options(PretrainConfig, _OPTIONS, {**RUN_PANELS, "dev_share": DATA})
def pretrain(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE",
            help="Files with text: .txt with one text per line; .tsv, .csv, .jsonl, .json and"
            " .parquet, of which each column with a known name is read; each also with .gz.",
            show_default=False,
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns",
            help="Columns of tables to read, by name or number from 1.",
            metavar="NAME[,NAME]",
            show_default=False,
            rich_help_panel=DATA,
        ),
    ] = None,
    delimiter: Annotated[
        str | None,
        typer.Option(
            "--delimiter",
            help="Character between the columns of .tsv and .csv files, or comma, tab or semicolon."
            " Default: detected in the first row.",
            metavar="CHAR",
            show_default=False,
            rich_help_panel=DATA,
        ),
    ] = None,
    config: ConfigOption = None,
    resume: ResumeOption = None,
    offline: OfflineOption = False,
    **options: Any,
) -> None:
    """Train an encoder further on unlabelled text, by masked language modelling.

    Writes a run folder with the encoder of the lowest loss on the held-out text in Hugging Face's
    layout, a checkpoint of the last state, and log.jsonl. Next step: swiss train --encoder RUN.
    An encoder from the Hub is fetched into a cache, once; swiss download --list shows it.

    \b
    swiss pretrain reviews.txt questions.tsv --encoder bert-base-uncased --output runs/pretrained
    swiss pretrain tickets.csv --columns subject,body
    swiss pretrain --resume runs/pretrained

    Exit status: 0 success; 2 wrong usage or configuration; 3 unreadable text; 4 no usable
    encoder or checkpoint; 5 the extra is not installed; 6 the device is not available.
    """  # noqa: D301
    given = given_options(options)
    if files:
        given["files"] = files
    if columns is not None:
        given["columns"] = [name.strip() for name in columns.split(",")]
    if delimiter is not None:
        given["delimiter"] = parse_delimiter(delimiter)
    check_resume(PretrainConfig.command, resume, given, config)
    if resume:
        run(resume, offline=offline)
    else:
        new = PretrainConfig.read(config, **given) if config else PretrainConfig(**given)
        run(new, offline=offline)


def run(start: PretrainConfig | Path, *, offline: bool = False) -> None:
    """Pretrain a new run, or resume the one in a folder, and show its events.

    The loss on the held-out text goes to standard output, the rest to standard error.

    Args:
        start: The configuration of a new run, or the folder or checkpoint to resume.
        offline: Whether nothing may be fetched.
    """
    with requires_extra("train"):
        from swiss_training.masked_lm import objective
    from swisscli.commands.fetching import fetch_again
    from swisscli.commands.training import folder_of_run, follow, refuse_ranks
    from swisscli.console.training import TrainingDisplay

    refuse_ranks("swiss pretrain")

    folder = folder_of_run(start)
    if isinstance(start, Path):
        fetch_again(folder, PretrainConfig, offline=offline)
    else:
        _fetch(start, offline=offline)
    with TrainingDisplay() as display:
        display.line("reading text and encoder")
        finished = follow(objective, PretrainConfig, start, display)
    if finished.best:
        assert isinstance(finished.best, objective.DevLoss)
        typer.echo(f"dev\tloss\t{finished.best.loss:.4f}\t{finished.best.num_tokens}")
        typer.echo(f"dev\tperplexity\t{finished.best.perplexity:.4f}\t{finished.best.num_tokens}")
    console.status(f"the encoder of step {finished.best_step} is in {folder}")
    console.status(f"next: swiss train --encoder {folder}")


def _fetch(config: PretrainConfig, *, offline: bool) -> None:
    """Fetch the encoder of a new run, once all else is checked that can fail before."""
    from swiss_training.devices import choose_device
    from swiss_training.downloads import needs
    from swiss_training.masked_lm import corpus
    from swiss_training.run_folder import RunFolder
    from swiss_training.tracking import find_tracker
    from swisscli.commands.fetching import fetch
    from swisscli.console.training import TrainingDisplay

    RunFolder(Path(config.output), PretrainConfig).check_new()
    choose_device(config.device)
    find_tracker(config.track)
    if missing := needs.of_encoder(config):
        with TrainingDisplay() as display:
            texts = corpus.read_texts(config, display)
            corpus.hold_out(texts, config.dev_share, config.seed)
        fetch(missing, offline=offline)
