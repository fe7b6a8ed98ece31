"""The annotated video as a live stream to a server, which never slows the run."""

import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from types import TracebackType

import msgspec

from hrpose_rt.backoff import backoff
from hrpose_rt.console import say
from hrpose_rt.errors import BadInput
from hrpose_rt.result import FrameResult
from hrpose_rt.sinks.endpoints import Endpoint, parse_endpoint
from hrpose_rt.sinks.push_process import SENT, TIME_BASE, TIME_BYTES, PushRequest
from hrpose_rt.sinks.video import yuv_planes
from hrpose_rt.types import U8, SourceInfo

ADDRESSES = {
    "rtmp": "rtmp://HOST/APP/KEY",
    "rtmps": "rtmps://HOST/APP/KEY",
    "rtsp": "rtsp://HOST:PORT/PATH",
    "srt": "srt://HOST:PORT",
    "udp": "udp://HOST:PORT",
    "tcp": "tcp://HOST:PORT",
}
STALL_S = 10.0  # a connection that takes no frame for this long is broken
CLOSING_S = 2.0  # how long closing waits for the last frame
COMMAND = (sys.executable, "-m", "hrpose_rt.sinks.push_process")


class PushFailed(Exception):
    """The connection is broken; the message says why."""


@dataclass(slots=True)
class PushStats:
    """What became of the frames.

    Attributes:
        sent: Frames that were sent.
        dropped: Frames that were left out, because the network was too slow or there was no connection.
        reconnects: How often the connection came back.
    """

    sent: int = 0
    dropped: int = 0
    reconnects: int = 0

    def to_dict(self) -> dict[str, int]:
        """For a report."""
        return asdict(self)


class PushSink:
    """Sends the annotated frames as H.264 to an address. A context manager.

    `write` only stores the newest frame. A thread takes it and gives it to a process that encodes and sends
    it. If that takes longer than until the next frame, frames are dropped and counted. A connection that
    breaks is opened again, with growing pauses. Frames carry the time at which they were written, so a file
    is seen as fast as it is processed.

    Args:
        url: rtmp(s), rtsp, srt, udp or tcp; the last three carry MPEG-TS.

    Raises:
        BadInput: It is no such address, or FFmpeg has no srt.
    """

    wants_picture = True

    def __init__(self, url: str) -> None:
        self.target = parse_endpoint("push", url, ADDRESSES)
        _check_srt(self.target)
        self.stats = PushStats()
        self._fps = 25.0
        self._changed = threading.Condition()
        self._newest: tuple[float, U8] | None = None
        self._ended = threading.Event()
        self._process: _SendingProcess | None = None
        self._size_wh, self._begin_s = (0, 0), 0.0  # of the stream, from its first frame
        self._connected, self._told = False, False
        self._thread = threading.Thread(target=self._work, daemon=True, name="push")
        self._thread.start()

    def for_source(self, info: SourceInfo) -> "PushSink":
        """This sink, for the frames of another source; the stream goes on."""
        self._fps = info.fps
        return self

    def write(self, result: FrameResult, picture: U8) -> None:
        """See `Sink.write`. Returns at once."""
        now = time.perf_counter()
        with self._changed:
            self.stats.dropped += self._newest is not None
            self._newest = (now, picture)
            self._changed.notify()
        if (process := self._process) and process.waits_since and now - process.waits_since > STALL_S:
            process.kill()

    def close(self) -> None:
        """Send the last frame, if the network takes it, and end the stream."""
        self._ended.set()
        with self._changed:
            self._changed.notify()
        try:
            self._thread.join(CLOSING_S)
        finally:  # also after a signal: the process would wait for the network for ever
            if (process := self._process) and self._thread.is_alive():
                process.kill()
                self._thread.join(CLOSING_S)

    def _take(self) -> tuple[float, U8] | None:
        """Wait for the newest frame; None after the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest or self._ended.is_set())
            taken, self._newest = self._newest, None
        return taken

    def _work(self) -> None:
        pauses = backoff()
        while (first := self._take()) is not None:
            sent = self.stats.sent
            try:
                self._stream(first)
            except (PushFailed, OSError) as error:
                self._drop()
                if self.stats.sent > sent:
                    pauses = backoff()
                if not self._told:
                    self._told = True
                    say(f"{self.target} takes no video ({error}): the run goes on, and it is tried again")
                if self._ended.wait(next(pauses)):
                    break
        if self._newest:
            self._drop()

    def _drop(self) -> None:
        with self._changed:
            self.stats.dropped += 1

    def _stream(self, frame: tuple[float, U8] | None) -> None:
        """Connect, and send this frame and those that follow until the end."""
        assert frame
        if not self._begin_s:
            height, width = frame[1].shape[:2]
            self._size_wh, self._begin_s = (max(2, width & ~1), max(2, height & ~1)), frame[0]
        request = PushRequest(self.target.url, self.target.scheme, *self._size_wh, self._fps)
        with _SendingProcess(request) as self._process:
            while frame is not None:
                planes = yuv_planes(frame[1], self._size_wh[::-1])
                self._process.send(round((frame[0] - self._begin_s) / TIME_BASE), planes)
                self._count()
                frame = self._take()

    def _count(self) -> None:
        """Count a frame that was sent, and say that the connection is back."""
        self.stats.sent += 1
        if self._told:
            self._told = False
            self.stats.reconnects += self._connected
            say(f"{self.target} takes the video {'again' if self._connected else 'now'}")
        self._connected = True

    def __enter__(self) -> "PushSink":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _SendingProcess:
    """A process that encodes frames and sends them. A context manager that ends it."""

    def __init__(self, request: PushRequest) -> None:
        self._process = subprocess.Popen(
            COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.waits_since = 0.0  # when the frame was given that is not answered yet
        self._killed = False
        self._first = msgspec.json.encode(request) + b"\n"

    def send(self, pts: int, planes: U8) -> None:
        """Send a frame and wait until it has left.

        Raises:
            PushFailed: It did not leave.
        """
        assert self._process.stdin and self._process.stdout
        self.waits_since = time.perf_counter()
        with suppress(OSError):  # the process has ended: its last answer says why
            head = self._first + pts.to_bytes(TIME_BYTES, "big", signed=True)
            self._process.stdin.write(head)
            self._process.stdin.write(planes.data)
            self._process.stdin.flush()
        self._first = b""
        answer = self._process.stdout.readline()
        if answer != SENT:
            silent = f"it took nothing for {STALL_S:g} s" if self._killed else "the connection broke off"
            raise PushFailed(answer.decode().strip() or silent)
        self.waits_since = 0.0

    def kill(self) -> None:
        """End the process now; `send` fails."""
        self._killed = True
        self._process.kill()

    def __enter__(self) -> "_SendingProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin and self._process.stdout
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(CLOSING_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def _check_srt(target: Endpoint) -> None:
    """Raise BadInput if FFmpeg was built without srt, as in PyAV's own packages."""
    if target.scheme != "srt":
        return
    import av

    try:
        av.open("srt://")  # an address that no protocol opens
    except av.error.ProtocolNotFoundError as error:
        raise BadInput(
            "`push` srt: the FFmpeg in this PyAV has no srt; build PyAV with one that has it (pip install "
            "--no-binary av av), or give an address of rtmp, rtsp or udp"
        ) from error
    except (av.error.FFmpegError, OSError):
        return
