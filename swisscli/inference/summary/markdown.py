"""A summary as Markdown."""

from collections.abc import Iterable, Sequence
from typing import Any

from swisscli.core.io.text import escape_control
from swisscli.inference.summary.statistics import Scale

_MAX_GROUPS = 100


def markdown(summary: dict[str, Any], scale: Scale) -> str:
    """Write the document.

    Args:
        summary: What `Summary.as_json` gives.
        scale: The scale of its values.
    """
    parts = [
        f"# {summary['task'].capitalize()} of {summary['records']:,} records",
        format_counts(summary),
        f"Mean {scale.name}: {format_mean(summary)}",
    ]
    if summary["labels"]:
        rows = (
            (label["label"], f"{label['count']:,}", f"{label['share']:.1%}")
            for label in summary["labels"]
        )
        parts.append(_table(("label", "records", "share"), rows))
    for grouped in summary["by"]:
        shown = grouped["groups"][:_MAX_GROUPS]
        parts.append(f"## By {describe_grouping(grouped)}")
        parts.append(_table(group_header(summary, grouped), map(group_row, shown)))
        if len(grouped["groups"]) > len(shown):
            parts.append(f"{len(grouped['groups']) - len(shown):,} more groups are not shown.")
    for title, key in ((scale.highest, "highest"), (scale.lowest, "lowest")):
        if summary[key]:
            rows = (
                (f"{item['line']:,}", f"{item['value']:.3f}", " / ".join(item["texts"]))
                for item in summary[key]
            )
            parts += [f"## {title.capitalize()}", _table(("line", "value", "text"), rows)]
    return "\n\n".join(parts) + "\n"


def format_counts(summary: dict[str, Any]) -> str:
    """Describe how many records were answered, skipped, truncated or failed."""
    names = ("answered", "skipped", "truncated", "out_of_domain", "failed")
    return ", ".join(f"{summary[name]:,} {name.replace('_', ' ')}" for name in names)


def format_mean(group: dict[str, Any]) -> str:
    """Format the mean with its interval."""
    if group["mean"] is None:
        return "none"
    mean = f"{group['mean']:.3f}"
    if group["interval"] is None:
        return mean
    low, high = group["interval"]
    return f"{mean} (95 % interval {low:.3f} to {high:.3f})"


def describe_grouping(grouped: dict[str, Any]) -> str:
    """Describe a grouping, an item of the summary's `by`."""
    column = str(grouped["column"])
    return f"{grouped['period']} of {column}" if grouped["period"] else column


def group_header(summary: dict[str, Any], grouped: dict[str, Any]) -> list[str]:
    """Return the column names of a table of groups."""
    labels = [label["label"] for label in summary["labels"]]
    return [str(grouped["period"] or grouped["column"]), "records", *labels, "mean", "± 95 %"]


def group_row(group: dict[str, Any]) -> list[str]:
    """Return the cells of a group."""
    mean = "" if group["mean"] is None else f"{group['mean']:.3f}"
    half = (group["interval"][1] - group["interval"][0]) / 2 if group["interval"] else None
    return [
        group["group"],
        f"{group['records']:,}",
        *(f"{label['share']:.0%}" for label in group["labels"]),
        mean,
        "" if half is None else f"{half:.3f}",
    ]


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    one_line = escape_control(" ".join(text.split()))
    for character in "\\|<>[]*_`":
        one_line = one_line.replace(character, f"\\{character}")
    return one_line
