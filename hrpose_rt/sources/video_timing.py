"""How long a video is, how many frames a second it has, and when and which each frame is."""

import heapq
import math
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import av
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

MEASURED_PACKETS = 64  # from which the rate of a video is measured, where its header does not know it
_FROM_0 = {"matroska,webm", "flv"}  # containers whose length counts from 0, not from their first packet
_TRUSTED = 0.8, 1.25  # a header's rate over the measured one

Packet: TypeAlias = "av.Packet[VideoStream]"


def rate_of(stream: VideoStream, times_s: Sequence[float]) -> float | None:
    """Frames a second; None if neither the header nor the times (N,) of its first packets tell.

    A header that counts the frames is right. Others claim what they like, browsers' 1000 a second.
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


def picture_end_s(container: InputContainer, stream: VideoStream, begin_s: float) -> float:
    """Seconds of picture from its first frame on, 0 if the header does not tell.

    The length of a container is that of its longest stream, so it tells only where there is no other.
    """
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    tag = stream.metadata.get("DURATION", "").split(":")  # as Matroska's usual writers say it
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
    """Whether a file whose header gives its length as a whole has all of it: sound counts, too."""

    def __init__(self, container: InputContainer) -> None:
        self.promised_s = (container.duration or 0) / av.time_base
        from_0 = container.format.name in _FROM_0
        self._begin_s = 0.0 if from_0 else (container.start_time or 0) / av.time_base
        self.reached_s = 0.0

    def see(self, packet: "av.Packet[Stream]") -> None:
        """Take a packet of any stream."""
        ticks = packet.pts if packet.pts is not None else packet.dts
        if ticks is not None and packet.time_base:
            end = float((ticks + (packet.duration or 0)) * packet.time_base)
            self.reached_s = max(self.reached_s, end - self._begin_s)


class PresentationOrder:
    """Times of frames where packets have none of presentation, as in AVI: the packets', in order."""

    def __init__(self) -> None:
        self._ticks: list[int] = []

    def fed(self, packet: Packet) -> None:
        """The decoder was given a packet."""
        ticks = packet.pts if packet.pts is not None else packet.dts
        if ticks is not None and packet.size:
            heapq.heappush(self._ticks, ticks)

    def lost(self, packet: Packet) -> None:
        """It could not decode it."""
        ticks = packet.pts if packet.pts is not None else packet.dts
        if ticks in self._ticks:
            self._ticks.remove(ticks)
            heapq.heapify(self._ticks)

    def next(self, frame: av.VideoFrame) -> None:
        """Give the next frame its time."""
        if self._ticks:
            frame.pts = heapq.heappop(self._ticks)


def key_before(packets: Iterator[Packet], ticks: float) -> int | None:
    """How many packets lie before the last key frame that is shown at `ticks` or before.

    None if a packet has no time, so that only decoding tells.
    """
    before, count = 0, 0
    for packet in packets:
        if not packet.size:
            break
        if packet.pts is None:
            return None
        if packet.is_keyframe and packet.pts <= ticks:
            before = count
        if packet.dts is not None and packet.dts > ticks:
            break
        count += 1
    return before


class FrameNumbering:
    """Counts frames so that one that was lost keeps its number.

    Args:
        rate: Frames a second.
        length_s: Of the video; a time past it is damaged itself. 0 if not known.
    """

    def __init__(self, rate: float, length_s: float) -> None:
        self._rate = rate
        self._most = length_s * rate or math.inf
        self._index, self._lost = -1, 0
        self._steady = True  # numbers and times have gone together
        self.gaps = 0

    def begin(self, index: int) -> int:
        """The first frame has this number."""
        self._index = index
        return index

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


def number_in_index(stream: VideoStream, packet: Packet) -> int | None:
    """How many packets lie before this one; None if the container has no index of all of them."""
    entries = stream.index_entries
    if packet.dts is None or not stream.frames or len(entries) != stream.frames:
        return None
    at = entries.search_timestamp(packet.dts, any_frame=True)
    return at if at >= 0 and entries[at].timestamp == packet.dts else None
