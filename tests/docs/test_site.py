"""The documentation site: its generated pages are current, its links lead somewhere, it builds."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs import generate, hooks
from tests.support.paths import ROOT

GENERATED = ("reference/commands.md", "methods.md", "model/architecture.svg")
DOCUMENTS = sorted(
    path
    for path in (
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "swisscli" / "models").rglob("*.md"),
        *(ROOT / folder / "README.md" for folder in ("training", "export", "evaluation")),
        *(ROOT / folder / "README.md" for folder in ("benchmarks", "examples/training")),
    )
)
SOURCES = {page: source for source, page in hooks.PAGES.items()}
"""The file that a page of the site shows, by the page."""
LINK = re.compile(r"\]\((?![a-z]+:)([^)#\s]*)(?:#([^)\s]+))?\)")


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return generate.pages()


@pytest.mark.parametrize("name", GENERATED)
def test_a_generated_page_is_what_the_code_says(pages: dict[str, str], name: str) -> None:
    assert set(pages) == set(GENERATED)
    is_current = (ROOT / "docs" / name).read_text(encoding="utf-8") == pages[name]
    assert is_current, f"docs/{name} is not current: run `make docs-reference` and commit it"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(path: Path) -> None:
    docs = ROOT / "docs"
    for target, anchor in LINK.findall(without_code(path)):
        found = (path.parent / target).resolve() if target else path
        if docs in found.parents and not found.exists():
            found = ROOT / SOURCES.get(str(found.relative_to(docs)), "missing")
        assert found.exists(), f"{target} does not exist"
        if anchor and found.suffix == ".md":
            assert anchor in anchors(found), f"{found} has no heading #{anchor}"


def without_code(path: Path) -> str:
    text = re.sub(r"^( *)```.*?^\1```$", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "", text)


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as the site and code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="needs the dependency group docs")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    for page in tmp_path.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r'<(?:script|img|iframe)[^>]*\ssrc="(?:https?:)?//', text)
        assert not re.findall(r'<link[^>]*rel="stylesheet"[^>]*href="(?:https?:)?//', text)
    api = (tmp_path / "reference" / "api" / "index.html").read_text(encoding="utf-8")
    for name in ("Predictor", "Prediction", "Record", "TrainConfig", "ModelDirectory", "Evaluated"):
        assert f">{name}<" in api
