"""A summary as one HTML page that loads nothing, and is light or dark as the browser prefers."""

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from swisscli.core.io.text import escape_control
from swisscli.inference.summary.markdown import describe_grouping, format_counts
from swisscli.inference.summary.statistics import Scale

_MAX_GROUPS = 100
_NUM_TONES = 5
_CURVE = (1000, 200)


def page(summary: dict[str, Any], scale: Scale) -> str:
    """Write the page.

    Args:
        summary: What `Summary.as_json` gives.
        scale: The scale of its values.
    """
    title = f"{summary['task'].capitalize()} of {summary['records']:,} records"
    style = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    sections = [
        f"<h1>{_text(title)}</h1><p>{_text(format_counts(summary))}</p>",
        _figures(summary, scale),
    ]
    if summary["labels"]:
        sections.append(f"<h2>Labels</h2>{_label_bars(summary['labels'])}")
    sections.append(f"<h2>{_text(scale.name.capitalize())}</h2>{_histogram(summary)}")
    for grouped in summary["by"]:
        groups = _groups(summary["labels"], grouped, scale)
        sections.append(f"<h2>By {_text(describe_grouping(grouped))}</h2>{groups}")
    for name, key in ((scale.highest, "highest"), (scale.lowest, "lowest")):
        if summary[key]:
            sections.append(f"<h2>{_text(name.capitalize())}</h2>{_texts(summary[key])}")
    body = "\n".join(f"<section>{section}</section>" for section in sections)
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)}</title>\n<style>\n{style}</style>\n<main>\n{body}\n</main>\n</html>\n"
    )


def _text(text: str) -> str:
    return escape(escape_control(" ".join(text.split())))


def _figures(summary: dict[str, Any], scale: Scale) -> str:
    mean = "none" if summary["mean"] is None else f"{summary['mean']:.3f}"
    interval = " to ".join(f"{bound:.3f}" for bound in summary["interval"] or ())
    tiles = [("mean", mean, scale.name), ("95 % interval of the mean", interval or "none", "")]
    tiles += [(name, f"{summary[name]:,}", "") for name in ("answered", "skipped", "failed")]
    return '<div class="tiles">' + "".join(
        f'<div class="tile"><span>{_text(name)}</span><b>{_text(value)}</b>'
        f"<small>{_text(note)}</small></div>"
        for name, value, note in tiles
    ) + "</div>"  # fmt: skip


def _tone(index: int, count: int) -> int:
    """Return the colour of a class; the first and the last class have the strongest."""
    return round(index * (_NUM_TONES - 1) / max(1, count - 1))


def _label_bars(labels: Sequence[dict[str, Any]]) -> str:
    largest = max(label["share"] for label in labels) or 1
    rows = (
        f"<tr><th>{_text(label['label'])}</th>"
        f'<td class="bar"><i class="tone{_tone(index, len(labels))}"'
        f' style="width:{100 * label["share"] / largest:.2f}%"></i></td>'
        f"<td>{label['count']:,}</td><td>{label['share']:.1%}</td></tr>"
        for index, label in enumerate(labels)
    )
    return f'<table class="bars">{"".join(rows)}</table>'


def _histogram(summary: dict[str, Any]) -> str:
    bins = summary["histogram"]
    largest = max(item["count"] for item in bins) or 1
    bars = "".join(
        f'<i style="height:{100 * item["count"] / largest:.2f}%"'
        f' title="{item["from"]:g} to {item["to"]:g}: {item["count"]:,}"></i>'
        for item in bins
    )
    middle = bins[len(bins) // 2]["from"]
    ends = f"<span>{bins[0]['from']:g}</span><span>{middle:g}</span><span>{bins[-1]['to']:g}</span>"
    return (
        f'<figure><div class="histogram" role="img" aria-label="histogram">{bars}</div>'
        f'<div class="axis">{ends}</div><figcaption>highest bar: {largest:,} records</figcaption>'
        "</figure>"
    )


def _groups(labels: Sequence[dict[str, Any]], grouped: dict[str, Any], scale: Scale) -> str:
    shown = grouped["groups"][:_MAX_GROUPS]
    curve = _curve(shown, scale) if grouped["period"] else ""
    legend = "".join(
        f'<span><i class="tone{_tone(index, len(labels))}"></i>{_text(item["label"])}</span>'
        for index, item in enumerate(labels)
    )
    rest = len(grouped["groups"]) - len(shown)
    more = f"<p>{rest:,} more groups are not shown.</p>" if rest else ""
    shares = "<th>labels</th>" if labels else ""
    header = f"<tr><th></th><th>records</th>{shares}<th>mean</th><th>95 % interval</th></tr>"
    rows = "".join(map(_group_row, shown))
    return (
        f'{curve}<div class="legend">{legend}</div>'
        f'<table class="groups">{header}{rows}</table>{more}'
    )


def _group_row(group: dict[str, Any]) -> str:
    parts = "".join(
        f'<i class="tone{_tone(index, len(group["labels"]))}"'
        f' style="width:{100 * label["share"]:.2f}%"'
        f' title="{_text(label["label"])}: {label["share"]:.1%}"></i>'
        for index, label in enumerate(group["labels"])
    )
    shares = f'<td class="stack"><div>{parts}</div></td>' if group["labels"] else ""
    mean = "" if group["mean"] is None else f"{group['mean']:.3f}"
    interval = " to ".join(f"{bound:.2f}" for bound in group["interval"] or ())
    return (
        f"<tr><th>{_text(group['group'])}</th><td>{group['records']:,}</td>{shares}"
        f"<td>{mean}</td><td>{interval}</td></tr>"
    )


def _curve(groups: Sequence[dict[str, Any]], scale: Scale) -> str:
    """The mean over time in a band that is its interval; empty if nothing is a curve."""
    dated = [g for g in groups if g["mean"] is not None and not g["group"].startswith("(")]
    if len(dated) < 2:
        return ""
    width, height = _CURVE
    bounds = [value for g in dated for value in (g["interval"] or [g["mean"]])]
    low, high = max(scale.low, min(bounds)), min(scale.high, max(bounds))
    spread = (high - low) or 1.0

    def points(values: Iterable[tuple[int, float]]) -> str:
        return " ".join(
            f"{index * width / (len(dated) - 1):.1f},"
            f"{height - (min(max(value, low), high) - low) * height / spread:.1f}"
            for index, value in values
        )

    intervals = [g["interval"] or [g["mean"], g["mean"]] for g in dated]
    upper = [(index, bound[1]) for index, bound in enumerate(intervals)]
    lower = [(index, bound[0]) for index, bound in enumerate(intervals)]
    means = [(index, g["mean"]) for index, g in enumerate(dated)]
    ends = f"<span>{_text(dated[0]['group'])}</span><span>{_text(dated[-1]['group'])}</span>"
    return (
        f'<figure><svg viewBox="0 0 {width} {height}" preserveAspectRatio="none" role="img"'
        f' aria-label="mean over time"><polygon points="{points([*upper, *reversed(lower)])}"/>'
        f'<polyline points="{points(means)}"/></svg><div class="axis">{ends}</div>'
        f"<figcaption>mean {_text(scale.name)} with its 95 % interval, drawn from {low:.2f} to"
        f" {high:.2f}</figcaption></figure>"
    )


def _texts(items: Sequence[dict[str, Any]]) -> str:
    rows = "".join(
        f"<tr><td>{item['value']:.3f}</td><td>{'<hr>'.join(map(_text, item['texts']))}"
        f"<small>line {item['line']:,}{_label(item['label'])}</small></td></tr>"
        for item in items
    )
    return f'<table class="texts">{rows}</table>'


def _label(label: str | None) -> str:
    return f", {_text(label)}" if label else ""
