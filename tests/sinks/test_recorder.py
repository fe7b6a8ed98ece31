"""Drawn, written, counted."""

import numpy as np
import pytest

from hrpose_rt.pipeline import PosePipeline
from hrpose_rt.sinks.recorder import Recorder
from hrpose_rt.timing import LatencyTable
from tests.fakes import FakeSource, fake_networks


class FakeSink:
    """Keeps the pictures it is given, and may fail to close."""

    def __init__(self, wants_picture: bool, fails: bool = False) -> None:
        self.wants_picture, self._fails = wants_picture, fails
        self.pictures: list[np.ndarray] = []
        self.closed = False

    def write(self, result, picture) -> None:
        self.pictures.append(picture)

    def close(self) -> None:
        self.closed = True
        if self._fails:
            raise OSError("cannot be closed")


def record(sinks, table=None, frames=3, viewers=()) -> list:
    with (
        PosePipeline(networks=fake_networks([2])) as pipeline,
        Recorder(sinks, table or LatencyTable(), viewers=viewers) as recorder,
    ):
        return list(recorder.record(pipeline.stream(FakeSource(frames=frames, hw=(200, 300)))))


def test_recorder_draws_people_once_and_only_for_sinks_that_want_pictures() -> None:
    lines, video = FakeSink(False), FakeSink(True)
    results = record([lines])
    assert np.shares_memory(lines.pictures[0], results[0].frame.image)
    with pytest.raises(ValueError, match="read-only"):
        lines.pictures[0][:] = 0
    assert results[0].frame.image.flags.writeable
    assert max(result.times.draw for result in results) < 0.1
    results = record([lines, video])
    assert video.pictures[0] is lines.pictures[-3]
    assert (video.pictures[0] != results[0].frame.image).any()


def test_recorder_counts_frames_and_measures_their_age() -> None:
    table = LatencyTable()
    results = record([FakeSink(True)], table, frames=5)
    assert table.frames == 5
    for result in results:
        times = result.times
        assert times.age >= times.total + times.draw + times.write > 0


def test_recorder_closes_all_sinks_when_one_fails() -> None:
    sinks = [FakeSink(False, fails=True), FakeSink(False)]
    with pytest.raises(OSError, match="cannot be closed"):
        record(sinks)
    assert [sink.closed for sink in sinks] == [True, True]


def test_recorder_leaves_viewer_window_open_after_source_ends() -> None:
    window = FakeSink(True)
    record([], viewers=[window])
    assert len(window.pictures) == 3
    assert not window.closed
