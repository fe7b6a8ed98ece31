"""Streams from the network: the newest frame, through every break."""

import threading
from collections.abc import Generator
from urllib.parse import urlsplit

import av
import av.error
from av.container import InputContainer

from hrpose_rt.errors import BadInput
from hrpose_rt.streams.addresses import check_address, hint, safe, stem_of
from hrpose_rt.streams.decoded import film_of, upright
from hrpose_rt.streams.newest import CLOSING_S, Newest, gone, pauses
from hrpose_rt.streams.reading import Reading
from hrpose_rt.streams.sources import RECONNECT_S, Clip, SourceInfo
from hrpose_rt.types import Frame

TIMEOUT_S = 10.0  # without an answer or a packet a connection counts as broken

# Sites whose addresses name a page and not a stream.
_PAGES = (
    "youtube.com",
    "youtu.be",
    "twitch.tv",
    "vimeo.com",
    "facebook.com",
    "tiktok.com",
    "dailymotion.com",
)
_OPTIONS = {
    "rtsp_transport": "tcp",  # lost packets would otherwise smear the picture
    "fflags": "nobuffer",
    "flags": "low_delay",
    "analyzeduration": "500000",  # microseconds of looking at the stream before its first picture
}


class NetworkStream(Reading):
    """The newest frame of a stream, whenever the pipeline is ready for one.

    A thread reads as fast as the stream comes, so that latency never grows. When the stream breaks off it
    is opened again, after pauses that grow; frames that nobody took in time are dropped and counted.

    Args:
        url: rtsp, rtmp, http(s), udp, tcp or srt.
        clip: Which part of it; seconds count from the opening.
        reconnect_s: Seconds of failed attempts after which it counts as gone; 0 for none.
    """

    def __init__(self, url: str, clip: Clip, reconnect_s: float = RECONNECT_S) -> None:
        super().__init__()
        check_address(url)
        _refuse_pages(url)
        self._url, self._clip, self._reconnect_s = url, clip, reconnect_s
        try:
            container = _open(url)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            # Neither FFmpeg's words nor its error go on: both hold the address with its password.
            raise BadInput(
                f"{safe(url)} does not answer as a video stream ({_reason(error)}): {hint(url)}"
            ) from None
        stream = film_of(container)
        if stream is None:
            container.close()
            raise BadInput(f"{safe(url)} has no video in it: give the address of the stream itself")
        fps = float(stream.average_rate or stream.guessed_rate or 25)
        self.info = SourceInfo(
            name=safe(url),
            stem=stem_of(url),
            width=stream.width,
            height=stream.height,
            fps=fps / clip.stride,
            frames=clip.count(None, fps),
            film=True,
            live=True,
        )
        self.reconnects = 0
        self._newest = Newest(upright)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._read, args=(container,), daemon=True)
        self._thread.start()

    def _read(self, container: InputContainer | None) -> None:
        """Put every frame into the letter box, until the stream is gone or nobody wants it."""
        attempts = pauses(self._reconnect_s)
        while not self._closing.is_set():
            if container is not None and self._play(container):
                attempts = pauses(self._reconnect_s)  # it gave pictures: the next break is a new one
            pause = next(attempts, None)
            if pause is None:
                self._newest.end(gone(self.info.name, self._reconnect_s))
                return
            if self._closing.wait(pause):
                return
            try:
                container = _open(self._url)
                self.reconnects += 1
            except (av.error.FFmpegError, OSError, ValueError):
                container = None

    def _play(self, container: InputContainer) -> bool:
        """Read a connection to its end; whether it gave any picture."""
        some = False
        try:
            with container:
                film = film_of(container)
                for frame in container.decode(film) if film else ():
                    assert isinstance(frame, av.VideoFrame)
                    if self._closing.is_set():
                        break
                    self._newest.put(frame)
                    some = True
        except (av.error.FFmpegError, OSError):
            pass  # what broke it does not matter: it is opened again
        return some

    def _read_frames(self) -> Generator[Frame, None, None]:
        yield from self._newest.frames(self._clip)

    def _wake(self) -> None:
        self._closing.set()
        self._newest.end("")

    def _release(self) -> None:
        self._thread.join(CLOSING_S)


def _open(url: str) -> InputContainer:
    container = av.open(url, options=dict(_OPTIONS), timeout=(TIMEOUT_S, TIMEOUT_S))
    if (stream := film_of(container)) is not None:
        stream.thread_type = "SLICE"  # threads that work on whole frames hold some of them back
    return container


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or "no address"


def _refuse_pages(url: str) -> None:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return
    if any(host == page or host.endswith(f".{page}") for page in _PAGES):
        raise BadInput(
            f"{safe(url)} is a web page, not a stream: give the stream's own address "
            "(yt-dlp -g PAGE prints it), or a file you have saved"
        )
