"""The page for browsers: its content, and that no client slows the run down."""

import json
import socket
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import replace

import cv2
import numpy as np
import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.sinks.web import WebView, parse_address
from hrpose_rt.sinks.web_panel import LOOK_S
from tests.sinks.test_video import results
from tests.sinks.web_client import get, next_picture, next_state


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
