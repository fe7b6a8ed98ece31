"""Annotated video that plays anywhere, readable after a kill, with the sound of its source."""

import io
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from hrpose_rt.errors import BadInput
from hrpose_rt.result import FrameResult
from hrpose_rt.sinks.base import closed_error, write_error
from hrpose_rt.types import U8, SourceInfo


class Audio(Protocol):
    """What is heard with a video, written into its file beside the pictures."""

    def begin(self, into: Any, time_s: float) -> None:
        """Add the stream to a container whose first picture was taken at `time_s`."""

    def up_to(self, into: Any, time_s: Fraction) -> None:
        """Mux what is heard before `time_s`, counted from the first picture."""

    def close(self) -> None:
        """Release it."""


class _WholeWrites(io.FileIO):
    """A file whose writes are whole or an error: FFmpeg does not look at how much was written."""

    def write(self, data: Any, /) -> int:
        rest = memoryview(data)
        while rest:
            rest = rest[super().write(rest) or 0 :]
        return memoryview(data).nbytes


class VideoSink:
    """H.264 in an mp4 that plays in browsers.

    It is written in fragments, so that it is readable up to its last second after a kill, and gets an
    index when it is closed, so that players know its length. It begins with the first frame and keeps
    the times between frames, so a variable rate stays one. Pictures of another size than the first are
    fitted into it, with black beside them; odd sizes lose one row or column, which H.264 cannot hold.

    Args:
        path: Of the mp4.
        info: Of what it shows.
        audio: What is heard with it; copied as it is.
    """

    wants_picture = True
    TIME_BASE = Fraction(1, 90_000)
    FRAGMENT_US = 500_000

    def __init__(self, path: Path, info: SourceInfo, audio: Audio | None = None) -> None:
        import av

        self._path, self._audio = path, audio
        options = {
            "movflags": "hybrid_fragmented+frag_keyframe+empty_moov+default_base_moof",
            "frag_duration": str(self.FRAGMENT_US),
            "flush_packets": "1",
            # Where the sound ends, pictures do not wait for it.
            "max_interleave_delta": str(self.FRAGMENT_US),
        }
        try:
            # Opened here: FFmpeg would open it with the first frame, and fail only then.
            self._file = _WholeWrites(path, "wb")
        except OSError as error:
            raise BadInput(f"{path} cannot be written: {error.strerror}") from error
        self._container = av.open(self._file, "w", format="mp4", options=options)
        self._fps = fps = Fraction(info.fps).limit_denominator(1001)
        self._stream = stream = self._container.add_stream("libx264", rate=fps)
        stream.pix_fmt = "yuv420p"
        second = str(max(1, round(info.fps)))
        # B-frames would delay the beginning: a fragmented file has no way to say where it lies.
        # "superfast" costs a third less than "veryfast", which competes with the networks for the cores. It
        # does not look ahead, so all but the newest frames are in the file when the run is killed.
        stream.options = {"preset": "superfast", "crf": "22", "g": second, "bf": "0"}
        stream.codec_context.time_base = self.TIME_BASE
        self._last_pts = -1
        self._begin_s: float | None = None  # the video begins with its first frame, wherever that was taken
        self._closed = False

    def write(self, result: FrameResult, picture: U8) -> None:
        """See `Sink.write`."""
        import av

        if self._begin_s is None:
            height, width = picture.shape[:2]
            self._stream.width, self._stream.height = max(2, width & ~1), max(2, height & ~1)
            self._begin_s = result.frame.time_s
            if self._audio:
                self._audio.begin(self._container, self._begin_s)
        height, width = self._stream.height, self._stream.width
        if picture.shape[0] & ~1 == height and picture.shape[1] & ~1 == width:
            picture = picture[:height, :width]
        else:
            picture = _fitted(picture, (height, width))
        # OpenCV's conversion costs a fifth of FFmpeg's, and keeps the colours better.
        planes = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_BGR2YUV_I420)
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        pts = round((result.frame.time_s - self._begin_s) / self.TIME_BASE)
        pts = max(pts, self._last_pts + 1)
        frame.pts, frame.time_base, self._last_pts = pts, self.TIME_BASE, pts
        self._mux(frame)

    def close(self) -> None:
        """Write what the encoder still holds, unless writing failed before."""
        if self._closed:
            return
        if self._begin_s is not None:
            self._mux(None)
        self._closed = True
        try:
            self._container.close()
        except OSError as error:
            raise write_error(self._path, error) from error
        finally:
            self._file.close()
            if self._audio:
                self._audio.close()

    def _mux(self, frame: Any) -> None:
        """Encode a frame, or with None what is left, and write it.

        An encoder whose file refused the header crashes the process when it is flushed: after a failure
        nothing of FFmpeg's is touched again.
        """
        if self._closed:
            raise closed_error(self._path)
        try:
            self._container.mux(self._stream.encode(frame))
            if self._audio:
                end_s = self._last_pts * self.TIME_BASE + (0 if frame else 1 / self._fps)
                self._audio.up_to(self._container, end_s)
        except OSError as error:
            self._closed = True
            self._file.close()
            raise write_error(self._path, error) from error


def _fitted(picture: U8, into_hw: tuple[int, int]) -> U8:
    """The picture, its shape kept, in the middle of a black one of (height, width)."""
    scale = min(into / side for into, side in zip(into_hw, picture.shape, strict=False))
    h, w = (max(1, round(scale * side)) for side in picture.shape[:2])
    top, left = (into_hw[0] - h) // 2, (into_hw[1] - w) // 2
    fitted = np.zeros((*into_hw, 3), np.uint8)
    fitted[top : top + h, left : left + w] = cv2.resize(picture, (w, h), interpolation=cv2.INTER_AREA)
    return fitted
