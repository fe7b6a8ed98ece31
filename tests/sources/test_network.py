"""Streams from a server on this machine, read too slowly, broken off and gone."""

import time
from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest

from hrpose_rt.config import Clip
from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.sources.network import open_address
from hrpose_rt.sources.open import open_source
from tests.sources.live import LiveServer, live_server, number_of, picture


@pytest.fixture
def server() -> Iterator[LiveServer]:
    with live_server() as server:
        yield server


def test_live_server_frames_encode_their_number() -> None:
    assert [number_of(picture(n)) for n in (0, 1, 77, 4000)] == [0, 1, 77, 4000]


@pytest.mark.parametrize("seconds", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_stream_slow_reader_gets_newest_frame_and_counts_dropped(server, seconds: int) -> None:
    ages, numbers, dropped = [], [], 0
    with open_source(server.url) as source:
        begin = time.perf_counter()
        for frame in source:
            number = number_of(frame.image)
            ages.append(time.perf_counter() - server.sent[number])
            numbers.append(number)
            dropped += frame.dropped if len(numbers) > 1 else 0  # before the first, some came as well
            if time.perf_counter() - begin > seconds:
                break
            time.sleep(0.15)  # four times as long as a frame takes to come
    third = len(ages) // 3
    assert np.max(ages) < 1.0
    assert np.mean(ages[-third:]) < np.mean(ages[:third]) + 0.1
    # Nothing is lost uncounted: what was not given was dropped.
    assert numbers[-1] - numbers[0] == pytest.approx(len(numbers) - 1 + dropped, abs=2)
    assert dropped > 2 * len(numbers)


def test_stream_reconnects_after_drop(server, monkeypatch) -> None:
    monkeypatch.setattr("hrpose_rt.backoff.FIRST_BACKOFF_S", 0.05)
    server.break_after = 40
    with open_address(server.url, Clip(max_frames=45)) as source:
        frames = list(source)
        assert source.reconnects >= 1
    assert server.connections >= 2
    indices = [frame.index for frame in frames]
    assert indices == sorted(set(indices))
    assert number_of(frames[-1].image) > 40


def test_unknown_error_in_the_reading_thread_ends_the_stream(server, monkeypatch) -> None:
    def broken(_: object) -> Iterator[None]:
        raise LookupError("no such codec.")
        yield

    monkeypatch.setattr("hrpose_rt.sources.network.decode_live", broken)
    with (
        open_source(server.url) as source,
        pytest.raises(RunBroken, match=r"broke off \(LookupError: no such codec\)"),
    ):
        next(iter(source))


def test_stream_reconnect_timeout_raises_run_broken(monkeypatch) -> None:
    monkeypatch.setattr("hrpose_rt.backoff.FIRST_BACKOFF_S", 0.05)
    with live_server() as server:
        stream = open_address(server.url, Clip(), reconnect_s=0.3)
        frames = iter(stream)
        assert len(list(islice(frames, 3))) == 3
    with stream, pytest.raises(RunBroken, match=r"/live.ts broke off and did not come back within 0.3 s"):
        for _ in frames:
            pass


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (
            "https://www.youtube.com/watch?v=x",
            r"is a web page, not a stream: .*yt-dlp -g PAGE prints it",
        ),
        ("https://youtu.be/x", "is a web page, not a stream"),
        ("http://127.0.0.1:9/x", r"http://127\.0\.0\.1:9/x does not answer as a video stream"),
        ("http://me:secret@127.0.0.1:9/x", r"^http://127\.0\.0\.1:9/x does not answer"),
        ("ftp://a/b", "is no address that can be played: rtsp, rtmp"),
    ],
)
def test_stream_rejects_youtube_page_dead_host_and_unknown_scheme(url: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        open_source(url)


def test_stream_rejects_html_response(server) -> None:
    with pytest.raises(BadInput, match=r"answers, but with no video \(text/html\)"):
        open_source(server.url.replace("live.ts", "page"))


def test_stream_name_hides_password(server) -> None:
    url = server.url.replace("http://", "http://me:secret@")
    with open_source(url) as source:
        assert "secret" not in source.info.name
        assert (source.info.is_live, source.info.is_video, source.info.frames) == (True, True, None)
        assert source.info.stem == "127-0-0-1"
