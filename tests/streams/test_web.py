"""The page for browsers: what it serves, to whom, and that nobody can slow the run down."""

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.streams.web import WebView, parse_address
from tests.streams.test_sinks import results


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


def test_the_page_and_its_state(view) -> None:
    status, page = get(view.url)
    assert status == 200 and b"Milliseconds against people" in page
    assert json.loads(get(view.url + "state")[1]) == {"panels": [], "costs": []}
    panel = view.panel("", "film")
    assert json.loads(get(view.url + "state")[1])["panels"] == [{"name": "film", "frames": 0}]
    written = results(3)
    for result in written:
        panel.write(result, result.frame.image)
    state = json.loads(get(view.url + "state")[1])
    (shown,) = state["panels"]
    assert (shown["frames"], shown["people"]) == (3, len(result))
    assert shown["latency_ms"]["total"] == pytest.approx(result.times.total, abs=0.01)
    counts = Counter(len(result) for result in written)
    assert [cost[:2] for cost in state["costs"]] == sorted(map(list, counts.items()))


def test_a_browser_gets_the_newest_picture_with_the_people_drawn(view) -> None:
    panel = view.panel("", "film")
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


def test_a_browser_that_never_reads_holds_nothing_up(view) -> None:
    panel = view.panel("", "film")
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


def test_large_pictures_are_made_smaller(view) -> None:
    from dataclasses import replace

    (result,) = results(1)
    large = replace(result, frame=replace(result.frame, image=np.zeros((1440, 2560, 3), np.uint8)))
    panel = view.panel("", "film")
    panel.write(large, large.frame.image)
    with urllib.request.urlopen(view.url + "live/0", timeout=5) as stream:
        stream.readline()
        assert next_picture(stream).shape == (720, 1280, 3)


def test_pages_of_other_sites_learn_nothing(view) -> None:
    status, text = get(view.url + "state", host="evil.example:80")
    assert (status, text) == (403, b"evil.example is not this machine")
    assert get(view.url + "state", host="localhost:80")[0] == 200


def test_the_token_is_asked_for() -> None:
    with WebView(host="0.0.0.0", token="open sesame") as view:
        url = view.url.replace("0.0.0.0", "127.0.0.1")
        assert url.endswith("/?token=open%20sesame") and get(url)[0] == 200
        status, text = get(url.partition("?")[0])
        assert status == 403 and b"must end in ?token=" in text
        assert get(url.replace("sesame", "barley"))[0] == 403


def test_closing_ends_the_page_also_for_who_still_watches() -> None:
    view = WebView()
    panel = view.panel("", "film")
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
def test_addresses(text, address) -> None:
    assert parse_address(text) == address


def test_what_cannot_be_served_is_said(view) -> None:
    for text in ("all", "host:", "70000"):
        with pytest.raises(BadInput, match=rf"--serve {text} has no port: give PORT or HOST:PORT"):
            parse_address(text)
    with pytest.raises(BadInput, match=r"0\.0\.0\.0:80 shows the pictures to the whole network: add --tok"):
        WebView(host="0.0.0.0", port=80)
    port = int(view.url.rstrip("/").rpartition(":")[2])
    with pytest.raises(BadInput, match=r"cannot be used \(Address already in use\): choose another port"):
        WebView(port=port)


@pytest.mark.slow
def test_a_browser_paints_the_page(view, tmp_path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if not browser:
        pytest.skip("no Chromium here")
    panel = view.panel("", "film")
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
