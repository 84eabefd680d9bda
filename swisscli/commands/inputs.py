"""The options of the commands that predict: input, answers, output and model."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from swisscli.commands.options import LongTextOption
from swisscli.core.io.formats import InputFormat
from swisscli.core.tasks import task_names
from swisscli.inference.writers.formats import OutputFormat

INPUT = "Input"
ANSWERS = "Answers"
OUTPUT = "Output"
MODEL = "Model and machine"
RAY = "Ray, with --engine ray"


class Engine(StrEnum):
    """What runs the prediction."""

    LOCAL = "local"
    RAY = "ray"


TaskArgument = Annotated[
    str,
    typer.Argument(
        metavar="TASK",
        help=f"One of: {', '.join(task_names())}, or a task of your own; or several, separated by"
        " commas, that read the same number of texts.",
    ),
]
FilesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILE|TEXT",
        help="Files to read; '-', or no file in a pipe, reads standard input. An argument of "
        "several words that names no file is a text; two of them are a pair.",
    ),
]
InputFormatOption = Annotated[
    InputFormat | None,
    typer.Option(
        help="Format of the input. Default: by the extension; for standard input, txt for one "
        "text and tsv for pairs.",
        rich_help_panel=INPUT,
    ),
]
ColumnsOption = Annotated[
    str | None,
    typer.Option(
        metavar="A[,B]",
        help="Columns with the texts, by name or by number from 1. Default: columns named "
        "text, review, comment and the like; sentence1 and sentence2, question1 and question2 "
        "and the like; or the only columns of the table.",
        rich_help_panel=INPUT,
    ),
]
DelimiterOption = Annotated[
    str | None,
    typer.Option(
        metavar="CHAR",
        help="Character between the columns, or comma, tab or semicolon. Default: detected in "
        "the first row.",
        show_default=False,
        rich_help_panel=INPUT,
    ),
]
HeaderOption = Annotated[
    bool | None,
    typer.Option(
        "--header/--no-header",
        help="Take the first row as a header, or as data. Default: a header if it names "
        "the columns needed.",
        show_default=False,
        rich_help_panel=INPUT,
    ),
]
RecursiveOption = Annotated[
    bool,
    typer.Option(
        "--recursive",
        "-r",
        help="Read folders and their subfolders: each .txt and .md file is one text.",
        rich_help_panel=INPUT,
    ),
]
ShardOption = Annotated[
    str | None,
    typer.Option(
        metavar="I/N",
        help="Answer one of N shares of the input, counted from 0, as in a job array. Together, "
        "the N results are the whole.",
        rich_help_panel=INPUT,
    ),
]
StrictOption = Annotated[
    bool,
    typer.Option(
        "--strict", help="Stop at the first record that cannot be read.", rich_help_panel=INPUT
    ),
]
StrictLanguageOption = Annotated[
    bool,
    typer.Option(
        "--strict-language",
        help="Skip texts that do not look like English. By default they are answered, "
        "counted, and marked out_of_domain in jsonl, parquet and tables in csv.",
        rich_help_panel=ANSWERS,
    ),
]
ClassesOption = Annotated[
    int | None,
    typer.Option(
        metavar="2|3|5",
        help="Answer sentiment in 3 classes (negative, neutral, positive) or 2, by adding up the "
        "probabilities of the five.",
        rich_help_panel=ANSWERS,
    ),
]
ThresholdOption = Annotated[
    float | None,
    typer.Option(
        metavar="P",
        help="Smallest probability that makes a pair a paraphrase. Default: the more probable "
        "answer.",
        rich_help_panel=ANSWERS,
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        metavar="DIR",
        help="Model directory. Default: the variable SWISS_MODEL, else the model that "
        "comes with swiss.",
        rich_help_panel=MODEL,
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        metavar="auto|cpu|cuda|cuda:N|tensorrt",
        help="Device that runs the model; swiss doctor shows which exist.",
        rich_help_panel=MODEL,
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="CPU cores to use, with a batch on each. Default: all.",
        rich_help_panel=MODEL,
    ),
]
BatchTokensOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Maximum number of tokens in a batch, padding included.",
        rich_help_panel=MODEL,
    ),
]
OutputFileOption = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write to FILE, which appears when it is complete. Its extension decides the "
        "format: .csv, .tsv, .jsonl (each with .gz) or .parquet.",
        rich_help_panel=OUTPUT,
    ),
]
OutputFormatOption = Annotated[
    OutputFormat | None,
    typer.Option(
        "--format",
        help="Format of the results. Default: table on a terminal, tsv without a header in a pipe.",
        rich_help_panel=OUTPUT,
    ),
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Replace an existing FILE.", rich_help_panel=OUTPUT)
]
FullTextOption = Annotated[
    bool,
    typer.Option(
        "--full-text",
        help="Show long texts whole in the table on a terminal.",
        rich_help_panel=OUTPUT,
    ),
]
SafeCsvOption = Annotated[
    bool,
    typer.Option(
        "--safe-csv",
        help="Put ' before each cell that a spreadsheet would run as a formula.",
        rich_help_panel=OUTPUT,
    ),
]

EngineOption = Annotated[
    Engine,
    typer.Option(
        help="Predict in this process, or with Ray: on the cluster that the variable RAY_ADDRESS "
        "names, else on one that is started here. With Ray, inputs may be URLs, and -o is a "
        "folder or its URL.",
        rich_help_panel=RAY,
    ),
]
ConcurrencyOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Number of actors, each with a model. Default: as many as the cluster has room for.",
        rich_help_panel=RAY,
    ),
]
ActorGpusOption = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        min=0.01,
        help="Share of a GPU for each actor, such as 0.5. Default: none; actors use the CPU.",
        rich_help_panel=RAY,
    ),
]
ActorMemoryOption = Annotated[
    int | None,
    typer.Option(
        metavar="MB",
        min=1,
        help="Memory that Ray reserves for each actor.",
        rich_help_panel=RAY,
    ),
]
ResumeOption = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Add the missing parts to the folder of an earlier run.",
        rich_help_panel=RAY,
    ),
]


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """Layout of the input, and its columns."""

    input_format: InputFormatOption = None
    columns: ColumnsOption = None
    delimiter: DelimiterOption = None
    header: HeaderOption = None


@dataclass(frozen=True, kw_only=True)
class InputOptions:
    """What to predict, and what to read."""

    task: TaskArgument
    files: FilesArgument = None
    table: TableOptions
    recursive: RecursiveOption = False
    strict: StrictOption = False


@dataclass(frozen=True, kw_only=True)
class AnswerOptions:
    """How the model answers; the arguments of `Predictor`."""

    strict_language: StrictLanguageOption = False
    classes: ClassesOption = None
    threshold: ThresholdOption = None
    long_text: LongTextOption = None


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """Where the results go, and their format."""

    output: OutputFileOption = None
    output_format: OutputFormatOption = None
    force: ForceOption = False
    full_text: FullTextOption = False
    safe_csv: SafeCsvOption = False

    @property
    def file(self) -> Path | None:
        """Return the file to write; None is standard output."""
        return None if self.output is None else Path(self.output)


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Which model runs, and where; the arguments of `Predictor`."""

    model: ModelOption = None
    device: DeviceOption = "auto"
    threads: ThreadsOption = None
    batch_tokens: BatchTokensOption = None


@dataclass(frozen=True, kw_only=True)
class RayOptions:
    """Whether to predict on Ray, and what the pool of actors may use."""

    engine: EngineOption = Engine.LOCAL
    concurrency: ConcurrencyOption = None
    actor_gpus: ActorGpusOption = None
    actor_memory: ActorMemoryOption = None
    resume: ResumeOption = False
