"""Live streams that are damaged, begin between keyframes, come a segment at a time, or end."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from hrpose_rt.errors import RunBroken
from hrpose_rt.sources.base import Source
from hrpose_rt.sources.open import open_source
from tests.conftest import write_video
from tests.serving import running
from tests.sources.live import FPS, HW, picture

PLAYLIST = (
    b"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:0.8,\na.ts\n"
)


@contextmanager
def serving(live: list[bytes], segment: bytes = b"", kind: str = "video/mp2t") -> Iterator[str]:
    """An address that gives the bodies of `live`, one a request and then the last; a.ts is the segment.

    As for a stream, no length is given, and the name of the station is Latin-1.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "video/mp2t" if self.path == "/a.ts" else kind)
            self.send_header("icy-name", "Caf\xe9")
            self.end_headers()
            if self.path == "/a.ts":
                self.wfile.write(segment)
            else:
                self.wfile.write(live.pop(0) if len(live) > 1 else live[0])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with running(server):
        yield f"http://127.0.0.1:{server.server_port}/live.m3u8"


def transport_stream(path: Path, frames: int, first_key: int = 0) -> bytes:
    """MPEG-TS that is cut so that the keyframe comes after `first_key` others."""
    with av.open(str(path), "w", format="mpegts") as out:
        stream = out.add_stream("libx264", rate=FPS, options={"tune": "zerolatency"})
        stream.width, stream.height, stream.pix_fmt = HW[1], HW[0], "yuv420p"
        for i in range(frames + first_key):
            frame = av.VideoFrame.from_ndarray(picture(i), format="bgr24")
            frame.pict_type = av.video.frame.PictureType.P
            if i in (0, first_key + 1):
                frame.pict_type = av.video.frame.PictureType.I
            for packet in stream.encode(frame):
                if i or not first_key:  # without the first keyframe
                    out.mux(packet)
        out.mux(stream.encode(None))
    return path.read_bytes()


def read(source: Source) -> tuple[list[float], int, str]:
    """The times of the frames, how many came in all, and why the stream ended."""
    times, came, why = [], 0, ""
    try:
        for frame in source:
            times.append(frame.time_s)
            came = frame.index + 1
    except RunBroken as error:
        why = str(error)
    return times, came, why


def test_damaged_picture_of_motion_jpeg_keeps_the_connection() -> None:
    whole = cv2.imencode(".jpg", np.zeros((*HW, 3), np.uint8))[1].tobytes()
    pictures = [whole] * 5 + [b"\xff\xd8 is no JPEG" * 20] + [whole] * 5
    head = b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
    body = b"".join(head % len(data) + data + b"\r\n" for data in pictures)
    with (
        serving([body], kind="multipart/x-mixed-replace; boundary=b") as url,
        open_source(url, reconnect_s=0) as source,
    ):
        _, came, why = read(source)
    assert came >= 9  # of 10; the end may cut the last one
    assert "broke off" in why


def test_stream_that_begins_between_keyframes_gives_frames_from_the_next_one_on(tmp_path) -> None:
    body = transport_stream(tmp_path / "a.ts", frames=60, first_key=40)
    with serving([body]) as url, open_source(url, reconnect_s=0) as source:
        _, came, why = read(source)
    assert (source.info.width, source.info.height) == (HW[1], HW[0])
    assert came >= 55 and "broke off" in why


def test_live_playlist_is_given_in_its_own_time_and_ends_without_an_error(tmp_path) -> None:
    segment = transport_stream(tmp_path / "a.ts", frames=20)
    ended = PLAYLIST + b"#EXT-X-ENDLIST\n"
    with serving([PLAYLIST, ended], segment, "application/vnd.apple.mpegurl") as url:
        with open_source(url) as source:
            assert source.info.is_live
            times, came, why = read(source)
    assert (came, why) == (20, "")  # it does not begin again
    assert len(times) > 15
    assert max(np.diff(times)) < 0.3 and times[-1] - times[0] > 0.6


@pytest.mark.parametrize("suffix", ["avi", "mp4"])
def test_video_whose_title_is_no_utf8_is_read(suffix: str, tmp_path) -> None:
    plain, titled = write_video(tmp_path / f"a.{suffix}", frames=5), tmp_path / f"b.{suffix}"
    with av.open(str(plain)) as given, av.open(str(titled), "w") as out:
        out.metadata["title"] = "Cafe"
        stream = out.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    titled.write_bytes(titled.read_bytes().replace(b"Cafe", b"Caf\xe9"))
    with open_source(titled) as source:
        assert len(list(source)) == 5
