"""Video files, decoded by PyAV."""

import math
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import av
import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.streams.decoded import film_of, is_turned, upright
from hrpose_rt.streams.sources import Clip, SourceInfo
from hrpose_rt.types import Frame

_NO_FILM = {"tty"}  # FFmpeg also plays text files, as a terminal would show them
_MISSING_END_S = 0.5  # a film may stop this much before the length its header gives


class VideoFile:
    """The frames of a video file, upright, with the times the file gives them.

    A damaged packet costs its own frames only. When the file has come to its end and frames were lost,
    or its end is missing, iterating raises RunBroken.
    """

    def __init__(self, path: Path, clip: Clip) -> None:
        self._path, self._clip = path, clip
        with _open(path) as container:  # not every film can be rewound, so looking in has its own opening
            self._look_in(container)
        self._container = _open(path)

    def _look_in(self, container: InputContainer) -> None:
        path, clip = self._path, self._clip
        stream = film_of(container)
        if container.format.name in _NO_FILM or stream is None:
            raise BadInput(f"{path} has no video in it: choose another file")
        self._rate = fps = float(stream.average_rate or stream.guessed_rate or 25)
        self._duration_s = _length_s(container)
        if self._duration_s and clip.start >= self._duration_s:
            raise BadInput(f"{path} is {self._duration_s:.1f} s long: --start {clip.start} is past it")
        frames = stream.frames or (round(self._duration_s * fps) if self._duration_s else None)
        first = next(_decode(container, []), None)
        if first is None:
            raise BadInput(f"{path} holds no frame that can be decoded: it may be damaged")
        self._begin_s = first.time or 0.0
        turned = is_turned(first)
        width, height = stream.width, stream.height
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

    def __iter__(self) -> Iterator[Frame]:
        clip, lost = self._clip, list[int]()
        sought = clip.start > 0 and self._seek()
        numbers = _Numbers(self._rate, self._duration_s)
        index, broken, taken, time_s = -1, 0, 0, 0.0
        begin = time.perf_counter()
        for decoded in _decode(self._container, lost):
            time_s = self._time_of(decoded, index + 1)
            broken += decoded.is_corrupt
            sought_first = sought and index < 0
            index = numbers.jump(time_s) if sought_first else numbers.next(time_s, len(lost), broken)
            if time_s < clip.start - 1e-6 or index % clip.stride:
                continue
            if clip.end is not None and time_s >= clip.end - 1e-6:
                break
            try:
                image = upright(decoded)
            except av.error.FFmpegError:
                lost.append(1)
                continue
            now = time.perf_counter()
            yield Frame(index, image, time_s, now, read_ms=1e3 * (now - begin))
            taken += 1
            if taken == clip.max_frames:
                break
            begin = time.perf_counter()
        else:
            self._report(max(len(lost), numbers.gaps), broken, time_s + 1 / self._rate)

    def _seek(self) -> bool:
        """Go to a key frame before the clip's start; False, and back to the beginning, where it cannot."""
        target = int((self._clip.start + self._begin_s) * av.time_base)
        with suppress(av.error.FFmpegError):
            self._container.seek(target)
            frame = next(_decode(self._container, []), None)
            if frame and frame.time is not None and frame.time - self._begin_s <= self._clip.start:
                self._container.seek(target)
                return True
        self._container.close()
        self._container = _open(self._path)
        return False

    def _time_of(self, frame: av.VideoFrame, guess: int) -> float:
        return guess / self._rate if frame.time is None else max(0.0, frame.time - self._begin_s)

    def _report(self, lost: int, broken: int, end_s: float) -> None:
        """Say what was missing, once everything there was has been given."""
        if lost or broken:
            raise RunBroken(
                f"{self._path} is damaged: {lost} of its frames could not be decoded and {broken} only in "
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


class _Numbers:
    """Counts frames so that one that was lost keeps its number.

    Args:
        rate: Frames a second.
        length_s: Of the film; a time past it is damaged itself. 0 if not known.
    """

    def __init__(self, rate: float, length_s: float) -> None:
        self._rate = rate
        self._most = length_s * rate or math.inf
        self._index, self._lost = -1, 0
        self._steady = True  # numbers and times have gone together
        self.gaps = 0

    def jump(self, time_s: float) -> int:
        """The number of a frame, by its time alone."""
        self._index = round(time_s * self._rate)
        return self._index

    def next(self, time_s: float, lost: int, broken: int) -> int:
        """The number of the frame after the last; `lost` and `broken` frames there were so far."""
        told, gap = round(time_s * self._rate), 0
        if not lost and not broken:
            self._steady &= told == self._index + 1
        elif not self._steady:
            gap = lost - self._lost
        elif self._index < told < self._most:
            gap = told - self._index - 1
        self._lost = lost
        self.gaps += gap
        self._index += 1 + gap
        return self._index


def _open(path: Path) -> InputContainer:
    try:
        container = av.open(str(path))
    except (av.error.FFmpegError, OSError, ValueError) as error:
        size = path.stat().st_size
        reason = "is empty" if size == 0 else "is not a video, or its beginning or index is missing"
        raise BadInput(f"{path} {reason}: choose another file") from error
    if (stream := film_of(container)) is not None:
        stream.thread_type = "AUTO"
    return container


def _length_s(container: InputContainer) -> float:
    """The length that the header gives, 0 if it does not."""
    stream = film_of(container)
    assert stream is not None
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / av.time_base


def _decode(container: InputContainer, lost: list[int]) -> Iterator[av.VideoFrame]:
    """Every frame that decodes; `lost` gets an entry for each packet that does not."""
    stream = film_of(container)
    assert stream is not None
    packets: Iterator[av.Packet[VideoStream] | None] = container.demux(stream)
    while True:
        try:
            packet = next(packets)  # the last is empty, and lets go what the decoder still holds
        except StopIteration:
            return
        except av.error.FFmpegError:  # the file breaks off within a packet
            lost.append(1)
            packets = iter([None])
            continue
        try:
            yield from stream.decode(packet)
        except av.error.FFmpegError:
            lost.append(1)
