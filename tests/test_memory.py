"""Memory and open files stay constant however long the video."""

import os
import socket
import sys
from pathlib import Path

import pytest

from hrpose_rt.pipeline import PosePipeline
from hrpose_rt.sinks.formats import RESULT_FORMATS
from hrpose_rt.sinks.recorder import Recorder
from hrpose_rt.sinks.video import VideoSink
from hrpose_rt.sinks.web import WebView
from hrpose_rt.timing import LatencyTable
from tests.fakes import RUN, FakeSource, fake_networks


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's /proc")
def test_memory_and_open_files_stay_constant_over_10000_frames(tmp_path: Path) -> None:
    """With everything that is written, and a browser that watches and never reads."""
    source = FakeSource(frames=10_000, hw=(96, 128))
    info, table = source.info, LatencyTable()
    sinks = [sink(str(tmp_path / f"out{suffix}"), info, RUN) for suffix, sink in RESULT_FORMATS.values()]
    sinks.append(VideoSink(tmp_path / "out.mp4", info))
    crowds = [0, 2, 5, 11]
    held: dict[int, tuple[int, int]] = {}
    with (
        WebView() as web,
        PosePipeline(networks=fake_networks(crowds)) as pipeline,
        Recorder(sinks, table, viewers=[web.panel("", "fake")]) as recorder,
        socket.create_connection(("127.0.0.1", int(web.url.rstrip("/").rpartition(":")[2]))) as lazy,
    ):
        lazy.sendall(b"GET /live/0 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        for done, _ in enumerate(recorder.record(pipeline.stream(source)), start=1):
            if done in (1_000, 10_000):
                held[done] = _resident_pages(), len(os.listdir("/proc/self/fd"))
    assert table.frames == 10_000
    (pages_before, files_before), (pages, files) = held[1_000], held[10_000]
    assert pages <= 1.05 * pages_before
    assert files == files_before


def _resident_pages() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1])
