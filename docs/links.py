"""A hook of mkdocs: files of the repository that pages link to become part of the site.

They lie under `repository/`. So a link such as `../README.md` works on the site and also where the
repository is browsed.
"""

import os.path
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
SITE_FOLDER = "repository"
IN_NAVIGATION = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "benchmarks/README.md")
LINK = re.compile(r"(?<=\]\()[^)\s#:]+(?=[#)])")  # the path in a link to a file


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what the pages link to, and what those files link to."""
    queue = [ROOT / name for name in IN_NAVIGATION]
    queue += [target for page in files.documentation_pages() for target in _linked(DOCS / page.src_uri)]
    added = set()
    while queue:
        path = queue.pop()
        if path not in added and path.is_file() and DOCS not in path.parents:
            added.add(path)
            files.append(File.generated(config, _site_path(path), abs_src_path=str(path)))
            queue += _linked(path)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point the links of a page to where their targets are on the site."""
    path = Path(page.file.abs_src_path or "")
    folder = os.path.dirname(page.file.src_uri) or "."

    def moved(link: re.Match[str]) -> str:
        target = _target(path, link[0])
        return os.path.relpath(_site_path(target), folder) if target.is_file() else link[0]

    return LINK.sub(moved, markdown)


def _linked(page: Path) -> list[Path]:
    links = LINK.findall(page.read_text(encoding="utf-8")) if page.suffix == ".md" else []
    return [_target(page, link) for link in links]


def _target(page: Path, link: str) -> Path:
    return Path(os.path.normpath(page.parent / link))


def _site_path(path: Path) -> str:
    if DOCS in path.parents:
        return path.relative_to(DOCS).as_posix()
    return f"{SITE_FOLDER}/{path.relative_to(ROOT).as_posix()}"
