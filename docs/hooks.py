"""Shows files of the repository as pages of the site, and turns their links into the site's."""

import posixpath
import re
from pathlib import PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

PAGES = {
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "README.md": "index.md",
    "benchmarks/README.md": "benchmarks.md",
    "evaluation/README.md": "evaluation.md",
    "export/README.md": "export.md",
    "swisscli/models/CHANGELOG.md": "model/changelog.md",
    "swisscli/models/minilm-l6-v2/README.md": "model/card.md",
    "training/README.md": "training.md",
}
"""The site's page of each file; README.md has a page of its own there."""
_SOURCES = {page: source for source, page in PAGES.items() if source != "README.md"}
_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?(?=\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the repository's files to those of `docs/`."""
    root = PurePosixPath(config.config_file_path).parent
    for page, source in _SOURCES.items():
        files.append(File.generated(config, page, abs_src_path=str(root / source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: Any) -> str:
    """Point a repository file's links to the site's pages, and else to the repository."""
    source = _SOURCES.get(page.file.src_uri)
    if source is None:
        return markdown

    def link(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), match[1]))
        if target not in PAGES:
            return f"{config.repo_url}/{target}{match[2] or ''}"
        start = posixpath.dirname(page.file.src_uri) or "."
        return posixpath.relpath(PAGES[target], start) + (match[2] or "")

    return _LINK.sub(link, markdown)
