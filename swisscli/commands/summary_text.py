"""A summary as text for a terminal."""

from typing import Any, TextIO

from swisscli import console
from swisscli.inference.summary.markdown import (
    describe_grouping,
    format_counts,
    format_mean,
    group_header,
    group_row,
)
from swisscli.inference.summary.statistics import Scale

_MAX_SHOWN_GROUPS = 30


def summary_text(found: dict[str, Any], scale: Scale, stream: TextIO) -> str:
    """Counts, mean, bars, groups and extreme texts, for a terminal."""
    parts = [
        f"{found['task']}: {found['records']:,} records: {format_counts(found)}\n"
        f"mean {scale.name}: {format_mean(found)}\n"
    ]
    if found["labels"]:
        last = len(found["labels"]) - 1
        rows = [
            (label["label"], label["count"], label["share"], _choose_style(2 * index - last))
            for index, label in enumerate(found["labels"])
        ]
        parts.append(console.bar_table("labels", rows, stream))
    parts.append(console.histogram(scale.name, found["histogram"], stream))
    for grouped in found["by"]:
        groups = grouped["groups"]
        shown = list(map(group_row, groups[:_MAX_SHOWN_GROUPS]))
        header = group_header(found, grouped)
        parts.append(console.text_table(f"by {describe_grouping(grouped)}", header, shown, stream))
        if len(groups) > len(shown):
            parts[-1] += f"{len(groups) - len(shown):,} more: add --format json\n"
    for title, key in ((scale.highest, "highest"), (scale.lowest, "lowest")):
        texts = [
            [f"{item['line']:,}", f"{item['value']:.3f}", " / ".join(item["texts"])]
            for item in found[key]
        ]
        if texts:
            parts.append(console.text_table(title, ("line", "value", "text"), texts, stream))
    return "\n".join(parts)


def _choose_style(side: int) -> str:
    return "red" if side < 0 else "green" if side > 0 else "bright_black"
