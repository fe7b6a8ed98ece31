"""Sources behind an address: videos, images, and live streams that reconnect after a break."""

import tempfile
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import av
import av.error
from av.container import InputContainer

from hrpose_rt.backoff import backoff
from hrpose_rt.config import Clip
from hrpose_rt.errors import BadInput
from hrpose_rt.sources.addresses import check_address, redacted, stem_of
from hrpose_rt.sources.base import RECONNECT_S, BaseSource
from hrpose_rt.sources.connection import (
    PLAYLISTS,
    Unreachable,
    connect,
    download,
    has_end,
    is_single_image,
    supports_ranges,
)
from hrpose_rt.sources.hwaccel import decoding_device
from hrpose_rt.sources.images import Images
from hrpose_rt.sources.live import LatestFrame, LiveSource, connection_lost
from hrpose_rt.sources.live_video import decode_live, in_time
from hrpose_rt.sources.video import VideoFile
from hrpose_rt.sources.video_stream import apply_rotation, find_video_stream
from hrpose_rt.types import SourceInfo

FALLBACK_FPS = 25.0  # for streams that do not give a rate
# Sites whose addresses are web pages, not streams.
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
    "rtsp_transport": "tcp",  # over UDP, lost packets would smear the frames
    "flags": "low_delay",
    "analyzeduration": "500000",  # microseconds of stream to analyse before the first frame
}


def open_address(
    url: str,
    clip: Clip,
    reconnect_s: float = RECONNECT_S,
    patient: bool = False,
    hwaccel: str = "none",
) -> BaseSource:
    """Open an address. A source with an end is a video or an image; every other one is a live stream.

    Args:
        url: rtsp, rtmp, http(s), udp, tcp or srt.
        clip: The part to use.
        reconnect_s: How long to retry a live stream that disconnects, in seconds.
        patient: Whether to retry as long if the address does not answer at first.
        hwaccel: The device that decodes, one of `HWACCELS`.

    Raises:
        BadInput: The address cannot be played. Unreachable if it does not answer.
    """
    check_address(url)
    _refuse_pages(url)
    try:
        connection = _open(url, hwaccel)
    except Unreachable:
        if not patient:
            raise
        return NetworkStream(url, clip, reconnect_s, None, hwaccel)
    single_image = is_single_image(connection)
    if not _is_complete(url, connection):
        return NetworkStream(url, clip, reconnect_s, connection, hwaccel)
    in_pieces = connection.format.name in PLAYLISTS
    connection.close()
    seekable = in_pieces or supports_ranges(url)
    return _with_end(url, clip, single_image, seekable, hwaccel)


def _with_end(url: str, clip: Clip, single_image: bool, seekable: bool, hwaccel: str) -> BaseSource:
    """Open an image or video. Unless a video can be read in parts (`seekable`), use a copy until closed."""
    name, file_name = (
        redacted(url),
        PurePosixPath(urlsplit(redacted(url)).path).name or stem_of(url),
    )
    if not single_image and seekable:
        return VideoFile(url, clip, name, PurePosixPath(file_name).stem, hwaccel)
    folder = tempfile.TemporaryDirectory()
    file = Path(folder.name, file_name)
    try:
        download(url, file)
        source: BaseSource
        source = Images(file, clip, name) if single_image else VideoFile(file, clip, name, hwaccel=hwaccel)
    except BaseException:
        folder.cleanup()
        raise
    source.on_close(folder.cleanup)
    return source


class NetworkStream(LiveSource):
    """Gives the newest frame of a stream whenever the pipeline is ready for one.

    A thread reads as fast as the stream comes, so latency never grows. Frames that are not taken in time
    are dropped and counted. A stream that breaks off is reopened, with growing pauses between attempts.

    Args:
        url: rtsp, rtmp, http(s), udp, tcp or srt.
        clip: The part to use. Seconds count from opening the stream.
        reconnect_s: How long to retry a stream that disconnects, in seconds; 0 stops immediately.
        connection: An open connection to the stream; None if it does not answer yet.
        hwaccel: The device that decodes, one of `HWACCELS`.
    """

    def __init__(
        self,
        url: str,
        clip: Clip,
        reconnect_s: float,
        connection: InputContainer | None,
        hwaccel: str = "none",
    ) -> None:
        super().__init__()
        self._url, self._clip, self._reconnect_s, self._hwaccel = url, clip, reconnect_s, hwaccel
        self.info = SourceInfo(
            name=redacted(url),
            stem=stem_of(url),
            width=0,
            height=0,
            fps=FALLBACK_FPS / clip.stride,
            frames=clip.count(None, FALLBACK_FPS),
            is_video=True,
            is_live=True,
        )
        if connection is not None:
            self._learn(connection)
        self.reconnects = 0
        self._newest = LatestFrame(apply_rotation)
        self._start(partial(self._read, connection))

    def _learn(self, container: InputContainer) -> None:
        """Read size and rate from the first connection."""
        stream = find_video_stream(container)
        if stream is None:
            container.close()
            raise BadInput(f"{self.info.name} has no video in it: give the address of the stream itself")
        fps = float(stream.average_rate or stream.guessed_rate or FALLBACK_FPS)
        self.info = replace(
            self.info, width=stream.width, height=stream.height, fps=fps / self._clip.stride
        )

    def _read(self, container: InputContainer | None) -> None:
        """Put every frame into `_newest`, until the stream is lost or the source closes."""
        attempts, came = backoff(self._reconnect_s), False
        while not self._closing.is_set():
            if container is not None:
                with container:
                    over = _is_complete(self._url, container)
                    if not (over and came) and self._play(container, over):  # else it would begin again
                        attempts, came = backoff(self._reconnect_s), True  # the next break starts over
                if over and came:
                    self._newest.end("")
                    return
            pause = next(attempts, None)
            if pause is None:
                self._newest.end(connection_lost(self.info.name, self._reconnect_s, came))
                return
            if self._closing.wait(pause):
                return
            container = None
            with suppress(BadInput):
                opened = _open(self._url, self._hwaccel)
                if not self.info.width:
                    self._learn(opened)  # closes a connection without video
                else:
                    self.reconnects += 1
                container = opened

    def _play(self, container: InputContainer, over: bool) -> bool:
        """Read a connection to its end, one that is `over` in its own time. Whether it gave any frame."""
        some = False
        paced = over or container.format.name in PLAYLISTS
        with suppress(av.error.FFmpegError, OSError):  # the cause does not matter: it is opened again
            frames = decode_live(container)
            for frame in in_time(frames, self._closing.wait) if paced else frames:
                if self._closing.is_set():
                    break
                if not self.info.width:  # a stream may tell its size only with a keyframe
                    self.info = replace(self.info, width=frame.width, height=frame.height)
                self._newest.put(frame)
                some = True
        return some


def _is_complete(url: str, connection: InputContainer) -> bool:
    """Whether a connection is to a video with an end, or an image. Only HTTP has these."""
    is_http = url.partition("://")[0].lower() in ("http", "https")
    return is_http and (is_single_image(connection) or has_end(connection))


def _open(url: str, hwaccel: str) -> InputContainer:
    container = connect(url, _OPTIONS, decoding_device(hwaccel))
    if (stream := find_video_stream(container)) is not None:
        stream.thread_type = "SLICE"  # frame threads would delay frames
    return container


def _refuse_pages(url: str) -> None:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return
    if any(host == page or host.endswith(f".{page}") for page in _PAGES):
        raise BadInput(
            f"{redacted(url)} is a web page, not a stream: give the stream's own address "
            "(yt-dlp -g PAGE prints it), or a file you have saved"
        )
