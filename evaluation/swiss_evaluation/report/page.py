"""The page: what it holds, and its HTML. Every text in it is escaped by the template."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from swiss_evaluation.report.analysis import WrongRow

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Chart:
    """A figure with its words.

    Attributes:
        title: What it is.
        caption: What is drawn, and of how many rows.
        drawing: The SVG; None where there is nothing to draw, which the caption then explains.
    """

    title: str
    caption: str
    drawing: Markup | None = None


@dataclass(frozen=True)
class WrongRows:
    """The worst errors of a task, as a table.

    Attributes:
        caption: Which rows they are, and of how many.
        rows: The rows.
    """

    caption: str
    rows: list[WrongRow]


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        name: Its anchor.
        title: Its heading.
        intro: A line below it; empty for none.
        charts: Its figures.
        wrong: Its table of errors, if it has one.
    """

    name: str
    title: str
    intro: str = ""
    charts: list[Chart] = field(default_factory=list)
    wrong: WrongRows | None = None


@dataclass(frozen=True)
class Page:
    """The report.

    Attributes:
        title: Its heading.
        scores: Task, metric, value and rows, of each task and overall.
        facts: What was measured how: name and value.
        notes: What the reader should know of missing data.
        sections: Its parts, before the attention.
        attention: Its last part.
        attention_data: What the page's script draws from; None without weights.
    """

    title: str
    scores: list[tuple[str, str, str, str]]
    facts: list[tuple[str, str]]
    notes: list[str]
    sections: list[Section]
    attention: Section
    attention_data: dict[str, Any] | None


def render(page: Page) -> str:
    """The page as HTML, with its style and script inside."""
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(
        page=page, style=_asset("page.css"), script=_asset("attention.js")
    )


def _asset(name: str) -> Markup:
    return Markup((_HERE / name).read_text(encoding="utf-8"))
