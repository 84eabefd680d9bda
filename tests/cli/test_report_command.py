"""`swiss report`: the page, opened in a real browser, and what is refused."""

import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from swiss_evaluation.attention.reader import AttentionReader, open_directory
from tests.support.paths import DATA, ENCODER
from tests.support.program import run_swiss
from tests.support.training import make_model, write_run

BROWSER = next(
    (
        found
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (found := shutil.which(name))
    ),
    None,
)
EVIL = '</script><img src=x onerror=alert(1)> <b>bold</b> & "quoted" $x$'
SECTIONS = (
    "summary",
    "architecture",
    "training",
    "labels",
    "sentiment",
    "paraphrase",
    "similarity",
    "attention",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("trained") / "run"
    options = (
        *("--encoder", ENCODER, "--data", DATA, "--pooling", "mean", "--awl"),
        *("--batch-size", 16, "--learning-rate", 1e-3, "--precision", "fp32", "--device", "cpu"),
        *("--epochs", 2, "--log-every", 2, "--output", run),
    )
    outcome = run_swiss(run.parent, "train", *options)
    assert outcome.exit_code == 0, outcome.stderr
    return run


@pytest.fixture(scope="module")
def page(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on data that tries to get out of its place."""
    folder = tmp_path_factory.mktemp("page")
    dev = (DATA / "ids-sst-dev.csv").read_text()
    quoted = EVIL.replace('"', '""')
    (folder / "dev.csv").write_text(dev + f'99\tevil\t"{quoted}"\t0\n98\tevil\t"{quoted}"\t4\n')
    options = (
        *("--data", DATA, "--dev", f"sst={folder / 'dev.csv'}", "--pair", EVIL, "a film"),
        *("--errors", 50, "--layers", "0,1", "--heads", "0,2", "-o", folder / "report.html"),
    )
    outcome = run_swiss(folder, "report", trained, *options)
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stdout == b""
    return folder / "report.html"


class _Document(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def ids(self) -> list[str]:
        return [attributes["id"] or "" for _, attributes in self.tags if "id" in attributes]


def test_the_page_holds_everything_and_loads_nothing(page: Path, trained: Path) -> None:
    text = page.read_text()
    document = _Document(text)
    ids = document.ids()
    assert [name for name in ids if name in SECTIONS] == list(SECTIONS)
    assert len(ids) == len(set(ids))
    for _, attributes in document.tags:
        for name in ("src", "href", "xlink:href", "action", "srcset"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:"))
    assert not re.search(r"@import|url\((?!#)", text)
    drawings = [a for tag, a in document.tags if tag == "svg"]
    # 1 architecture, 4 curves, 3 distributions, 2 of each classification and 1 scatter,
    # 3 by length, 4 heatmaps.
    assert len(drawings) == 1 + 4 + 3 + 2 * 2 + 1 + 3 + 4
    assert all(a["role"] == "img" and a["aria-label"] for a in drawings)
    for words in (
        "Loss of each task",
        "Task weights",
        "Learning rate",
        "96 train rows and 32 dev rows.",
        "Confusion matrix",
        "Expected calibration error",
        "Predicted over true score",
        "Accuracy by length",
        "Mean absolute error by length",
        "of 46 dev rows",
        "Layer 1, head 2",
        "seed 11711",
        "torch",
    ):
        assert words in document.text, words
    sha256 = re.search(r"\b[0-9a-f]{64}\b", document.text)
    assert sha256
    assert sha256[0] in (trained / "manifest.json").read_text()


def test_texts_of_the_data_are_never_markup(page: Path) -> None:
    text = page.read_text()
    document = _Document(text)
    assert EVIL in document.text
    tags = {tag for tag, _ in document.tags}
    assert not tags & {"img", "b", "iframe"}
    assert not [a for _, a in document.tags if any(name.startswith("on") for name in a)]
    assert "onerror=alert(1)>" not in text


def test_figures_agree_with_swiss_evaluate(swiss: Any, trained: Path, page: Path) -> None:
    outcome = swiss("evaluate", trained, "--data", DATA)
    words = _Document(page.read_text()).text
    for line in outcome.stdout.decode().splitlines()[1:3]:
        task, metric, value, rows = line.split("\t")
        assert f"{task} {metric} {value} {rows}" in words


def browse(page: Path, profile: Path, address: str = "", *options: str) -> tuple[str, str]:
    """Open a page without a network; its elements after the scripts ran, and the log."""
    assert BROWSER
    done = subprocess.run(
        [
            BROWSER,
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *(f"--user-data-dir={profile}", "--virtual-time-budget=10000", "--no-first-run"),
            *("--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--v=0"),
            *(options or ("--dump-dom",)),
            f"{page.as_uri()}{address}",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout, done.stderr


needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome on the PATH")


def cells(dom: str) -> list[str]:
    view = dom[dom.index('id="attention-view"') : dom.index('id="attention-data"')]
    return re.findall(r"<title>([^<]*)</title>", view)


@needs_browser
def test_a_browser_draws_the_attention_of_any_layer_and_head(
    page: Path, trained: Path, tmp_path: Path
) -> None:
    found = AttentionReader(open_directory(trained)).read((EVIL, "a film"))
    size = min(len(found.tokens), 40)
    drawn = {}
    for address, layer, head in (("", 1, 0), ("#layer=0&head=2", 0, 2), ("#view=0&layer=99", 1, 0)):
        dom, log = browse(page, tmp_path / "profile", address)
        assert "CONSOLE" not in log, log
        document = _Document(dom)
        assert [name for name in document.ids() if name in SECTIONS] == list(SECTIONS)
        (view,) = [a for _, a in document.tags if a.get("id") == "attention-view"]
        assert "hidden" not in view
        assert view["data-drawn"] == f"view=0&layer={layer}&head={head}"
        titles = cells(dom)
        assert len(titles) == size * size
        values = [float(title.rpartition(": ")[2]) for title in titles]
        matrix = found.probabilities_LHTT[layer, head, :size, :size]
        assert values == pytest.approx(matrix.flatten().tolist(), abs=0.008)
        assert not {tag for tag, _ in document.tags} & {"img", "b"}
        drawn[address] = values
    assert drawn[""] != drawn["#layer=0&head=2"]


@needs_browser
def test_choosing_draws_anew_and_changes_the_address(page: Path, tmp_path: Path) -> None:
    script = """<script>
      const select = document.querySelector("select[name=head]");
      select.value = "3";
      select.dispatchEvent(new Event("change", { bubbles: true }));
      document.body.dataset.chosen = location.hash;
      location.hash = "#layer=0&head=1";
    </script></body>"""
    changed = tmp_path / "changed.html"
    changed.write_text(page.read_text().replace("</body>", script))
    dom, log = browse(changed, tmp_path / "profile")
    assert "CONSOLE" not in log, log
    document = _Document(dom)
    (body,) = [a for tag, a in document.tags if tag == "body"]
    assert body["data-chosen"] == "#view=0&layer=1&head=3"
    (view,) = [a for _, a in document.tags if a.get("id") == "attention-view"]
    assert view["data-drawn"] == "view=0&layer=0&head=1"


@needs_browser
def test_the_browser_would_tell_of_an_error_and_the_page_reaches_no_network(
    page: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.html"
    addition = '<img src="https://example.org/x.png"><script>null.nothing</script></body>'
    broken.write_text(page.read_text().replace("</body>", addition))
    _, log = browse(broken, tmp_path / "profile")
    assert "Uncaught TypeError" in log
    assert "violates the following Content Security Policy" in log


@needs_browser
def test_it_is_drawn_to_the_end(page: Path, tmp_path: Path) -> None:
    shot = tmp_path / "shot.png"
    browse(page, tmp_path / "profile", "", "--window-size=1200,3000", f"--screenshot={shot}")
    assert shot.stat().st_size > 100_000


def test_an_exported_directory_shows_the_attention_of_its_graph(
    swiss: Any, trained: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "sts-dev.csv").write_bytes((DATA / "sts-dev.csv").read_bytes())
    export = ("--precision", "int8", "--output", "small", "--max-drop", 1)
    assert swiss("export", trained, *export).exit_code == 0
    outcome = swiss("report", "small", "--data", data)
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stderr.startswith("small by onnx, int8 on cpu\n")
    words = _Document((tmp_path / "report.html").read_text()).text
    assert "the model directory has no log.jsonl" in words
    assert "The train and dev files of sentiment are missing." in words
    assert "46 dev rows; the train file is missing." in words
    assert 'id="attention-data"' in (tmp_path / "report.html").read_text()


def test_pairs_from_a_file(swiss: Any, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("a film\tthe film\ntwo films\tone film\n")
    outcome = swiss("report", trained, "--pairs", "pairs.tsv", "--layers", "1")
    assert outcome.exit_code == 0, outcome.stderr
    words = _Document((tmp_path / "report.html").read_text()).text
    assert words.count("Layer 1, head 0: ") == 2
    assert "Layer 1, head 0: two films / one film" in words


def write_pairs(count: int) -> None:
    Path("pairs.tsv").write_text("a\tb\n" * count)


def write_log(run: Path) -> None:
    (run / "log.jsonl").write_text("{\n")


@pytest.mark.parametrize(
    ("args", "exit_code", "messages"),
    [
        ((), 4, ("runs: no finished run of swiss train",)),
        (("run", "--layers", "0,7"), 2, ("--layers names 7, this model's are 0 to 1",)),
        (("run", "--heads", "first"), 2, ("--heads 'first' is not a list of numbers",)),
        (("run", "--errors", 0), 2, ("--errors",)),
        (("run", "-o", "no/report.html"), 2, ("no: no such directory",)),
        (("run", "-o", "pairs.tsv"), 2, ("pairs.tsv: already exists", "--force")),
        (("run", "--pair", "", "b"), 2, ("--pair has an empty text",)),
        (("run", "--pairs", "pairs.tsv"), 2, ("more than 8 pairs",)),
        (("run", "--pairs", "absent.tsv"), 3, ("absent.tsv",)),
        (("run", "--data", "."), 3, ("no dev file of sentiment, paraphrase, similarity",)),
        (("absent",), 4, ("so absent is not a model directory",)),
        (
            ("run", "--layers", "9", "--heads", "8", "-o", "pairs.tsv", "--data", "gone"),
            2,
            (
                "4 problems",
                "--layers names 9",
                "--heads names 8",
                "already exists",
                "gone: no such",
            ),
        ),
    ],
)
def test_mistakes(
    swiss: Any, tmp_path: Path, args: tuple[str, ...], exit_code: int, messages: tuple[str, ...]
) -> None:
    write_run(tmp_path / "run", make_model())
    write_pairs(9)
    outcome = swiss("report", *args)
    assert outcome.exit_code == exit_code, outcome.stderr
    assert "Traceback" not in outcome.stderr
    for message in messages:
        assert message in outcome.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pairs.tsv", "run"]


def test_a_damaged_log(swiss: Any, tmp_path: Path) -> None:
    write_log(write_run(tmp_path / "run", make_model()))
    outcome = swiss("report", "run")
    assert outcome.exit_code == 4
    assert "run/log.jsonl:1: not an entry of a run's log" in outcome.stderr


def test_damaged_metrics_are_found_before_the_model_runs(swiss: Any, tmp_path: Path) -> None:
    (write_run(tmp_path / "run", make_model()) / "metrics.json").write_text("{")
    outcome = swiss("report", "run")
    assert outcome.exit_code == 4
    assert "run/metrics.json: its sha256 differs from the manifest" in outcome.stderr
    assert "fp32 on cpu" not in outcome.stderr


@pytest.mark.parametrize("command", ["evaluate", "report", "attention"])
def test_help_names_every_option(swiss: Callable[..., Any], command: str) -> None:
    outcome = swiss(command, "--help", COLUMNS="100")
    assert outcome.exit_code == 0
    text = outcome.stdout.decode()
    options = {
        "evaluate": ("--data", "--dev", "--backend", "--output", "--force", "--format", "--device"),
        "report": ("--data", "-o", "--pair ", "--pairs", "--layers", "--heads", "--errors"),
        "attention": ("--model", "--layer", "--head", "-o", "--force", "--color"),
    }
    for word in ("Exit status:", "--debug", *options[command]):
        assert word in text
