"""`swiss summarize`: what the answers to many records say together."""

import csv
import io
import json
import math
import re
import statistics
from html.parser import HTMLParser

import pytest

WORDS = ("good film", "bad", "the a film", "good good", "", "bad bad film", "a")


@pytest.fixture
def reviews(tmp_path):
    """A table of 700 records, some of them blank or failed."""
    stream = io.StringIO(newline="")
    rows = csv.writer(stream)
    rows.writerow(["id", "text", "country", "date"])
    for n in range(700):
        text = "nan" if n == 13 else f"{WORDS[n % 7]} {'bcdefg'[n % 6]}" if WORDS[n % 7] else ""
        country, month = ("France", "Italy", " ")[n % 3], n % 12 + 1
        rows.writerow([n, text, country, "soon" if n == 20 else f"2024-{month:02}-15 10:00"])
    path = tmp_path / "reviews.csv"
    path.write_text(stream.getvalue(), newline="")
    return path


def summary_of(swiss, path, *options, exit_code=1):
    outcome = swiss("summarize", "sentiment", path, "--format", "json", *options)
    assert outcome.exit_code == exit_code, outcome.stderr
    return json.loads(outcome.stdout)


def test_counts_shares_mean_and_histogram(swiss, jsonl, reviews):
    found = summary_of(swiss, reviews)
    records = jsonl(swiss("predict", "sst", reviews, "--format", "jsonl").stdout)
    answered = [record for record in records if record["sentiment_label"]]
    values = [
        sum(n * p for n, p in enumerate(record["sentiment_probabilities"])) / 2 - 1
        for record in answered
    ]
    assert (found["records"], found["answered"], found["skipped"], found["failed"]) == (
        (700, len(values), 100, 1)
    )
    labels = [record["sentiment_label"] for record in answered]
    for label in found["labels"]:
        assert label["count"] == labels.count(label["label"])
        assert label["share"] == pytest.approx(label["count"] / len(labels), abs=1e-6)
    assert found["mean"] == pytest.approx(statistics.fmean(values), abs=1e-5)
    half = 1.959964 * statistics.stdev(values) / math.sqrt(len(values))
    assert found["interval"] == pytest.approx(
        [found["mean"] - half, found["mean"] + half], abs=1e-5
    )
    assert sum(item["count"] for item in found["histogram"]) == len(values)
    assert found["highest"][0]["value"] == pytest.approx(max(values), abs=1e-5)
    assert found["lowest"][0]["value"] == pytest.approx(min(values), abs=1e-5)
    texts = [tuple(item["texts"]) for item in found["highest"]]
    assert len(texts) == len(set(texts)) == 5


def test_groups(swiss, reviews):
    found = summary_of(swiss, reviews, "--by", "Country", "--classes", 3)
    groups = found["by"][0]["groups"]
    assert [group["group"] for group in groups] == ["France", "Italy", "(none)"]
    assert sum(group["records"] for group in groups) == 700
    for part in ("answered", "failed", "skipped"):
        assert sum(group[part] for group in groups) == found[part]
    assert [label["label"] for label in found["labels"]] == ["negative", "neutral", "positive"]


def test_periods_are_in_order_of_time(swiss, reviews):
    found = summary_of(swiss, reviews, "--by", "date:month")
    names = [group["group"] for group in found["by"][0]["groups"]]
    assert names == [*(f"2024-{month:02}" for month in range(1, 13)), "(no date)"]
    quarters = summary_of(swiss, reviews, "--by", "date:quarter")["by"][0]["groups"]
    assert [group["group"] for group in quarters][:2] == ["2024-Q1", "2024-Q2"]
    outcome = swiss("summarize", "sst", reviews, "--by", "date:month")
    assert "some records have no readable date" in outcome.stderr


def test_several_columns_are_summarized_each_on_its_own(swiss, reviews, tmp_path):
    by = ("--by", "Country", "--by", "date:quarter")
    both = summary_of(swiss, reviews, *by)["by"]
    assert [(grouped["column"], grouped["period"]) for grouped in both] == [
        *(("Country", None), ("date", "quarter"))
    ]
    for grouped, option in zip(both, by[1::2], strict=True):
        assert grouped == summary_of(swiss, reviews, "--by", option)["by"][0]
    for layout in ("text", "md"):
        shown = swiss("summarize", "sst", reviews, *by, "--format", layout).stdout.decode().lower()
        assert shown.index("by country") < shown.index("by quarter of date")
    swiss("summarize", "sst", reviews, *by, "--html", "both.html")
    page = (tmp_path / "both.html").read_text("utf-8")
    assert page.index("By Country") < page.index("By quarter of date")


def test_many_groups_stay_bounded(swiss, tmp_path):
    data = "text,user\n" + "".join(f"good,u{n}\n" for n in range(1200))
    (tmp_path / "many.csv").write_text(data)
    found = summary_of(swiss, "many.csv", "--by", "user", exit_code=0)
    groups = found["by"][0]["groups"]
    assert len(groups) == 1001
    assert (groups[-1]["group"], groups[-1]["records"]) == ("(other)", 200)


def test_text_and_markdown(swiss, reviews):
    text = swiss("summarize", "sentiment", reviews, "--by", "country").stdout.decode()
    assert "700 records" in text
    assert "█" in text
    assert "\x1b" not in text
    assert "most negative" in text
    shown = swiss("summarize", "sentiment", reviews, "--by", "country", "--format", "md")
    assert "| France | 234 |" in shown.stdout.decode()


@pytest.mark.parametrize("task", ["paraphrase", "similarity"])
def test_pairs(swiss, task):
    data = b"good\tbad film\nbad\tbad\n\tgood\n"
    outcome = swiss("summarize", task, "--format", "json", input=data)
    found = json.loads(outcome.stdout)
    assert (found["records"], found["answered"]) == (3, 2)
    assert bool(found["labels"]) == (task == "paraphrase")
    assert len(found["highest"][0]["texts"]) == 2


def test_nothing_to_summarize(swiss):
    found = json.loads(swiss("summarize", "sst", "--format", "json", input=b"\n").stdout)
    assert (found["mean"], found["interval"], found["answered"]) == (None, None, 0)
    assert swiss("summarize", "sst", "--html", "x.html", input=b"").exit_code == 0


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags = []
        self.text = ""
        self.addresses = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        self.text += data


def test_the_page_loads_nothing_and_shows_texts_as_text(swiss, tmp_path):
    text = "good <script>alert(1)</script> \u202e film"
    (tmp_path / "in.csv").write_text(f"text,at\n{text},2024-01-01\nbad,2024-02-01\n")
    outcome = swiss("summarize", "sst", "in.csv", "--by", "at:month", "--html", "out.html")
    assert outcome.exit_code == 0, outcome.stderr
    data = (tmp_path / "out.html").read_text("utf-8")
    page = _Page()
    page.feed(data)
    assert page.addresses == []
    assert not re.search(r"url\(|@import|https?:", data)
    assert "script" not in page.tags
    assert "good <script>alert(1)</script> \\u202e film" in page.text
    assert {"svg", "table", "figure"} <= set(page.tags)
    assert swiss("summarize", "sst", "in.csv", "--html", "out.html").exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["--by", "nope"], "no column named 'nope'", "id, text, country, date"),
        (["--by", ""], "names no column", "--by country"),
    ],
)
def test_what_cannot_be_grouped(swiss, reviews, arguments, message, hint):
    outcome = swiss("summarize", "sst", reviews, *arguments)
    assert (outcome.exit_code, outcome.stdout) == (2, b"")
    assert message in outcome.stderr
    assert hint in outcome.stderr


def test_several_tasks_are_refused(swiss):
    assert swiss("summarize", "para,sts", input=b"good\tbad\n").exit_code == 2


def test_predict_can_sum_up_beside_its_answers(swiss, reviews):
    plain = swiss("predict", "sentiment", reviews, "--classes", 3)
    outcome = swiss("predict", "sentiment", reviews, "--classes", 3, "--summary")
    assert outcome.exit_code == plain.exit_code == 1
    assert outcome.stdout == plain.stdout
    summary = swiss("summarize", "sentiment", reviews, "--classes", 3)
    assert summary.stdout.decode() in outcome.stderr
    refused = swiss("predict", "paraphrase,similarity", "absent.tsv", "--summary")
    assert "--summary is for one task, not 2" in refused.stderr
