"""The page of a batch: complete by itself, true to its numbers, and safe from names."""

import re
from html.parser import HTMLParser

from hrpose_rt.batch.manifest import Entry
from hrpose_rt.batch.store import FolderStore
from hrpose_rt.batch.summary import Summary
from hrpose_rt.batch.summary_page import LEFT, RIGHT, WIDTH, page
from hrpose_rt.timing import LatencyTable
from hrpose_rt.types import StageTimes


class Elements(HTMLParser):
    """Collects the elements with their attributes, and the text of the cells row by row."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.rows: list[list[str]] = []
        self._cell = False
        self.feed(text)

    def handle_starttag(self, tag, attrs) -> None:
        self.found.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._cell = True

    def handle_endtag(self, tag) -> None:
        self._cell &= tag not in ("td", "th")

    def handle_data(self, data) -> None:
        if self._cell:
            self.rows[-1][-1] += data


def table() -> LatencyTable:
    made = LatencyTable()
    made.add(3, StageTimes(detect=30.0, pose=10.0, total=40.0))
    made.add(3, StageTimes(detect=50.0, pose=10.0, total=60.0))
    made.add(30, StageTimes(detect=40.0, pose=160.0, total=200.0))
    return made


ENTRIES = (
    Entry("a", "/a.mp4", state="done", frames=20, people=3, seconds=4.0),
    Entry("<b>&", "/b.mp4", state="failed", reason="<script>alert(1)</script>"),
)


def test_page_loads_nothing_and_escapes_names_and_reasons() -> None:
    elements = Elements(text := page("x<y", "1 done", ENTRIES, table()))
    assert not {tag for tag, _ in elements.found} & {"script", "img", "iframe", "b", "object"}
    links = [attributes["href"] for _, attributes in elements.found if "href" in attributes]
    assert links == ["data:,", "a/"]
    assert not re.search(r"url\(|@import|https?:", text)
    assert "<title>Batch x&lt;y</title>" in text


def test_failed_videos_come_first_and_rates_are_frames_by_seconds() -> None:
    rows = Elements(page("x", "", ENTRIES, table())).rows
    assert rows[-2] == ["<b>&", "failed", "0", "0", "0.0", "", "<script>alert(1)</script>"]
    assert rows[-1] == ["a", "done", "20", "3", "4.0", "5.0", ""]


def test_bars_are_as_long_as_the_means_of_the_stages() -> None:
    text = page("x", "", ENTRIES, table())
    widths = {
        tuple(re.search(r"<title>(\w+): ([\d.]+) ms", rest).groups()): float(width)
        for width, rest in re.findall(r'<rect [^>]*? width="([\d.]+)"[^>]*>(<title>[^<]*)', text)
    }
    a_ms = (WIDTH - LEFT - RIGHT) / 200  # the longer bar fills the plot
    assert abs(widths["detect", "40.0"] - 40 * a_ms) < 0.1
    assert abs(widths["pose", "160.0"] - 160 * a_ms) < 0.1
    assert abs(widths["pose", "10.0"] - 10 * a_ms) < 0.1
    ends = [float(end) for end in re.findall(r'text-anchor="start">([\d.]+)<', text)]
    assert ends == [50, 200]


def test_curves_rise_from_the_fastest_frame_to_the_slowest() -> None:
    (one, _) = re.findall(r'<path [^>]*d="M([^"]+)"', page("x", "", ENTRIES, table()))
    points = [tuple(map(float, point.split())) for point in one.split("L")]
    assert points == sorted(points, key=lambda point: (point[0], -point[1]))
    a_ms = (WIDTH - LEFT - RIGHT) / 200
    assert abs(points[0][0] - LEFT - 40 * a_ms) < 0.02 * 40 * a_ms  # histograms are within 1%
    assert abs(points[-1][0] - LEFT - 60 * a_ms) < 0.02 * 60 * a_ms


def test_batch_without_frames_has_a_page_with_its_videos_alone(tmp_path) -> None:
    Summary(ENTRIES[1:], LatencyTable()).write(FolderStore(tmp_path))
    elements = Elements((tmp_path / "summary.html").read_text(encoding="utf-8"))
    assert "svg" not in {tag for tag, _ in elements.found}
    assert elements.rows[-1][1] == "failed"
