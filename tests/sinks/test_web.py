"""The page for browsers: what it serves, to whom, and that nobody can slow the run down."""

import json
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from itertools import pairwise

import cv2
import numpy as np
import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.sinks import web
from hrpose_rt.sinks import web_security as web_guard
from hrpose_rt.sinks.web import WebView, parse_address
from hrpose_rt.sinks.web_panel import LOOK_S
from tests.sinks.test_video import results


@pytest.fixture
def view() -> Iterator[WebView]:
    with WebView() as view:
        yield view


def get(url: str, host: str | None = None) -> tuple[int, bytes]:
    request = urllib.request.Request(url, headers={"Host": host} if host else {})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def next_picture(stream) -> np.ndarray:
    """The next JPEG of a multipart stream."""
    size = 0
    while (line := stream.readline()) != b"\r\n":
        if line.lower().startswith(b"content-length:"):
            size = int(line.split(b":")[1])
    data = stream.read(size)
    assert stream.readline() == b"\r\n" and stream.readline() == b"--picture\r\n"
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def test_web_serves_page_and_state_json(view) -> None:
    status, page = get(view.url)
    assert status == 200 and b"Latency by number of people" in page
    assert json.loads(get(view.url + "state")[1]) == {"panels": [], "costs": []}
    panel = view.panel("", "video")
    assert json.loads(get(view.url + "state")[1])["panels"] == [{"name": "video", "frames": 0}]
    written = results(3)
    for result in written:
        panel.write(result, result.frame.image)
    state = json.loads(get(view.url + "state")[1])
    (shown,) = state["panels"]
    assert (shown["frames"], shown["people"]) == (3, len(result))
    assert shown["latency_ms"]["total"] == pytest.approx(result.times.total, abs=0.01)
    counts = Counter(len(result) for result in written)
    assert [cost[:2] for cost in state["costs"]] == sorted(map(list, counts.items()))


def test_web_streams_jpeg_frames_with_people_drawn(view) -> None:
    panel = view.panel("", "video")
    first, second, third = results(3)
    panel.write(first, first.frame.image)
    with urllib.request.urlopen(view.url + "live/0", timeout=5) as stream:
        assert stream.readline() == b"--picture\r\n"
        picture = next_picture(stream)
        assert np.abs(picture.astype(int) - first.draw()).mean() < 6
        panel.write(second, second.frame.image)
        assert next_picture(stream).shape == picture.shape
        panel.write(third, third.frame.image)
        next_picture(stream)
    assert get(view.url + "live/7")[0] == 404


def next_state(stream) -> dict:
    """The next state of an event stream."""
    line = stream.readline()
    assert line.startswith(b"data: ") and stream.readline() == b"\n"
    return json.loads(line.removeprefix(b"data: "))


def test_web_events_report_first_frame_and_end_of_run() -> None:
    with WebView() as view:
        panel = view.panel("", "video")
        with urllib.request.urlopen(view.url + "events", timeout=5) as stream:
            assert stream.headers["Content-Type"].startswith("text/event-stream")
            waiting = next_state(stream)
            assert waiting["panels"] == [{"name": "video", "frames": 0}] and "ended" not in waiting
            for result in results(3):
                panel.write(result, result.frame.image)
            assert next_state(stream)["panels"][0]["frames"] == 3
            panel.write(result, result.frame.image)
            view.close()
            state = next_state(stream)
            while "ended" not in state:
                state = next_state(stream)
            assert state["ended"] is True and state["panels"][0]["frames"] == 4
            assert state["report"] == view.report()
            assert state["report"]["frames_by_source"] == {"video": 4}
            assert stream.read() == b""


def test_web_close_takes_less_than_a_second_with_viewers() -> None:
    view = WebView()
    panel = view.panel("", "video")
    (result,) = results(1)
    panel.write(result, result.frame.image)
    with (
        urllib.request.urlopen(view.url + "events", timeout=5) as events,
        urllib.request.urlopen(view.url + "live/0", timeout=5) as pictures,
    ):
        next_state(events)
        pictures.readline()
        next_picture(pictures)
        begin = time.perf_counter()
        view.close()
        assert time.perf_counter() - begin < 1


def test_web_report_has_frames_by_source_and_latency_by_people(view) -> None:
    written = results(4)
    for name in ("a", "b"):  # one after the other in the same panel
        panel = view.panel("", name)
        assert panel.state() == {"name": name, "frames": 0}
        for result in written[:3] if name == "a" else written[3:]:
            panel.write(result, result.frame.image)
    with urllib.request.urlopen(view.url + "report", timeout=5) as answer:
        assert answer.headers["Content-Disposition"] == 'attachment; filename="hrpose-rt.json"'
        report = json.loads(answer.read())
    assert list(report) == ["hrpose", "frames", "frames_by_source", "latency_ms"]
    assert report["frames"] == 4 and report["frames_by_source"] == {"a": 3, "b": 1}
    assert {label: row["frames"] for label, row in report["latency_ms"].items()} == {"0": 2, "1-5": 2}
    empty = [result.times.total for result in written if not len(result)]
    assert report["latency_ms"]["0"]["total"]["mean"] == pytest.approx(np.mean(empty), abs=0.001)
    assert "age" not in report["latency_ms"]["0"]
    assert [panel["frames"] for panel in view.state()["panels"]] == [1]
    view.panel("", "b").write(replace(result, shared=True), result.frame.image)
    assert "latency_share_ms" in view.report()
    view.facts = {"models": {"pose": "one"}}
    assert list(view.report()) == ["hrpose", "models", "frames", "frames_by_source", "latency_share_ms"]


def test_web_serves_single_jpeg(view) -> None:
    panel = view.panel("", "video")
    assert get(view.url + "live/0?once=1") == (200, b"")
    (result,) = results(1)
    panel.write(result, result.frame.image)
    status, data = get(view.url + "live/0?once=1")
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert status == 200 and picture.shape == result.frame.image.shape


def test_web_sends_last_frame_twice(view) -> None:
    panel = view.panel("", "video")
    first, second = results(2, crowds=(0,))
    panel.write(first, first.frame.image)
    with urllib.request.urlopen(view.url + "live/0", timeout=5) as stream:
        stream.readline()
        assert next_picture(stream).mean() < 10
        assert next_picture(stream).mean() < 10
        time.sleep(3 * LOOK_S)
        panel.write(second, second.frame.image)
        assert next_picture(stream).mean() > 10


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


def test_web_client_that_never_reads_does_not_block_writes(view) -> None:
    panel = view.panel("", "video")
    (result,) = results(1)
    host, port = view.url.removeprefix("http://").rstrip("/").split(":")
    with socket.create_connection((host, int(port))) as lazy:
        lazy.sendall(b"GET /live/0 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        slowest = 0.0
        for _ in range(300):
            begin = time.perf_counter()
            panel.write(result, result.frame.image)
            slowest = max(slowest, time.perf_counter() - begin)
            time.sleep(0.002)
        assert slowest < 0.1
        with urllib.request.urlopen(view.url + "live/0", timeout=5) as stream:
            stream.readline()
            next_picture(stream)


def test_web_downscales_large_frames(view) -> None:
    (result,) = results(1)
    large = replace(result, frame=replace(result.frame, image=np.zeros((1440, 2560, 3), np.uint8)))
    panel = view.panel("", "video")
    panel.write(large, large.frame.image)
    with urllib.request.urlopen(view.url + "live/0", timeout=5) as stream:
        stream.readline()
        assert next_picture(stream).shape == (720, 1280, 3)


def test_web_rejects_foreign_host_header(view) -> None:
    status, text = get(view.url + "state", host="evil.example:80")
    assert (status, text) == (403, b"evil.example is not this machine")
    assert get(view.url + "state", host="localhost:80")[0] == 200


def talk(view: WebView, data: bytes) -> bytes:
    """What comes back for bytes as they are."""
    port = int(view.url.rstrip("/").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sent:
        sent.sendall(data)
        got = b""
        while part := sent.recv(65536):
            got += part
    return got


def ask(path: str, lines: str) -> bytes:
    return f"GET {path} HTTP/1.1\n{lines}\n\n".replace("\n", "\r\n").encode()


@pytest.mark.parametrize(
    ("path", "lines", "status"),
    [
        ("/state", "Host: 127.0.0.1", 200),  # as on port 80
        ("/state", "Host: localhost", 200),
        ("/state", "Host: [::1]", 200),
        ("/state", "Host: [::1]:80", 200),
        ("/state", "Host: 192.168.1.5", 403),
        ("/state", "Host: [::1", 403),
        ("/state", "Host:", 403),
        ("/state", "Host: localhost\nSec-Fetch-Site: same-origin", 200),
        ("/state", "Host: localhost\nSec-Fetch-Site: none", 200),
        ("/live/0", "Host: localhost:1\nSec-Fetch-Site: cross-site", 403),
        ("/live/0", "Host: localhost:1\nSec-Fetch-Site: same-site\nSec-Fetch-Dest: image", 403),
        ("/", "Host: localhost:1\nSec-Fetch-Site: cross-site\nSec-Fetch-Dest: iframe", 403),
        ("/", "Host: localhost\nSec-Fetch-Site: cross-site\nSec-Fetch-Dest: document", 200),  # a link
        ("/live/" + "9" * 5000, "Host: localhost", 404),
        ("/live/-1", "Host: localhost", 404),
        ("/live/0/1", "Host: localhost", 404),
        ("/healthz", "Host: pod-7", 200),
        ("/metrics", "Host: localhost", 200),
        ("/metrics", "Host: pod-7", 403),
        ("/report", "Host: localhost", 200),
        ("/report", "Host: pod-7", 403),
        ("/events", "Host: pod-7", 403),
        ("/events", "Host: localhost:1\nSec-Fetch-Site: cross-site", 403),
        ("/state?token=%ff%00", "Host: localhost", 200),
        ("/%zz", "Host: localhost", 404),
        ("/state", "Host: localhost\nContent-Length: abc", 400),
        ("/state", "Accept: none", 400),
    ],
)
def test_web_status_code_by_path_and_request_headers(view, path, lines, status, capfd) -> None:
    view.panel("", "video")
    assert talk(view, ask(path, lines)).startswith(b"HTTP/1.1 %d " % status)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("data", [b"\x16\x03\x01\x02\x00\r\n\r\n", b"GET\r\n\r\n", bytes(range(256))])
def test_web_malformed_request_gets_400_and_prints_nothing(view, data, capfd) -> None:
    assert talk(view, data).startswith(b"HTTP/1.1 400 ")
    assert get(view.url + "state")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_web_bad_requests_print_nothing_in_separate_process() -> None:
    program = (
        "import socket\n"
        "from hrpose_rt.sinks.web import WebView\n"
        "with WebView() as view:\n"
        "    port = int(view.url.rstrip('/').rpartition(':')[2])\n"
        "    long = b'GET /live/' + b'9' * 5000 + b' HTTP/1.1\\r\\nHost: localhost:1\\r\\n\\r\\n'\n"
        "    for data in (b'GET\\r\\n\\r\\n', long):\n"
        "        with socket.create_connection(('127.0.0.1', port)) as sent:\n"
        "            sent.sendall(data)\n"
        "            sent.shutdown(socket.SHUT_WR)\n"
        "            while sent.recv(65536): pass\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("path", ["/", "/state", "/report", "/healthz", "/metrics", "/none"])
def test_web_responses_carry_security_headers(view, path) -> None:
    head = talk(view, ask(path, "Host: localhost")).partition(b"\r\n\r\n")[0].decode().lower()
    assert "x-content-type-options: nosniff" in head
    assert "cross-origin-resource-policy: same-origin" in head
    assert re.search(r"content-security-policy: default-src 'none'; .*frame-ancestors 'none'", head)
    assert "cache-control: no-store" in head and "unsafe" not in head and "server:" not in head


def test_web_times_out_partial_requests_and_limits_connections(monkeypatch) -> None:
    monkeypatch.setattr(web_guard, "MAX_CONNECTIONS", 5)
    monkeypatch.setattr(web, "limited_protocol", lambda: web_guard.limited_protocol(0.5))
    with WebView() as view:
        port = int(view.url.rstrip("/").rpartition(":")[2])
        halves = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(5)]
        for half in halves:
            half.sendall(b"GET / HTTP/1.1\r\nHost: 127")
        with pytest.raises(OSError):  # one too many
            get(view.url)
        for half in halves:
            with half:
                assert _ended(half)
        assert get(view.url)[0] == 200
        panel, (result,) = view.panel("", "video"), results(1)
        with urllib.request.urlopen(view.url + "live/0", timeout=5) as stream:
            stream.readline()
            time.sleep(0.7)  # who has asked may watch for as long as they like
            panel.write(result, result.frame.image)
            next_picture(stream)


def _ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_web_exports_prometheus_metrics(view) -> None:
    panel = view.panel("", "video")
    first, second, third = results(3)
    captured_s = time.perf_counter() - 7
    third = replace(third, frame=replace(third.frame, dropped=4, captured_s=captured_s))
    for result in (first, second, third):
        panel.write(result, result.frame.image)
    text = get(view.url + "metrics")[1].decode()
    figures = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(figures['hrpose_frames_total{source="video"}']) == 3
    assert float(figures['hrpose_dropped_frames_total{source="video"}']) == 4
    assert float(figures['hrpose_people{source="video"}']) == len(third)
    assert float(figures['hrpose_age_seconds{source="video"}']) == pytest.approx(7, abs=1)
    assert float(figures['hrpose_stage_seconds_count{source="video",stage="pose"}']) == 3
    spent = sum(result.times.total for result in (first, second, third)) / 1e3
    assert float(figures['hrpose_stage_seconds_sum{source="video",stage="total"}']) == pytest.approx(spent)
    view.panel("", "next").write(third, third.frame.image)
    text = get(view.url + "metrics")[1].decode()
    assert 'source="video"' not in text and 'hrpose_frames_total{source="next"} 1.0' in text


def test_web_requires_token() -> None:
    with WebView(host="0.0.0.0", token="open sesame") as view:
        url = view.url.replace("0.0.0.0", "127.0.0.1")
        assert url.endswith("/?token=open%20sesame") and get(url)[0] == 200
        status, text = get(url.partition("?")[0])
        assert status == 403 and b"must end in ?token=" in text
        assert get(url.replace("sesame", "barley"))[0] == 403
        for path in ("state", "events", "report", "live/0"):
            assert get(url.replace("/?token=open%20sesame", f"/{path}?token=open"))[0] == 403
        assert get(url.replace("/?", "/report?"))[0] == 200


def test_web_close_ends_server_with_open_stream() -> None:
    view = WebView()
    panel = view.panel("", "video")
    (result,) = results(1)
    panel.write(result, result.frame.image)
    with urllib.request.urlopen(view.url + "live/0", timeout=5) as stream:
        stream.readline()
        next_picture(stream)
        begin = time.perf_counter()
        view.close()
        assert time.perf_counter() - begin < 3
    with pytest.raises(urllib.error.URLError):
        get(view.url)


@pytest.mark.parametrize(
    ("text", "address"),
    [("8000", ("127.0.0.1", 8000)), ("0.0.0.0:80", ("0.0.0.0", 80)), ("[::1]:80", ("::1", 80))],
)
def test_web_address_is_port_or_host_and_port(text, address) -> None:
    assert parse_address(text) == address


def test_web_rejects_missing_port_missing_token_and_used_port(view) -> None:
    for text in ("all", "host:", "70000"):
        with pytest.raises(BadInput, match=rf"`serve` {text} has no port: give PORT or HOST:PORT"):
            parse_address(text)
    with pytest.raises(BadInput, match=r"0\.0\.0\.0:80 shows the pictures to the whole network: add `tok"):
        WebView(host="0.0.0.0", port=80)
    port = int(view.url.rstrip("/").rpartition(":")[2])
    with pytest.raises(BadInput, match=r"cannot be used \(Address already in use\): choose another port"):
        WebView(port=port)


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
