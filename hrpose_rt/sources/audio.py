"""The audio of a video, copied into the annotated video."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from typing import Any

import av.error
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Discard

from hrpose_rt.errors import BadInput

IN_MP4 = frozenset({"aac", "mp3", "ac3", "eac3", "opus", "flac", "alac"})


class AudioTrack:
    """Copies the packets of a video's first audio stream, each time up to a given moment.

    Args:
        open_video: Opens the video again.
        begin_s: Time of its first frame in seconds, on the video's own clock.
    """

    def __init__(self, open_video: Callable[[], InputContainer], begin_s: float) -> None:
        self._open_video, self._video_begin_s = open_video, begin_s
        self._container: InputContainer | None = None
        self._packets: Iterator[Packet[AudioStream]] = iter(())
        self._next: tuple[Packet[AudioStream], Fraction] | None = None  # and its time in seconds
        self._begin_s = Fraction(0)
        self._copy: Any = None

    def begin(self, into: OutputContainer, time_s: float) -> None:
        """Add the stream to a video whose first frame is at `time_s`. Call this before muxing anything."""
        with suppress(BadInput):  # the file may be gone by now: the video goes on without audio
            self._container = self._open_video()
        if self._container is None or (stream := find_audio_stream(self._container)) is None:
            self.close()
            return
        for other in self._container.streams:
            if other is not stream:
                other.discard = Discard.all
        self._begin_s = Fraction(self._video_begin_s + time_s)
        self._copy = into.add_stream_from_template(stream)
        self._packets = iter(self._container.demux(stream))
        self._step()

    def up_to(self, into: OutputContainer, time_s: Fraction) -> None:
        """Mux the audio before `time_s`, in seconds from the first frame."""
        while self._next is not None:
            packet, heard_s = self._next
            if heard_s >= time_s:
                return
            self._step()
            ticks = round(heard_s / packet.time_base)
            if ticks < 0:  # before the first frame
                continue
            packet.pts = packet.dts = ticks
            packet.stream = self._copy
            into.mux(packet)

    def _step(self) -> None:
        """Read the next packet that has a time. `_next` is None if the audio ends or is damaged."""
        self._next = None
        with suppress(av.error.FFmpegError, StopIteration):
            while self._next is None:
                packet = next(self._packets)
                if packet.pts is not None and packet.size:
                    self._next = packet, packet.pts * packet.time_base - self._begin_s

    def close(self) -> None:
        """Close the video; no more audio is copied."""
        self._next = None
        if self._container is not None:
            self._container.close()
            self._container = None


def find_audio_stream(container: InputContainer) -> AudioStream | None:
    """The first audio stream that can be decoded; None if there is none."""
    return next((stream for stream in container.streams.audio if stream.codec_context), None)
