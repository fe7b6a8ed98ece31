"""The page for browsers itself: its outline, its colours, and what a browser makes of it."""

import json
import re
import shutil
import subprocess
import time
from html.parser import HTMLParser
from importlib.resources import files
from itertools import pairwise

import numpy as np
import pytest

from tests.sinks.test_video import results
from tests.sinks.web_client import get


class PageOutline(HTMLParser):
    """The tags of a page with their attributes, in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


PAGE = (files("hrpose_rt.sinks") / "web.html").read_text()


def test_web_page_has_headings_landmarks_and_labels() -> None:
    tags = PageOutline(PAGE).tags
    names = [name for name, _ in tags]
    assert dict(tags)["html"] == {"lang": "en"}
    assert names.count("h1") == names.count("main") == names.count("header") == 1
    assert names.count("table") == names.count("caption") == 2
    ids = {attributes["id"] for _, attributes in tags if "id" in attributes}
    for name, attributes in tags:
        labels = [attributes[key] for key in ("aria-labelledby", "aria-describedby") if key in attributes]
        assert ids.issuperset(labels)
        assert labels or name not in ("section", "svg")
    (status,) = [attributes for _, attributes in tags if attributes.get("role") == "status"]
    assert status["id"] == "status"
    assert 'scope: "col"' in PAGE and 'scope: "row"' in PAGE and "alt = `Live picture" in PAGE
    assert "width=device-width" in PAGE and ":focus-visible" in PAGE and "min-height: 44px" in PAGE


def test_web_page_loads_nothing_from_other_hosts_and_has_no_motion() -> None:
    assert set(re.findall(r"https?://[^\s\"']+", PAGE)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"@import|url\(|transition|animation|innerHTML|eval\(", PAGE)
    assert " style=" not in PAGE and not re.search(r" on\w+=", PAGE)


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours `#rrggbb`. Source: WCAG 2.2."""

    def luminance(colour: str) -> float:
        levels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
        return float(linear @ (0.2126, 0.7152, 0.0722))

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_of_black_on_white_is_21() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


def test_web_page_colours_have_contrast_in_both_themes() -> None:
    starts = [match.start() for match in re.finditer(":root", PAGE)]
    assert len(starts) == 2 and "prefers-color-scheme: dark" in PAGE[: starts[1]]
    for begin, end in pairwise([*starts, PAGE.index("  * {")]):
        colours = dict(re.findall(r"--(\w+): (#\w{6});", PAGE[begin:end]))
        assert set(colours) == {"page", "ink", "soft", "mark", "link", "rule", "dot", "bar", "focus"}
        for name in ("ink", "soft", "mark", "link"):
            assert contrast(colours[name], colours["page"]) >= 4.5, name
        for name in ("dot", "bar", "focus"):
            assert contrast(colours[name], colours["page"]) >= 3, name


@pytest.mark.slow
def test_web_page_renders_in_chromium(view, tmp_path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if not browser:
        pytest.skip("no Chromium here")
    panel = view.panel("", "video")
    for result in results(3):
        panel.write(result, result.frame.image)
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
    with subprocess.Popen(
        [browser, *options, f"--user-data-dir={tmp_path}", view.url], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            line = next(line for line in process.stderr if "DevTools listening on" in line)
            port = re.search(r":(\d+)/", line).group(1)
            deadline, title = time.monotonic() + 20, ""
            while not title.endswith("people, hrpose-rt") and time.monotonic() < deadline:
                time.sleep(0.2)
                title = json.loads(get(f"http://127.0.0.1:{port}/json/list")[1])[0]["title"]
        finally:
            process.terminate()
    # The last thing that the page paints, once pictures, stages and chart are there.
    assert title == f"{len(result)} people, hrpose-rt"
