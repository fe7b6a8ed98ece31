"""The documentation site builds strictly and without a network. Its API page has every public name."""

import html
import os
import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

import hrpose_rt

ROOT = Path(__file__).parents[1]
# mkdocs in a process that ends as soon as something asks for an address or opens a connection.
OFFLINE_BUILD = """
import os, socket, sys

def refuse(*address, **_):
    sys.stderr.write(f"the build asks the network for {address}\\n")
    sys.stderr.flush()
    os._exit(3)

socket.getaddrinfo = socket.socket.connect = refuse
from mkdocs.__main__ import cli
cli()
"""
LOADED = re.compile(r"""<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=["']?(?:https?:)?//[^>]*>""")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The built site."""
    if find_spec("material") is None or find_spec("mkdocstrings") is None:
        pytest.skip("mkdocs-material and mkdocstrings are not installed: pip install -e '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-c", OFFLINE_BUILD, "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_api_page_has_every_public_name(site: Path) -> None:
    page = (site / "api.html").read_text(encoding="utf-8")
    assert [name for name in hrpose_rt.__all__ if f'id="hrpose_rt.{name}"' not in page] == []


@pytest.mark.slow
def test_site_has_every_page_and_the_files_they_link_to(site: Path) -> None:
    pages = {page.with_suffix(".html").name for page in (ROOT / "docs").glob("*.md")}
    assert pages <= {page.name for page in site.iterdir()}
    for name in ("index.html", "CHANGELOG.html", "models/hrnet-w16-lite.html", "samples/poses.ipynb"):
        assert (site / "repository" / name).is_file(), name
    assert not list(site.rglob("*.py"))


@pytest.mark.slow
def test_site_pages_load_nothing_from_other_hosts(site: Path) -> None:
    loaded = {page.name: LOADED.findall(page.read_text(encoding="utf-8")) for page in site.rglob("*.html")}
    assert len(loaded) > 10
    assert {name: tags for name, tags in loaded.items() if tags} == {}


def test_public_classes_and_functions_have_an_example() -> None:
    public = {name: getattr(hrpose_rt, name) for name in hrpose_rt.__all__}
    assert len(callables := {name for name in public if callable(public[name])}) > 15
    assert {name for name in callables if ">>> " not in (public[name].__doc__ or "")} == set()


@pytest.mark.slow
def test_api_page_shows_examples_with_their_output_as_code(site: Path) -> None:
    page = (site / "api.html").read_text(encoding="utf-8")
    blocks = "".join(re.findall(r"<pre>.*?</pre>", page, re.S))
    assert page.count("&gt;&gt;&gt;") == blocks.count("&gt;&gt;&gt;") > 50
    assert "missing.mp4 does not exist: check the path" in html.unescape(re.sub("<[^>]+>", "", blocks))


def test_navigation_names_every_page() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert [page.name for page in (ROOT / "docs").glob("*.md") if f" {page.name}\n" not in navigation] == []


def test_citation_agrees_with_project() -> None:
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    cited = dict(re.findall(r"^([a-z-]+): (.+)$", text, re.M))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (cited["title"], cited["version"], cited["license"]) == (
        project["name"],
        hrpose_rt.__version__,
        project["license"],
    )
