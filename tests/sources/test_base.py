"""Sources that are read, shared and closed in any order, from any thread."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hrpose_rt.config import Clip
from hrpose_rt.errors import BadInput
from hrpose_rt.sources import camera
from hrpose_rt.sources.base import BaseSource, Source
from hrpose_rt.sources.open import open_source
from tests.conftest import write_video
from tests.sources.live import live_server


class SteadyCapture:
    """A camera that never ends, and notices whether it is read after its release."""

    def __init__(self) -> None:
        self.released = self.read_afterwards = False

    def get(self, _: int) -> float:
        return 20.0

    def read(self) -> tuple[bool, np.ndarray]:
        time.sleep(0.01)
        self.read_afterwards |= self.released
        return True, np.zeros((20, 20, 3), np.uint8)

    def release(self) -> None:
        self.released = True


@pytest.fixture(params=["video", "images", "camera", "network"])
def opened(request, tmp_path: Path, monkeypatch) -> Iterator[BaseSource]:
    """One of each kind, of many frames."""
    if request.param == "network":
        with live_server() as server, open_source(server.url) as source:
            yield source
        return
    path = write_video(tmp_path / "video.mp4", frames=12, size_wh=(640, 480))
    if request.param == "images":
        import cv2

        path = tmp_path / "images"
        path.mkdir()
        for i in range(12):
            cv2.imwrite(str(path / f"{i}.png"), np.zeros((480, 640, 3), np.uint8))
    monkeypatch.setattr(camera, "_open", lambda _: SteadyCapture())
    with open_source("0" if request.param == "camera" else str(path)) as source:
        yield source


def test_source_read_after_close_raises_bad_input(opened) -> None:
    frames = iter(opened)
    next(frames)
    opened.close()
    with pytest.raises(BadInput, match="is closed: open it again"):
        next(frames)
    with pytest.raises(BadInput, match="is closed: open it again"):
        iter(opened)
    opened.close()  # as often as one likes


def test_source_close_from_other_thread_ends_reader(opened) -> None:
    said: list[str] = []
    began, closed = threading.Event(), threading.Event()

    def read() -> None:
        try:
            for _ in opened:
                began.set()
                if not opened.info.is_live:  # a live one is closed while it waits for a frame
                    closed.wait(10)
        except BadInput as error:
            said.append(str(error))

    reader = threading.Thread(target=read)
    reader.start()
    assert began.wait(10)
    opened.close()
    closed.set()
    reader.join(10)
    assert not reader.is_alive()
    assert said == [f"{opened.info.name} is closed: open it again"]


def test_source_second_loop_continues_where_first_stopped(opened) -> None:
    first = next(iter(opened)).index
    assert next(iter(opened)).index > first


def test_source_shared_by_threads_gives_each_frame_once(tmp_path: Path) -> None:
    seen: list[int] = []
    with open_source(str(write_video(tmp_path / "video.mp4", frames=60))) as source:
        frames = iter(source)
        threads = [
            threading.Thread(target=lambda: seen.extend(frame.index for frame in frames)) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(seen) == list(range(60))


def test_source_cannot_be_read_twice(video: Path) -> None:
    with open_source(str(video), Clip(max_frames=3)) as source:
        assert [frame.index for frame in source] == [0, 1, 2]
        with pytest.raises(BadInput, match=r"video.mp4 was read already: open it again"):
            iter(source)


def test_camera_is_released_on_close_and_not_read_after(monkeypatch) -> None:
    capture = SteadyCapture()
    monkeypatch.setattr(camera, "_open", lambda _: capture)
    with open_source("0") as source:
        next(iter(source))
    assert capture.released and not capture.read_afterwards


def test_camera_with_hanging_read_is_released_by_its_thread(monkeypatch) -> None:
    """A driver may wait for seconds: the camera is not taken away under it."""
    monkeypatch.setattr("hrpose_rt.sources.live.CLOSING_S", 0.05)
    hangs, capture = threading.Event(), SteadyCapture()
    monkeypatch.setattr(capture, "read", lambda: (hangs.wait(10), np.zeros((2, 2, 3), np.uint8)))
    monkeypatch.setattr(camera, "_open", lambda _: capture)
    source = camera.Camera(0, Clip())
    source.close()
    assert not capture.released
    hangs.set()
    source._thread.join(10)
    assert capture.released


def test_video_closed_at_random_times_ends_its_reader(tmp_path: Path) -> None:
    path = write_video(tmp_path / "video.mp4", frames=10, size_wh=(640, 480))
    for wait_s in np.random.default_rng(0).uniform(0, 0.03, 20):
        source: Source = open_source(str(path))

        def read(source: Source = source) -> None:
            try:
                for _ in source:
                    pass
            except BadInput:
                pass

        reader = threading.Thread(target=read)
        reader.start()
        time.sleep(wait_s)
        source.__exit__(None, None, None)
        reader.join(10)
        assert not reader.is_alive()
