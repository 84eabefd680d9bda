"""`swiss attention`: read options, compute one head's attention, show or draw it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swisscli import console
from swisscli.commands.extras import requires_extra
from swisscli.commands.options import ForceOption
from swisscli.core.errors import ConfigurationError, Problems

if TYPE_CHECKING:
    from swiss_evaluation.attention.reader import Attention

_SUFFIXES = (".png", ".svg")
_MAX_SHOWN = 48
_ESCAPES = str.maketrans({"\t": r"\t", "\n": r"\n", "\r": r"\r"})


def attention(
    text_a: Annotated[str, typer.Argument(metavar="TEXT", help="A text.")],
    text_b: Annotated[
        str | None, typer.Argument(metavar="TEXT", help="The second text of a pair.")
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Run folder of swiss train, model directory, or a Hugging Face style encoder"
            " directory. Default: the variable SWISS_MODEL, else the model that comes with"
            " swiss.",
        ),
    ] = None,
    layer: Annotated[
        int | None,
        typer.Option(
            help="Layer, counted from 0: the last of a BERT with 12 layers is 11. Default: the"
            " last.",
            show_default=False,
        ),
    ] = None,
    head: Annotated[int, typer.Option(help="Attention head, counted from 0.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Draw to FILE, a .png or .svg."),
    ] = None,
    force: ForceOption = False,
) -> None:
    """Show what an attention head of the encoder attends to in a text or a pair.

    \b
    swiss attention "A man sings." "Someone is singing."
    swiss attention "A man sings." "Someone is singing." --model runs/swiss --layer 11 --head 0
    swiss attention "A dull film." --model runs/swiss -o heat.svg

    Each row shows how one token distributes its attention; its probabilities sum to 1. On a
    terminal, prints a coloured table; in a pipe, TSV with the tokens in the first row and column.

    Exit status: 0 success; 2 wrong usage; 4 no usable model; 5 the extra is not installed.
    """  # noqa: D301
    problems = Problems()
    texts = (text_a,) if text_b is None else (text_a, text_b)
    if not all(text.strip() for text in texts):
        problems.add(ConfigurationError("a text is empty", hint='type: swiss attention "a" "b"'))
    if output is None and force:
        problems.add(
            ConfigurationError("--force needs a file to replace", hint="name it with -o FILE")
        )
    if output is not None:
        if output.suffix.lower() not in _SUFFIXES:
            problems.add(
                ConfigurationError(
                    f"--output {output}: must end in .png or .svg", hint="for example: -o heat.svg"
                )
            )
        with problems.collect():
            from swisscli.core.io.atomic import check_output

            check_output(output, force=force, inputs=())
    with requires_extra("report"):
        from swiss_evaluation.attention.reader import AttentionReader, open_directory, read_size
        from swisscli.core.model.directory import default_model

        path = model
        if path is None:
            with problems.collect():
                path = default_model()
        with problems.collect():
            directory = open_directory(path or Path())
            size = read_size(directory)
            chosen = size.layers - 1 if layer is None else layer
            size.check(chosen, head)
        problems.check()
        _show_attention(AttentionReader(directory).read(texts), chosen, head, output)


def _show_attention(found: "Attention", layer: int, head: int, output: Path | None) -> None:
    """Draw an attention head to the file, or show it on standard output."""
    matrix = found.probabilities_LHTT[layer, head]
    if found.truncated:
        console.warning(f"the input is truncated to {len(found.tokens)} tokens, the model's limit")
    if output is not None:
        from swiss_evaluation.attention import heatmap
        from swisscli.core.io.atomic import open_beside

        title = f"Layer {layer}, head {head}"
        drawn = heatmap.render(found.tokens, matrix, title, output)
        with open_beside(output) as stream:
            stream.write(drawn)
        console.note(f"wrote {output}, {len(found.tokens)} tokens")
    elif console.is_terminal(sys.stdout):
        shown = min(len(found.tokens), _MAX_SHOWN)
        if shown < len(found.tokens):
            console.warning(
                f"the first {shown} of {len(found.tokens)} tokens are shown; -o FILE draws all"
            )
        title = f"layer {layer}, head {head}: how each row attends to each column"
        rows = matrix[:shown, :shown].tolist()
        typer.echo(console.heat_table(title, found.tokens[:shown], rows), nl=False)
    else:
        names = [token.translate(_ESCAPES) for token in found.tokens]
        typer.echo("\t".join(["", *names]))
        for name, row in zip(names, matrix.tolist(), strict=True):
            typer.echo("\t".join([name, *(f"{value:.6f}" for value in row)]))
