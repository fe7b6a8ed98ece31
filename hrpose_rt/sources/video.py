"""Video files, decoded by PyAV."""

import errno
import time
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import cast

import av
import av.error
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.video.stream import VideoStream

from hrpose_rt.config import Clip
from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.paths import check_rereadable, check_utf8
from hrpose_rt.sources.audio import IN_MP4, AudioTrack, find_audio_stream
from hrpose_rt.sources.base import BaseSource
from hrpose_rt.sources.connection import connect
from hrpose_rt.sources.hwaccel import decoding_device
from hrpose_rt.sources.video_stream import apply_rotation, find_video_stream, is_rotated
from hrpose_rt.sources.video_timing import (
    MEASURED_PACKETS,
    FrameNumbering,
    Packet,
    PresentationOrder,
    StreamEnd,
    key_before,
    number_in_index,
    rate_of,
    video_end_s,
)
from hrpose_rt.types import Frame, SourceInfo

_NOT_VIDEO_FORMATS = {"tty"}  # FFmpeg also plays text files, as a terminal would show them
_MISSING_END_S = 0.5  # a video may end this much before the length in its header


class VideoFile(BaseSource):
    """The frames of a video file, upright, with the times from the file.

    A damaged packet loses only its own frames. If frames were lost or the end of the file is missing,
    iterating raises RunBroken after the last frame.

    Args:
        path: A file, or the address of one.
        clip: The part to use.
        name, stem: As in `SourceInfo`, if they are not the file's.
        hwaccel: The device that decodes, one of `HWACCELS`.

    Attributes:
        audio_codec: FFmpeg's name of the audio codec; None if there is no audio.
    """

    def __init__(
        self, path: Path | str, clip: Clip, name: str = "", stem: str = "", hwaccel: str = "none"
    ) -> None:
        super().__init__()
        self._path, self._clip, self._name = path, clip, name or str(path)
        self._hwaccel = hwaccel
        with _open(path) as container:  # not every video can be rewound, so probing opens it separately
            self._look_in(container, stem or Path(path).stem)

    def _look_in(self, container: InputContainer, stem: str) -> None:
        path, clip = self._name, self._clip
        stream = find_video_stream(container)
        if container.format.name in _NOT_VIDEO_FORMATS or stream is None:
            raise BadInput(f"{path} has no video in it: choose another file")
        lost, times_s = list[int](), list[float]()
        packets = _noted(_packets(container), times_s)
        first = next(_decode(packets, lost, _order(container)), None)
        if first is None:
            raise BadInput(f"{path} holds no frame that can be decoded: it may be damaged")
        self._begin_s = first.time or 0.0
        with suppress(av.error.FFmpegError):
            deque(islice(packets, max(0, MEASURED_PACKETS - len(times_s))), 0)
        self._rate = fps = rate_of(stream, times_s) or 25.0
        self._duration_s = video_end_s(container, stream, self._begin_s)
        self._sized = stream.duration is not None
        heard = find_audio_stream(container)
        self.audio_codec = heard.codec_context.name if heard else None
        if self._duration_s and clip.start >= self._duration_s:
            raise BadInput(f"{path} is {self._duration_s:.1f} s long: `start` {clip.start:g} is past it")
        frames = stream.frames or (round(self._duration_s * fps) if self._duration_s else None)
        turned = is_rotated(first)
        width, height = stream.width, stream.height
        self.info = SourceInfo(
            name=path,
            stem=stem,
            width=height if turned else width,
            height=width if turned else height,
            fps=fps / clip.stride,
            frames=clip.count(frames, fps),
            is_video=True,
            is_live=False,
        )

    def open_audio(self) -> AudioTrack | None:
        """The audio, to be copied into an mp4; None without audio or if an mp4 cannot hold its codec."""
        return AudioTrack(lambda: _open(self._path), self._begin_s) if self.audio_codec in IN_MP4 else None

    def _read_frames(self) -> Generator[Frame, None, None]:
        try:
            # Not earlier: many videos may be waiting for their turn.
            self._container = _open(self._path, self._hwaccel)
        except BadInput as error:
            raise RunBroken(str(error)) from error
        try:
            yield from self._read_clip()
        finally:
            self._container.close()

    def _read_clip(self) -> Generator[Frame, None, None]:
        clip, lost = self._clip, list[int]()
        skipped = self._seek() if clip.start > 0 else None
        numbers, ends, fed = (
            FrameNumbering(self._rate, self._duration_s),
            StreamEnd(self._container),
            list[int](),
        )
        packets = _packets(self._container, None if self._duration_s and self._sized else ends)
        if skipped is not None and not skipped.sought:
            deque(islice(packets, skipped.count), 0)
        index, corrupt_frames, frames_taken, time_s = -1, 0, 0, 0.0
        begin = time.perf_counter()
        for decoded in _decode(packets, lost, _order(self._container), fed):
            time_s = self._time_of(decoded, index + 1)
            corrupt_frames += decoded.is_corrupt
            if skipped is not None and index < 0:
                ahead = sum(ticks < (decoded.pts or 0) for ticks in fed)  # read later, shown before
                index = numbers.begin(skipped.count + ahead)
            else:
                index = numbers.next(time_s, len(lost), corrupt_frames)
            if time_s < clip.start - 1e-6 or index % clip.stride:
                continue
            if clip.end is not None and time_s >= clip.end - 1e-6:
                break
            try:
                image = apply_rotation(decoded)
            except av.error.FFmpegError:
                lost.append(1)
                continue
            now = time.perf_counter()
            yield Frame(index, image, time_s, now, read_ms=1e3 * (now - begin))
            frames_taken += 1
            if frames_taken == clip.max_frames:
                break
            begin = time.perf_counter()
        else:
            self._report(max(len(lost), numbers.gaps), corrupt_frames, time_s + 1 / self._rate, ends)
            if not (frames_taken or self._duration_s):  # with a length, the start is checked before
                raise RunBroken(f"{self._name} ends before `start` {clip.start:g}: give an earlier one")

    def _seek(self) -> "_Skipped | None":
        """Find where to start decoding for the clip's start; None if all frames must be decoded."""
        stream = find_video_stream(self._container)
        assert stream is not None and stream.time_base is not None
        ticks = float((self._clip.start + self._begin_s) / stream.time_base)
        with suppress(av.error.FFmpegError):
            if stream.frames and len(stream.index_entries) == stream.frames:
                self._container.seek(int(ticks), stream=stream)
                key = next(_packets(self._container))
                count = number_in_index(stream, key)
                if count is not None and key.pts is not None and key.pts <= ticks:
                    self._container.seek(int(ticks), stream=stream)
                    return _Skipped(count, sought=True)
        packets_before = None
        self._reopen()
        with suppress(av.error.FFmpegError):
            packets_before = key_before(_packets(self._container), ticks)
        self._reopen()
        return None if packets_before is None else _Skipped(packets_before, sought=False)

    def _reopen(self) -> None:
        self._container.close()
        self._container = _open(self._path, self._hwaccel)

    def _time_of(self, frame: av.VideoFrame, guess: int) -> float:
        return guess / self._rate if frame.time is None else max(0.0, frame.time - self._begin_s)

    def _report(self, lost: int, corrupt_frames: int, end_s: float, ends: StreamEnd) -> None:
        """Raise RunBroken if anything was missing. Called after the last frame."""
        if lost or corrupt_frames:
            raise RunBroken(
                f"{self._name} is damaged: {lost} of its frames could not be decoded and {corrupt_frames} "
                "only in part; all the others were used"
            )
        promised_s = self._duration_s
        if not (self._sized and promised_s):  # the header gives only the length of the whole file
            end_s, promised_s = max(end_s, ends.reached_s), ends.promised_s
        if end_s < promised_s - max(_MISSING_END_S, 2 / self._rate):
            raise RunBroken(
                f"{self._name} breaks off at {end_s:.1f} s of {promised_s:.1f} s: it may be "
                "truncated; what is there was used"
            )

    def _release(self) -> None:
        """Do nothing: reading the frames has closed the file."""


@dataclass(frozen=True, slots=True)
class _Skipped:
    """The number of packets before the first decoded one, and whether a seek has skipped them."""

    count: int
    sought: bool


def _order(container: InputContainer) -> PresentationOrder | None:
    return PresentationOrder() if container.format.name == "avi" else None


def _noted(packets: Iterator[Packet], times_s: list[float]) -> Iterator[Packet]:
    """Pass the packets on and record their times."""
    for packet in packets:
        if packet.pts is not None:
            times_s.append(float(packet.pts * packet.time_base))
        yield packet


def _open(path: Path | str, hwaccel: str = "none") -> InputContainer:
    device = decoding_device(hwaccel)
    container = connect(path, hwaccel=device) if isinstance(path, str) else _open_file(path, device)
    if (stream := find_video_stream(container)) is not None:
        stream.thread_type = "AUTO"
    return container


def _open_file(path: Path, device: HWAccel | None) -> InputContainer:
    check_rereadable(path)
    check_utf8(path)
    try:
        with path.open("rb"):  # this error says why the file cannot be read; FFmpeg's does not
            pass
        # Without "file:", FFmpeg takes a name with a colon for an address.
        return av.open(f"file:{path}", hwaccel=device, metadata_errors="replace")
    except PermissionError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): check its permissions") from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            raise BadInput(f"{path} cannot be opened ({error.strerror}): raise `ulimit -n`") from error
        reason = "is not a video, or its beginning or index is missing"
        if path.is_file() and path.stat().st_size == 0:
            reason = "is empty"
        raise BadInput(f"{path} {reason}: choose another file") from error


def _packets(container: InputContainer, ends: StreamEnd | None = None) -> Iterator[Packet]:
    """The packets of the video. The last one is empty. `ends` also sees packets of audio and text."""
    video = find_video_stream(container)
    for packet in container.demux() if ends else container.demux(video):
        if ends:
            ends.see(packet)
        if packet.stream is video:
            yield cast("Packet", packet)


def _decode(
    packets: Iterator[Packet],
    lost: list[int],
    order: PresentationOrder | None,
    fed: list[int] | None = None,
) -> Iterator[av.VideoFrame]:
    """Yield every frame that decodes. `lost` gets an entry for each failed packet, `fed` all times."""
    stream: VideoStream | None = None
    while True:
        packet: Packet | None = None
        try:
            packet = next(packets)  # the last one is empty and flushes the decoder
            stream = packet.stream
        except StopIteration:
            return
        except av.error.FFmpegError:  # the file breaks off within a packet
            lost.append(1)
            packets = iter([])
            if stream is None:
                return
        if packet and order:
            order.fed(packet)
        if packet and fed is not None and packet.pts is not None:
            fed.append(packet.pts)
        try:
            for frame in stream.decode(packet):
                if order:
                    order.next(frame)
                yield frame
        except av.error.FFmpegError:
            lost.append(1)
            if packet and order:
                order.lost(packet)
