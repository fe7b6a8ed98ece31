"""Connections to addresses. A video with an end is a file; any other is live."""

import base64
import errno
import threading
import urllib.error
import urllib.request
from concurrent.futures import Future
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import av
import av.error
from av.codec.hwaccel import HWAccel
from av.container import InputContainer

from hrpose_rt.errors import BadInput
from hrpose_rt.nets.download import receive
from hrpose_rt.sources.addresses import hint, redacted

CONNECT_TIMEOUT_S = 10.0  # a connection with no answer or packet for this long is broken
PLAYLISTS = frozenset({"hls", "dash"})  # formats whose address is a list of segments
_NO_ANSWER = (urllib.error.URLError, HTTPException, OSError, ValueError)


class Unreachable(BadInput):
    """An address does not answer at the moment."""


def connect(
    url: str, options: dict[str, str] | None = None, hwaccel: HWAccel | None = None
) -> InputContainer:
    """Open an address, with the options of FFmpeg and a device to decode on.

    Raises:
        Unreachable: The address does not answer.
        BadInput: The address answers, but not with video that can be played.
    """
    try:
        return _open(
            url,
            options=options or {},
            timeout=(CONNECT_TIMEOUT_S, CONNECT_TIMEOUT_S),
            hwaccel=hwaccel,
            metadata_errors="replace",  # titles of old files and stations are often no UTF-8
        )
    except (av.error.FFmpegError, OSError, ValueError) as error:
        # Do not pass on FFmpeg's message or its error: both hold the address with its password.
        if isinstance(error, av.error.InvalidDataError | av.error.EOFError) or _errno(error) == errno.EIO:
            _tell_what_answers(url)
        reason = getattr(error, "strerror", None) or "no address"
        raise Unreachable(
            f"{redacted(url)} does not answer as a video stream ({reason}): {hint(url)}"
        ) from None


def _open(url: str, **how: Any) -> InputContainer:
    """`av.open` in a thread of its own: while FFmpeg waits for the network, Python gets no Ctrl-C."""
    opened = Future[InputContainer]()

    def work() -> None:
        try:
            opened.set_result(av.open(url, **how))
        except BaseException as error:  # any error is raised in the caller's thread
            opened.set_exception(error)

    threading.Thread(target=work, daemon=True, name="connect").start()
    return opened.result()


def _errno(error: Exception) -> int | None:
    return error.errno if isinstance(error, OSError) else None


def _tell_what_answers(url: str) -> None:
    """Raise BadInput if a server answers with something other than video."""
    try:
        with open_url(url) as answer:
            kind = answer.headers.get_content_type()
    except _NO_ANSWER:
        return
    if kind.startswith("multipart/"):
        raise BadInput(
            f"{redacted(url)} answers with motion JPEG whose parts are malformed: each has to begin with "
            "its boundary on a line of its own; newer firmware may do so, or the camera has an rtsp address"
        ) from None
    raise BadInput(
        f"{redacted(url)} answers, but with no video ({kind}): give the address of the stream itself"
    )


def is_single_image(container: InputContainer) -> bool:
    """Whether an opened address is a single image."""
    name = container.format.name
    return name == "image2" or name.endswith("_pipe")


def has_end(container: InputContainer) -> bool:
    """Whether an address opened over HTTP is a complete video, not a live stream."""
    if container.format.name in PLAYLISTS:
        return container.duration is not None
    # A server knows the size of a file, not of a stream. FFmpeg does not know it if its last seek failed.
    return container.size > 0 or bool(container.duration)


def open_url(url: str, headers: dict[str, str] | None = None) -> Any:
    """Request an address over HTTP and return the response of `urlopen`."""
    return urllib.request.urlopen(_request(url, headers or {}), timeout=CONNECT_TIMEOUT_S)


def _request(url: str, headers: dict[str, str]) -> urllib.request.Request:
    """A request with the user and password in a header."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    request = urllib.request.Request(urlunsplit(parts._replace(netloc=host)), headers=headers)
    if at:
        name, _, password = user.partition(":")
        login = base64.b64encode(f"{unquote(name)}:{unquote(password)}".encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {login}")
    return request


def supports_ranges(url: str) -> bool:
    """Whether the server can send parts of a file. Videos with their index at the end need this."""
    try:
        with open_url(url, {"Range": "bytes=0-0"}) as answer:
            return bool(answer.status == 206)
    except _NO_ANSWER:
        return False


def download(url: str, file: Path) -> None:
    """Save the content of an address to a file.

    Raises:
        Unreachable: The connection breaks off.
        BadInput: The disk is full.
    """
    try:
        receive(_request(url, {}), file)
    except _NO_ANSWER as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise BadInput(f"there is no room for a copy of {redacted(url)}: set TMPDIR") from None
        reason = " ".join(str(getattr(error, "reason", None) or type(error).__name__).split())
        raise Unreachable(f"{redacted(url)} breaks off ({reason}): try again") from None
