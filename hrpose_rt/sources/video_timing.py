"""The length and frame rate of a video, and the times and numbers of its frames."""

import heapq
import math
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import av
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

MEASURED_PACKETS = 64  # used to measure the rate if the header does not know it
_FROM_0 = {"matroska,webm", "flv"}  # containers that count their length from 0, not from the first packet
_TRUSTED = 0.8, 1.25  # accepted range of the header's rate over the measured rate

Packet: TypeAlias = "av.Packet[VideoStream]"


def rate_of(stream: VideoStream, times_s: Sequence[float]) -> float | None:
    """Frames per second; None if neither the header nor the times (N,) of the first packets tell.

    A header with a frame count is trusted. Other headers may be wrong: browsers write 1000 per second.
    """
    header = float(stream.average_rate or stream.guessed_rate or 0)
    if header and stream.frames and stream.duration:
        return header
    span = max(times_s) - min(times_s) if times_s else 0.0
    if span <= 0:
        return header if 0 < header <= 500 else None
    measured = (len(times_s) - 1) / span
    low, high = _TRUSTED
    return header if low <= header / measured <= high else measured


def video_end_s(container: InputContainer, stream: VideoStream, begin_s: float) -> float:
    """Seconds of video from the first frame on; 0 if the header does not tell.

    The length of a container is that of its longest stream. It is used only if there is no other.
    """
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    tag = stream.metadata.get("DURATION", "").split(":")  # written by common Matroska muxers
    try:
        hours, minutes, seconds = map(float, tag)
        return max(0.0, 3600 * hours + 60 * minutes + seconds - begin_s)
    except ValueError:
        pass
    if container.streams.audio or container.streams.subtitles:
        return 0.0
    length = (container.duration or 0) / av.time_base
    return max(0.0, length - begin_s) if container.format.name in _FROM_0 else length


class StreamEnd:
    """Holds the length of the whole file from its header and the end of its packets, audio included."""

    def __init__(self, container: InputContainer) -> None:
        self.promised_s = (container.duration or 0) / av.time_base
        from_0 = container.format.name in _FROM_0
        self._begin_s = 0.0 if from_0 else (container.start_time or 0) / av.time_base
        self.reached_s = 0.0

    def see(self, packet: "av.Packet[Stream]") -> None:
        """Add a packet of any stream."""
        ticks = packet.pts if packet.pts is not None else packet.dts
        if ticks is not None and packet.time_base:
            end = float((ticks + (packet.duration or 0)) * packet.time_base)
            self.reached_s = max(self.reached_s, end - self._begin_s)


class PresentationOrder:
    """Frame times for packets without presentation times (AVI): the sorted times of the packets."""

    def __init__(self) -> None:
        self._ticks: list[int] = []

    def fed(self, packet: Packet) -> None:
        """Add the time of a packet given to the decoder."""
        ticks = packet.pts if packet.pts is not None else packet.dts
        if ticks is not None and packet.size:
            heapq.heappush(self._ticks, ticks)

    def lost(self, packet: Packet) -> None:
        """Remove the time of a packet that could not be decoded."""
        ticks = packet.pts if packet.pts is not None else packet.dts
        if ticks in self._ticks:
            self._ticks.remove(ticks)
            heapq.heapify(self._ticks)

    def next(self, frame: av.VideoFrame) -> None:
        """Set the time of the next frame."""
        if self._ticks:
            frame.pts = heapq.heappop(self._ticks)


def key_before(packets: Iterator[Packet], ticks: float) -> int | None:
    """The number of packets before the last key frame shown at or before `ticks`.

    None if a packet has no time. Then only decoding tells.
    """
    before_key, count = 0, 0
    for packet in packets:
        if not packet.size:
            break
        if packet.pts is None:
            return None
        if packet.is_keyframe and packet.pts <= ticks:
            before_key = count
        if packet.dts is not None and packet.dts > ticks:
            break
        count += 1
    return before_key


class FrameNumbering:
    """Numbers frames, leaving gaps for lost ones.

    Args:
        rate: Frames per second.
        length_s: Length of the video in seconds; 0 if unknown. A later time counts as damaged.
    """

    def __init__(self, rate: float, length_s: float) -> None:
        self._rate = rate
        self._most = length_s * rate or math.inf
        self._index, self._lost = -1, 0
        self._steady = True  # numbers have matched times so far
        self.gaps = 0

    def begin(self, index: int) -> int:
        """Set and return the number of the first frame."""
        self._index = index
        return index

    def next(self, time_s: float, lost: int, broken: int) -> int:
        """The number of the next frame. `lost` and `broken` count such frames so far."""
        timed_index, gap = round(time_s * self._rate), 0
        if not lost and not broken:
            self._steady &= timed_index == self._index + 1
        elif not self._steady:
            gap = lost - self._lost
        elif self._index < timed_index < self._most:
            gap = timed_index - self._index - 1
        self._lost = lost
        self.gaps += gap
        self._index += 1 + gap
        return self._index


def number_in_index(stream: VideoStream, packet: Packet) -> int | None:
    """The number of packets before this one; None if the container does not index all packets."""
    entries = stream.index_entries
    if packet.dts is None or not stream.frames or len(entries) != stream.frames:
        return None
    at = entries.search_timestamp(packet.dts, any_frame=True)
    return at if at >= 0 and entries[at].timestamp == packet.dts else None
