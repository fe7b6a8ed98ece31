"""A live stream arrives, breaks and comes back, and never slows the run."""

import socket
import threading
import time
from collections.abc import Iterator
from itertools import cycle

import av
import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.sinks import push
from hrpose_rt.sinks.push import PushSink
from tests.sinks.receivers import Receiver, free_port, wait_for
from tests.sinks.test_video import info, results


class Run(threading.Thread):
    """Writes 25 frames per second until it is stopped, and keeps the longest time of a write."""

    def __init__(self, sink: PushSink) -> None:
        super().__init__(daemon=True)
        self._sink, self._over = sink, threading.Event()
        self.slowest_s, self.frames = 0.0, 0
        self.start()

    def run(self) -> None:
        for result in cycle(results(4, size_wh=(321, 240))):
            if self._over.wait(0.04):
                return
            begin = time.thread_time()
            self._sink.write(result, result.frame.image)
            self.slowest_s = max(self.slowest_s, time.thread_time() - begin)
            self.frames += 1

    def stop(self) -> None:
        self._over.set()
        self.join()


@pytest.fixture
def pushed() -> Iterator:
    """Starts to push a run to an address."""
    runs: list[tuple[PushSink, Run]] = []

    def begin(url: str) -> tuple[PushSink, Run]:
        sink = PushSink(url).for_source(info(fps=25))
        runs.append((sink, Run(sink)))
        return runs[-1]

    yield begin
    for sink, run in runs:
        run.stop()
        sink.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    "url",
    [
        "rtmp://127.0.0.1:{}/live/key",
        "rtsp://127.0.0.1:{}/live",
        "tcp://127.0.0.1:{}",
        "udp://127.0.0.1:{}",
    ],
)
def test_frames_arrive_and_decode_with_keyframes(url, pushed) -> None:
    url = url.format(free_port())
    receiver = Receiver(url)
    time.sleep(0.3)
    sink, run = pushed(url)
    wait_for(lambda: sink.stats.sent >= 60)
    run.stop()
    sink.close()
    receiver.join()
    frames = receiver.frames
    assert len(frames) >= 20 and (frames[0].width, frames[0].height) == (320, 240)
    assert sum(frame.key_frame for frame in frames) >= 2
    assert sink.stats.sent + sink.stats.dropped == run.frames
    assert all(frame.pict_type != av.video.frame.PictureType.B for frame in frames)
    greys = {round(frame.to_ndarray(format="gray").mean(), -1) for frame in frames}
    assert len(greys) == 4  # the four pictures, each of another brightness


@pytest.mark.slow
def test_receiver_that_dies_gets_the_stream_again(pushed, capsys) -> None:
    url = f"rtmp://127.0.0.1:{free_port()}/live/secret"
    first = Receiver(url, stop_after=5)
    time.sleep(0.3)
    sink, _ = pushed(url)
    first.join()
    second = Receiver(url, stop_after=5)
    second.join()
    assert len(first.frames) == len(second.frames) == 5
    wait_for(lambda: sink.stats.reconnects >= 1)
    said = capsys.readouterr().err
    assert "takes no video (" in said and "): the run goes on, and it is tried again" in said
    assert "takes the video again" in said and "secret" not in said


@pytest.mark.slow
def test_absent_receiver_is_named_once_and_found_later(pushed, capsys) -> None:
    port = free_port()
    sink, run = pushed(f"rtmp://user:password@127.0.0.1:{port}/live/secret")
    wait_for(lambda: run.frames > 40)
    said = capsys.readouterr().err
    assert said == (
        f"rtmp://127.0.0.1:{port} takes no video (Connection refused): the run goes on, and it is tried "
        "again\n"
    )
    assert sink.stats.sent == 0 < sink.stats.dropped
    receiver = Receiver(f"rtmp://127.0.0.1:{port}/live/secret", stop_after=3)
    receiver.join()
    assert len(receiver.frames) == 3
    assert "takes the video now" in capsys.readouterr().err and sink.stats.reconnects == 0


@pytest.mark.slow
def test_receiver_that_never_answers_costs_nothing_and_is_given_up(pushed, capsys, monkeypatch) -> None:
    monkeypatch.setattr(push, "STALL_S", 1.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sink, run = pushed(f"rtmp://127.0.0.1:{silent.getsockname()[1]}/live")
        said = ""

        def given_up() -> bool:
            nonlocal said
            said += capsys.readouterr().err
            return "it took nothing for 1.5 s" in said

        wait_for(given_up)
        frames = run.frames
        wait_for(lambda: run.frames > frames + 25)
        assert run.slowest_s < 0.05  # of its own CPU time; it waits for nothing
        assert sink.stats.sent == 0


def test_close_without_a_frame_ends_at_once() -> None:
    sink = PushSink("rtmp://127.0.0.1:1/live")
    sink.close()
    assert sink.stats.to_dict() == {"sent": 0, "dropped": 0, "reconnects": 0}


@pytest.mark.parametrize(
    "url", ["out.mp4", "http://host/x", "rtmp:///live", "rtmp://host:99999/secret", "rtmp"]
)
def test_address_that_cannot_be_pushed_to_is_refused(url) -> None:
    with pytest.raises(
        BadInput, match="`push` is no address to send to: give rtmp://HOST/APP/KEY or"
    ) as raised:
        PushSink(url)
    assert "secret" not in str(raised.value)


def test_srt_is_refused_where_ffmpeg_has_none() -> None:
    try:
        av.open("srt://")
    except av.error.ProtocolNotFoundError:
        with pytest.raises(BadInput, match="`push` srt: the FFmpeg in this PyAV has no srt; build PyAV"):
            PushSink("srt://127.0.0.1:9000")
    except (av.error.FFmpegError, OSError):
        PushSink("srt://127.0.0.1:9000").close()
