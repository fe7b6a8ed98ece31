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

import cv2
import numpy as np
import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.sinks import web
from hrpose_rt.sinks import web_security as web_guard
from hrpose_rt.sinks.web import WebView, parse_address
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
    assert status == 200 and b"Milliseconds against people" in page
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


@pytest.mark.parametrize("path", ["/", "/state", "/healthz", "/metrics", "/none"])
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
