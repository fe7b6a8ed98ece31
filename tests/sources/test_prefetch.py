"""Frames read ahead by a thread."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from hrpose_rt.errors import RunBroken
from hrpose_rt.queues import MAX_FRAMES, QueueTimes
from hrpose_rt.sources.prefetch import Prefetch, read_ahead
from hrpose_rt.types import Frame
from tests.fakes import FakeSource


class CountedSource(FakeSource):
    """Counts the frames that were read, and may break off at the end."""

    def __init__(self, frames: int, error: BaseException | None = None) -> None:
        super().__init__(frames=frames)
        self.read, self._error = 0, error

    def __iter__(self) -> Iterator[Frame]:
        for frame in super().__iter__():
            self.read += 1
            yield frame
        if self._error:
            raise self._error


def test_prefetch_gives_every_frame_in_order() -> None:
    with Prefetch(CountedSource(20)) as ahead:
        assert [frame.index for frame in ahead] == list(range(20))


def test_prefetch_reads_only_a_few_frames_ahead() -> None:
    source = CountedSource(50)
    with Prefetch(source) as ahead:
        assert next(iter(ahead)).index == 0
        deadline = time.monotonic() + 5
        while source.read < 2 + MAX_FRAMES and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)
        assert source.read == 2 + MAX_FRAMES  # one taken, one in the thread's hands


def test_prefetch_raises_what_the_source_raised_after_its_frames() -> None:
    seen = []
    with Prefetch(CountedSource(4, RunBroken("2 frames are lost"))) as ahead:
        with pytest.raises(RunBroken, match="2 frames are lost"):
            for frame in ahead:
                seen.append(frame.index)
    assert seen == [0, 1, 2, 3]


def test_leaving_prefetch_ends_its_thread() -> None:
    threads = threading.active_count()
    with Prefetch(CountedSource(50)) as ahead:
        next(iter(ahead))
    assert threading.active_count() == threads


def test_a_frame_is_captured_when_it_is_taken() -> None:
    with Prefetch(CountedSource(3)) as ahead:
        frames = iter(ahead)
        next(frames)
        time.sleep(0.05)
        begin = time.perf_counter()
        assert next(frames).captured_s >= begin


def test_waiting_for_a_slow_source_is_counted() -> None:
    class Slow(FakeSource):
        def __iter__(self) -> Iterator[Frame]:
            for frame in super().__iter__():
                time.sleep(0.03)
                yield frame

    times = QueueTimes()
    with Prefetch(Slow(frames=4), times) as ahead:
        assert len(list(ahead)) == 4
    assert times.empty_s > 0.1


def test_live_sources_and_single_images_are_not_read_ahead() -> None:
    video, live, image = FakeSource(), FakeSource(), FakeSource(frames=1)
    live.info = replace(live.info, is_live=True)
    for source in (live, image):
        with read_ahead(source) as ahead:
            assert ahead is source
    with read_ahead(video) as ahead:
        assert isinstance(ahead, Prefetch)
