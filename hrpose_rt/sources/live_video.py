"""Frames of a live connection: without the damaged ones, and not all of a segment at once."""

import time
from collections.abc import Callable, Iterator

import av
import av.error
from av.container import InputContainer

from hrpose_rt.sources.video_stream import find_video_stream

NO_FRAME_S = 30.0  # a connection whose packets give no frame this long is broken; keyframes may be rare
MAX_STEP_S = 2.0  # a longer time between two frames is a gap in the stream, which is not waited for


def decode_live(container: InputContainer) -> Iterator[av.VideoFrame]:
    """Yield every frame that decodes, until the connection ends. A damaged packet loses only its own."""
    video = find_video_stream(container)
    newest_s = time.monotonic()
    for packet in container.demux(video) if video else ():
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            frames = []
        for frame in frames:
            assert isinstance(frame, av.VideoFrame)
            yield frame
            newest_s = time.monotonic()
        if time.monotonic() - newest_s > NO_FRAME_S:
            return


def in_time(
    frames: Iterator[av.VideoFrame], wait: Callable[[float], object] = time.sleep
) -> Iterator[av.VideoFrame]:
    """Yield frames at the rate of their times. A playlist gives the frames of some seconds at once.

    Args:
        frames: In the order in which they are shown.
        wait: Waits for some seconds, or less if nobody wants the frame any more.
    """
    offset_s, before_s = 0.0, None  # of the clock to the frames' times
    for frame in frames:
        if frame.time is not None:
            now = time.monotonic()
            if before_s is None or not 0 <= frame.time - before_s <= MAX_STEP_S:
                offset_s = now - frame.time
            offset_s = max(offset_s, now - frame.time)  # frames that are late make the next ones late
            before_s = frame.time
            wait(offset_s + frame.time - now)
        yield frame
