"""The page's content and its HTML. The template escapes every text."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from swiss_evaluation.report.analysis import WrongRow

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Chart:
    """A figure with title and caption.

    Attributes:
        title: Title.
        caption: What the figure shows, and for how many rows.
        drawing: The SVG. None if nothing can be drawn; the caption then gives the reason.
    """

    title: str
    caption: str
    drawing: Markup | None = None


@dataclass(frozen=True)
class WrongRows:
    """The worst errors of a task, as a table.

    Attributes:
        caption: Which rows the table shows, and of how many.
        rows: The rows.
    """

    caption: str
    rows: list[WrongRow]


@dataclass(frozen=True)
class Section:
    """A section of the page.

    Attributes:
        name: Anchor.
        title: Heading.
        intro: Text below the heading; empty for none.
        charts: Figures.
        wrong: Table of the worst errors, or None.
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
        title: Heading.
        scores: Task, metric, value and number of rows, for each task and overall.
        facts: Name and value of each fact about the measurement.
        notes: Messages on missing data.
        sections: All sections but the last.
        attention: The last section.
        attention_data: Data of the interactive view; None without weights.
    """

    title: str
    scores: list[tuple[str, str, str, str]]
    facts: list[tuple[str, str]]
    notes: list[str]
    sections: list[Section]
    attention: Section
    attention_data: dict[str, Any] | None


def render(page: Page) -> str:
    """Render the page as HTML, with its style and script inside."""
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
