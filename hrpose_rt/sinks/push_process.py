"""The process behind `push.py`: it encodes the frames on standard input and sends them to an address.

It is a process because FFmpeg holds Python's lock while it connects, which would stop the whole run. The
first line of the input is a `PushRequest` as JSON. Every frame is its time, then its pixels. The process
answers every frame that it has sent with the line `SENT`, and a failure with a line that says why.
"""

import os
import signal
import sys
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, BinaryIO

from hrpose_rt.sinks.encoders import frame_rate
from hrpose_rt.structures import decode

SENT = b"+\n"
TIME_BYTES = 8  # a frame's time is a signed big-endian number of 1/90000 s
TIME_BASE = Fraction(1, 90_000)
KEYFRAME_S = 1.0  # a viewer waits for a keyframe
FORMATS = {"rtmp": "flv", "rtmps": "flv", "rtsp": "rtsp", "srt": "mpegts", "udp": "mpegts", "tcp": "mpegts"}
CRF = 25  # the quality that the encoder keeps, from 0 (best) to 51


@dataclass(frozen=True, slots=True)
class PushRequest:
    """What is sent where.

    Attributes:
        url: The address, with its passwords.
        scheme: Its protocol, one of `FORMATS`.
        width, height: Size of the frames in pixels, both even.
        fps: Frames per second, at most.
    """

    url: str
    scheme: str
    width: int
    height: int
    fps: float


def main() -> None:
    """Send frames until the input ends. Exits with 1 after a failure."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the run ends the input
    source, answers = sys.stdin.buffer, sys.stdout.buffer
    try:
        _send(source, answers, decode(source.readline(), PushRequest))
    except Exception as error:
        # FFmpeg's whole message holds the address with its password.
        answers.write(f"{getattr(error, 'strerror', None) or type(error).__name__}\n".encode())
        answers.flush()
        os._exit(1)  # closing a broken connection may wait for the network


def _send(source: BinaryIO, answers: BinaryIO, request: PushRequest) -> None:
    import av

    av.logging.set_level(av.logging.PANIC)
    options = {"rtsp_transport": "tcp"} if request.scheme == "rtsp" else {}
    with av.open(request.url, "w", format=FORMATS[request.scheme], options=options) as container:
        stream: Any = container.add_stream("libx264", rate=frame_rate(request.fps))
        stream.width, stream.height, stream.pix_fmt = request.width, request.height, "yuv420p"
        # No lookahead and no B-frames, so that every frame leaves at once. One thread: the networks need
        # the others.
        stream.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": f"{CRF}", "forced-idr": "1"}
        stream.codec_context.time_base = TIME_BASE
        stream.codec_context.thread_count = 1
        rows = request.height * 3 // 2
        last_pts, key_pts = -1, -1 << 62
        while time := source.read(TIME_BYTES):
            pixels = source.read(rows * request.width)
            if len(pixels) < rows * request.width:
                return  # the run was killed
            frame = _frame(pixels, (rows, request.width))
            last_pts = max(int.from_bytes(time, "big", signed=True), last_pts + 1)
            frame.pts, frame.time_base = last_pts, TIME_BASE
            if last_pts - key_pts >= KEYFRAME_S / TIME_BASE:
                frame.pict_type, key_pts = av.video.frame.PictureType.I, last_pts
            container.mux(stream.encode(frame))
            answers.write(SENT)
            answers.flush()
        container.mux(stream.encode(None))


def _frame(pixels: bytes, shape: tuple[int, int]) -> Any:
    import av
    import numpy as np

    return av.VideoFrame.from_ndarray(np.frombuffer(pixels, np.uint8).reshape(shape), format="yuv420p")


if __name__ == "__main__":
    main()
