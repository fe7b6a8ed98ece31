"""Memory stays constant however long the video."""

import sys
from pathlib import Path

import pytest

from hrpose_rt.pipeline import PosePipeline
from hrpose_rt.recording import Recorder
from hrpose_rt.timing import LatencyTable
from tests.fakes import FakeSource, fake_networks


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's /proc")
def test_ten_thousand_frames_take_no_more_memory_than_a_thousand() -> None:
    source = FakeSource(frames=10_000, hw=(240, 320))
    table = LatencyTable()
    crowds = [0, 3, 8, 12, 17, 30, 60]
    resident = {}
    with PosePipeline(networks=fake_networks(crowds)) as pipeline, Recorder([], table) as recorder:
        for done, _ in enumerate(recorder.record(pipeline.stream(source)), start=1):
            if done in (1_000, 10_000):
                resident[done] = _resident_pages()
    assert table.frames == 10_000
    assert resident[10_000] <= 1.05 * resident[1_000]


def _resident_pages() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1])
