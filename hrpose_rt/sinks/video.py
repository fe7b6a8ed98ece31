"""Annotated video with the audio of its source. It plays anywhere, also after a killed run."""

import io
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import cv2
import numpy as np

from hrpose_rt.errors import BadInput
from hrpose_rt.result import FrameResult
from hrpose_rt.sinks.async_writer import AsyncWriter
from hrpose_rt.sinks.base import closed_error, write_error
from hrpose_rt.sinks.encoders import check_encoder, find_encoder, frame_rate
from hrpose_rt.types import U8, SourceInfo

if TYPE_CHECKING:
    from av.video.stream import VideoStream

ENCODE_QUEUE = 2  # pictures that may wait for the encoder


class Audio(Protocol):
    """The audio of a video, written into the same file."""

    def begin(self, into: Any, time_s: float) -> None:
        """Add the stream to a container whose first frame is at `time_s`."""

    def up_to(self, into: Any, time_s: Fraction) -> None:
        """Mux the audio before `time_s`, in seconds from the first frame."""

    def close(self) -> None:
        """Release the audio."""


class _WholeWrites(io.FileIO):
    """A file that writes all data or raises. FFmpeg does not check how much was written."""

    def write(self, data: Any, /) -> int:
        rest = memoryview(data)
        while rest:
            rest = rest[super().write(rest) or 0 :]
        return memoryview(data).nbytes


class VideoSink:
    """H.264 in an mp4 that plays in browsers.

    The file is written in fragments: after a kill it is readable up to its last second. Closing adds an
    index, so that players know the length. The video begins with the first frame and keeps the times
    between frames, so a variable rate stays variable. Frames of another size are fitted into the first
    frame's size, with black borders. Odd sizes lose one row or column, which H.264 cannot hold.

    Args:
        path: The mp4 file.
        info: The source.
        audio: The audio of the source. It is copied, not encoded again.
        encoder: One of `encoders.ENCODERS`.

    Raises:
        BadInput: The file cannot be written, or there is no such encoder.
    """

    wants_picture = True
    TIME_BASE = Fraction(1, 90_000)
    FRAGMENT_US = 500_000

    def __init__(
        self, path: Path, info: SourceInfo, audio: Audio | None = None, encoder: str = "x264"
    ) -> None:
        import av

        check_encoder(encoder)
        self._path, self._audio, self._encoder_name = path, audio, encoder
        options = {
            "movflags": "hybrid_fragmented+frag_keyframe+empty_moov+default_base_moof",
            "frag_duration": str(self.FRAGMENT_US),
            "flush_packets": "1",
            # When the audio ends, frames do not wait for it.
            "max_interleave_delta": str(self.FRAGMENT_US),
        }
        try:
            # Open the file here. FFmpeg would open it with the first frame and fail only then.
            self._file = _WholeWrites(path, "wb")
        except OSError as error:
            raise BadInput(f"{path} cannot be written: {error.strerror}") from error
        self._container = av.open(self._file, "w", format="mp4", options=options)
        self._fps = frame_rate(info.fps)
        self._last_pts = -1
        self._begin_s: float | None = None  # the video begins with its first frame, at any source time
        self._closed = self._failed = False
        self._encoder = AsyncWriter(ENCODE_QUEUE, name="encode")

    def write(self, result: FrameResult, picture: U8) -> None:
        """See `Sink.write`. The picture is encoded while the next one is drawn."""
        import av

        if self._failed:
            self._encoder.end()  # raises the error that `_mux` met, unless it was raised already
        if self._failed or self._closed:
            raise closed_error(self._path)
        if self._begin_s is None:
            self._begin_s = result.frame.time_s
            self._begin(picture, self._begin_s)
        planes = yuv_planes(picture, (self._stream.height, self._stream.width))
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        pts = round((result.frame.time_s - self._begin_s) / self.TIME_BASE)
        pts = max(pts, self._last_pts + 1)
        frame.pts, frame.time_base, self._last_pts = pts, self.TIME_BASE, pts
        self._encoder.submit(partial(self._mux, frame, pts * self.TIME_BASE))

    def _begin(self, picture: U8, time_s: float) -> None:
        """Add the streams, now that the size is known, and start to encode."""
        height, width = picture.shape[:2]
        size_wh = max(2, width & ~1), max(2, height & ~1)
        encoder = find_encoder(self._encoder_name, size_wh)
        stream = cast("VideoStream", self._container.add_stream(encoder.codec, rate=self._fps))
        self._stream = stream
        stream.width, stream.height = size_wh
        stream.pix_fmt = "yuv420p"
        # A key frame every second. No B-frames: they would delay the beginning, which a fragmented file
        # cannot express.
        stream.options = {**encoder.options, "g": str(max(1, round(self._fps))), "bf": "0"}
        stream.codec_context.time_base = self.TIME_BASE
        if self._audio:
            self._audio.begin(self._container, time_s)
        self._encoder.start()

    def close(self) -> None:
        """Write the frames left in the encoder, unless a write has failed."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._begin_s is not None:
                if not self._failed:
                    end_s = self._last_pts * self.TIME_BASE + 1 / self._fps
                    self._encoder.submit(partial(self._mux, None, end_s))
                self._encoder.end()
            if not self._failed:
                self._container.close()
        except OSError as error:
            raise write_error(self._path, error) from error
        finally:
            self._file.close()
            if self._audio:
                self._audio.close()

    def _mux(self, frame: Any, end_s: Fraction) -> None:
        """Encode and write a frame, and the audio up to a time; None flushes the encoder.

        If the header could not be written, flushing the encoder crashes the process. So FFmpeg is not used
        again after a failure.
        """
        try:
            self._container.mux(self._stream.encode(frame))
            if self._audio:
                self._audio.up_to(self._container, end_s)
        except BaseException as error:
            self._failed = True
            self._file.close()
            if isinstance(error, OSError):
                raise write_error(self._path, error) from error
            raise


def yuv_planes(picture: U8, into_hw: tuple[int, int]) -> U8:
    """The picture (H, W, 3) BGR as I420 planes (height * 3 / 2, width), for encoders.

    Args:
        picture: It loses its last row or column if only that is too much. A picture of another size is
            fitted into it, with black borders.
        into_hw: Height and width of the planes, both even.
    """
    height, width = into_hw
    if picture.shape[0] & ~1 == height and picture.shape[1] & ~1 == width:
        picture = picture[:height, :width]
    else:
        picture = _fitted(picture, into_hw)
    # OpenCV's conversion costs a fifth of FFmpeg's and keeps colours better.
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_BGR2YUV_I420), np.uint8)


def _fitted(image: U8, into_hw: tuple[int, int]) -> U8:
    """The image, scaled without distortion and centred on a black image of (height, width)."""
    scale = min(into / side for into, side in zip(into_hw, image.shape, strict=False))
    h, w = (max(1, round(scale * side)) for side in image.shape[:2])
    top, left = (into_hw[0] - h) // 2, (into_hw[1] - w) // 2
    fitted = np.zeros((*into_hw, 3), np.uint8)
    fitted[top : top + h, left : left + w] = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA)
    return fitted
