"""Video files, decoded by PyAV."""

import time
from collections.abc import Iterator
from pathlib import Path

import av
import av.error
import numpy as np

from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.streams.sources import Clip, SourceInfo
from hrpose_rt.types import U8, Frame

_NO_FILM = {"tty"}  # FFmpeg also plays text files, as a terminal would show them
_MISSING_END_S = 0.5  # a film may stop this much before the length its header gives


class VideoFile:
    """The frames of a video file, upright, with the times the file gives them.

    A damaged packet costs its own frames only. When the file has come to its end and frames were lost,
    or its end is missing, iterating raises RunBroken.
    """

    def __init__(self, path: Path, clip: Clip) -> None:
        try:
            self._container = av.open(str(path))
        except (av.error.FFmpegError, OSError, ValueError) as error:
            size = path.stat().st_size
            reason = "is empty" if size == 0 else "is not a video, or its beginning or index is missing"
            raise BadInput(f"{path} {reason}: choose another file") from error
        try:
            self._open_stream(path, clip)
        except BaseException:
            self._container.close()
            raise
        self._path, self._clip = path, clip

    def _open_stream(self, path: Path, clip: Clip) -> None:
        if self._container.format.name in _NO_FILM or not self._container.streams.video:
            raise BadInput(f"{path} has no video in it: choose another file")
        self._stream = stream = self._container.streams.video[0]
        stream.thread_type = "AUTO"
        fps = float(stream.average_rate or stream.guessed_rate or 25)
        self._duration_s = self._length_s()
        if self._duration_s and clip.start >= self._duration_s:
            raise BadInput(f"{path} is {self._duration_s:.1f} s long: --start {clip.start} is past it")
        frames = stream.frames or (round(self._duration_s * fps) if self._duration_s else None)
        width, height = stream.width, stream.height
        first = self._first_frame(path)
        self._begin_s = first.time or 0.0
        turned = first.rotation % 180 != 0
        self.info = SourceInfo(
            name=str(path),
            stem=path.stem,
            width=height if turned else width,
            height=width if turned else height,
            fps=fps / clip.stride,
            frames=clip.count(frames, fps),
            film=True,
            live=False,
        )
        self._rate = fps

    def _length_s(self) -> float:
        """The length that the header gives, 0 if it does not."""
        if self._stream.duration is not None and self._stream.time_base is not None:
            return float(self._stream.duration * self._stream.time_base)
        return (self._container.duration or 0) / av.time_base

    def _first_frame(self, path: Path) -> av.VideoFrame:
        """The first frame that decodes; the file is rewound to its beginning."""
        for frame in self._decode([]):
            self._container.seek(0)
            return frame
        raise BadInput(f"{path} holds no frame that can be decoded: it may be damaged")

    def __iter__(self) -> Iterator[Frame]:
        clip, lost = self._clip, list[int]()
        if clip.start > 0:
            self._container.seek(int((clip.start + self._begin_s) * av.time_base))
        index, taken, damaged, missed, end_s = -1, 0, 0, 0, 0.0
        begin = time.perf_counter()
        for decoded in self._decode(lost):
            time_s = self._time_of(decoded, index + 1)
            if index < 0 and clip.start > 0:  # after a seek a frame's number is told by its time
                index = round(time_s * self._rate)
            else:  # a lost frame keeps its number
                index += 1 + len(lost) - missed
            missed = len(lost)
            end_s = time_s
            if time_s < clip.start - 1e-6 or index % clip.stride:
                continue
            if clip.end is not None and time_s >= clip.end:
                break
            damaged += decoded.is_corrupt
            image = _upright(decoded)
            now = time.perf_counter()
            yield Frame(index, image, time_s, now, read_ms=1e3 * (now - begin))
            taken += 1
            if taken == clip.max_frames:
                break
            begin = time.perf_counter()
        else:
            self._report(len(lost), damaged, end_s + 1 / self._rate)

    def _decode(self, lost: list[int]) -> Iterator[av.VideoFrame]:
        """Every frame that decodes; `lost` gets an entry for each packet that does not."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.error.FFmpegError:  # the file breaks off within a packet
                lost.append(1)
                return
            try:
                yield from packet.decode()
            except av.error.FFmpegError:
                lost.append(1)

    def _time_of(self, frame: av.VideoFrame, guess: int) -> float:
        return guess / self._rate if frame.time is None else max(0.0, frame.time - self._begin_s)

    def _report(self, lost: int, damaged: int, end_s: float) -> None:
        """Say what was missing, once everything there was has been given."""
        if lost or damaged:
            raise RunBroken(
                f"{self._path} is damaged: {lost} of its frames could not be decoded and {damaged} only in "
                "part; all the others were used"
            )
        if end_s < self._duration_s - max(_MISSING_END_S, 2 / self._rate):
            raise RunBroken(
                f"{self._path} breaks off at {end_s:.1f} s of {self._duration_s:.1f} s: it may be "
                "truncated; what is there was used"
            )

    def __enter__(self) -> "VideoFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()


def _upright(frame: av.VideoFrame) -> U8:
    image = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
    turns = round(frame.rotation / 90) % 4  # metadata counts degrees counter-clockwise, as rot90 does
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image
