"""`swiss pretrain`: read options, pretrain, show what happens."""

from pathlib import Path
from typing import Annotated, Any

import typer

from swiss_training.masked_lm.config import PretrainConfig
from swisscli.commands.extras import requires_extra
from swisscli.core.errors import ConfigurationError
from swisscli.core.io.tables import parse_delimiter

DEFAULTS = {name: f.default for name, f in PretrainConfig.__dataclass_fields__.items()}


def _option(name: str, text: str, **extra: Any) -> Any:
    """An option that shows the configuration's default and is None unless it is given."""
    key = name.removeprefix("--").replace("-", "_")
    return typer.Option(name, help=text, show_default=str(DEFAULTS.get(key, "")) or False, **extra)


def pretrain(
    context: typer.Context,
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE...",
            help="Text: .txt, one per line; .tsv, .csv, .jsonl, .json and .parquet, every column"
            " known to hold text; .gz of any of them.",
            show_default=False,
        ),
    ] = None,
    encoder: Annotated[
        str | None,
        _option(
            "--encoder",
            "Hugging Face style directory, folder that swiss train or swiss pretrain wrote, or"
            " name on the Hub.",
        ),
    ] = None,
    output: Annotated[
        str | None, _option("--output", "Run folder; it becomes the encoder's directory.")
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns",
            help="Columns of tables to read, by name or number from 1.",
            metavar="NAME[,NAME]",
            show_default=False,
        ),
    ] = None,
    delimiter: Annotated[
        str | None,
        typer.Option(
            "--delimiter",
            help="Character between the columns of .tsv and .csv files, or comma, tab or semicolon."
            " Without it: found by the first line.",
            metavar="CHAR",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        _option(
            "--resume",
            "Go on with the run in this folder where its last checkpoint stands.",
            metavar="RUN",
        ),
    ] = None,
    dev_share: Annotated[
        float | None,
        _option(
            "--dev-share",
            "Share of the distinct texts held out to measure the loss on; 0: none.",
        ),
    ] = None,
    max_length: Annotated[
        int | None,
        _option(
            "--max-length",
            "Longest sequence in tokens; 0: as long as the encoder takes. Longer texts are"
            " divided.",
        ),
    ] = None,
    epochs: Annotated[int | None, _option("--epochs", "Passes over the text.")] = None,
    max_steps: Annotated[
        int | None, _option("--max-steps", "Optimizer steps; 0: by --epochs.")
    ] = None,
    batch_size: Annotated[int | None, _option("--batch-size", "Sequences per batch.")] = None,
    gradient_accumulation_steps: Annotated[
        int | None,
        _option("--gradient-accumulation-steps", "Batches in an optimizer step."),
    ] = None,
    learning_rate: Annotated[
        float | None, _option("--learning-rate", "Peak learning rate.")
    ] = None,
    warmup_ratio: Annotated[
        float | None,
        _option(
            "--warmup-ratio",
            "Share of the steps over which the learning rate rises; it then falls to 0.",
        ),
    ] = None,
    weight_decay: Annotated[
        float | None, _option("--weight-decay", "AdamW's weight decay.")
    ] = None,
    max_grad_norm: Annotated[
        float | None, _option("--max-grad-norm", "Gradient clipping; 0: none.")
    ] = None,
    precision: Annotated[
        str | None, _option("--precision", "fp32, bf16 (autocast) or auto.")
    ] = None,
    device: Annotated[str | None, _option("--device", "auto, cpu, cuda or cuda:N.")] = None,
    seed: Annotated[
        int | None, _option("--seed", "Of the held-out share, masks, order and dropout.")
    ] = None,
    eval_every: Annotated[
        int | None, _option("--eval-every", "Steps between evaluations; 0: after each pass.")
    ] = None,
    save_every: Annotated[int | None, _option("--save-every", "Steps between checkpoints.")] = None,
    log_every: Annotated[int | None, _option("--log-every", "Steps between log lines.")] = None,
) -> None:
    """Train an encoder further on unlabelled text, by masked language modelling.

    Writes a run folder: a Hugging Face style encoder directory with the state of the lowest loss on
    the held-out text, the checkpoint of the last, and log.jsonl. Then: swiss train --encoder RUN.

    \b
    swiss pretrain reviews.txt questions.tsv --encoder bert-base-uncased --output runs/pretrained
    swiss pretrain tickets.csv --columns subject,body
    swiss pretrain --resume runs/pretrained

    Exit status: 0 all well; 2 wrong usage or configuration; 3 unreadable text; 4 no usable
    encoder or checkpoint; 5 the extra is not installed; 6 the device is not there.
    """  # noqa: D301
    given = {
        name: value
        for name, value in context.params.items()
        if value is not None and name in PretrainConfig.__dataclass_fields__
    }
    given.pop("files", None)  # typer gives an empty tuple where none is named
    if files:
        given["files"] = files
    if columns is not None:
        given["columns"] = [name.strip() for name in columns.split(",")]
    if delimiter is not None:
        given["delimiter"] = parse_delimiter(delimiter)
    if not resume:
        run(PretrainConfig(**given))
    elif given:
        raise ConfigurationError(
            f"--resume goes on with the run's own configuration, but {', '.join(sorted(given))}"
            " was given",
            hint=f"type: swiss pretrain --resume {resume}",
        )
    else:
        run(resume)


def run(what: PretrainConfig | Path) -> None:
    """Pretrain a new run, or resume the one in a folder, and show its events.

    The loss on the held-out text goes to standard output, the rest to standard error.
    """
    with requires_extra("train"):
        from swiss_training import log
        from swiss_training.masked_lm import loop
        from swiss_training.masked_lm.events import Finished, Saved, Started
    from swisscli.console.training import TrainingDisplay

    folder = what if isinstance(what, Path) else Path(what.output)
    with TrainingDisplay() as display:
        display.line("reading text and encoder")
        events = loop.resume(what) if isinstance(what, Path) else loop.fit(what)
        saved = 0
        try:
            for event in log.logged(folder, events):
                display.show(event)
                if isinstance(event, Started | Saved):
                    saved = event.step
        except KeyboardInterrupt:
            display.line(f"interrupted; swiss pretrain --resume {folder} goes on from step {saved}")
            raise
    assert isinstance(event, Finished)
    if event.best:
        typer.echo(f"dev\tloss\t{event.best.loss:.4f}\t{event.best.num_tokens}")
        typer.echo(f"dev\tperplexity\t{event.best.perplexity:.4f}\t{event.best.num_tokens}")
    display.line(f"the encoder of step {event.best_step} is in {folder}")
    display.line(f"next: swiss train --encoder {folder}")
