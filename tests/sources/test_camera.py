"""Cameras: the newest frame wins."""

import threading

import numpy as np
import pytest

from hrpose_rt.config import Clip
from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.sources.camera import Camera
from hrpose_rt.sources.open import open_source


class FakeCapture:
    """A camera that gives `frames` pictures, each when it is let, and then is unplugged."""

    def __init__(self, frames: int) -> None:
        self._left = frames
        self._number = 0
        self.turn = threading.Semaphore(0)
        self.read_once = threading.Semaphore(0)
        self.released = False

    def get(self, _: int) -> float:
        return 20.0

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.read_once.release()  # the picture before has been taken over
        self.turn.acquire()
        if self._number == self._left:
            return False, None
        self._number += 1
        return True, np.full((20, 20, 3), self._number, np.uint8)

    def release(self) -> None:
        self.released = True

    def give(self, pictures: int) -> None:
        """Let the camera take so many pictures, and wait until they are there."""
        for _ in range(pictures):
            self.turn.release()
        for _ in range(pictures):
            self.read_once.acquire()


@pytest.fixture
def capture(monkeypatch) -> FakeCapture:
    fake = FakeCapture(frames=6)
    monkeypatch.setattr("hrpose_rt.sources.camera._open", lambda _: fake)
    return fake


@pytest.mark.parametrize("rate", [0.0, -1.0])
def test_camera_of_unknown_rate_has_30_frames_a_second(rate, capture) -> None:
    capture.get = lambda _: rate
    with Camera(0, Clip()) as camera:
        assert camera.info.fps == 30
        capture.turn.release(9)


def test_camera_gives_newest_frame_and_counts_dropped(capture) -> None:
    with Camera(0, Clip()) as camera:
        capture.read_once.acquire()
        frames = iter(camera)
        capture.give(1)
        first = next(frames)
        capture.give(4)  # while the pipeline was busy with the first
        second = next(frames)
        assert (first.image.max(), first.dropped) == (1, 0)
        assert (second.image.max(), second.dropped) == (5, 3)
        assert second.index == 4
        assert second.captured_s > first.captured_s
        capture.turn.release()
    assert capture.released


def test_camera_unplugged_without_reconnect_raises_run_broken(capture) -> None:
    with Camera(0, Clip(), reconnect_s=0) as camera:
        capture.read_once.acquire()
        frames = iter(camera)
        capture.give(6)
        assert next(frames).image.max() == 6
        capture.turn.release()
        with pytest.raises(RunBroken, match="camera 0 broke off: is it still there"):
            next(frames)


def test_camera_reconnects_after_unplug(capture, monkeypatch) -> None:
    monkeypatch.setattr("hrpose_rt.backoff.FIRST_BACKOFF_S", 0.01)
    with Camera(0, Clip()) as camera:
        capture.read_once.acquire()
        frames = iter(camera)
        capture.give(6)
        assert next(frames).index == 5
        attempts = iter([BadInput("not yet"), again := FakeCapture(frames=2)])

        def reopened(_: int) -> FakeCapture:
            found = next(attempts)
            if isinstance(found, BadInput):
                capture.turn.release()  # the old one still gives nothing
                raise found
            return found

        monkeypatch.setattr("hrpose_rt.sources.camera._open", reopened)
        capture.turn.release()
        again.turn.release()
        frame = next(frames)
        assert (frame.image.max(), frame.index) == (1, 6)
        assert capture.released
        again.turn.release(2)


def test_camera_counts_dropped_frames_across_stride(capture) -> None:
    with Camera(0, Clip(stride=2)) as camera:
        capture.read_once.acquire()
        capture.give(4)  # number 3 is the newest, and is left out
        threading.Timer(0.1, capture.give, [1]).start()
        frame = next(iter(camera))
        assert frame.index == 4
        assert frame.dropped >= 3
        capture.turn.release()


def test_camera_stops_at_max_frames(capture) -> None:
    with Camera(0, Clip(max_frames=1)) as camera:
        assert camera.info.is_live
        assert camera.info.frames == 1
        capture.turn.release()
        assert len(list(camera)) == 1
        capture.turn.release()


def test_camera_missing_raises_bad_input() -> None:
    with pytest.raises(BadInput, match="camera 97"):
        open_source("97")
