"""Open a source by the name that the user gives, and the part of it to use."""

import glob
import math
import os
import stat
from collections.abc import Iterable
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING

from hrpose_rt.config import Clip
from hrpose_rt.errors import BadInput
from hrpose_rt.sources.addresses import is_url, redacted
from hrpose_rt.sources.base import RECONNECT_S, Source, check_hwaccel, natural_order

if TYPE_CHECKING:
    from hrpose_rt.sources.base import BaseSource

Name = str | os.PathLike[str] | int  # a source as the user names it
LIST_SUFFIX = ".txt"
# Suffixes of videos in a folder. A video that the user names may have any suffix.
VIDEO_SUFFIXES = frozenset(
    ".mp4 .m4v .mov .mkv .webm .avi .ts .m2ts .mts .mpg .mpeg .wmv .flv .3gp .ogv .h264 .h265 "
    ".mjpeg .mjpg".split()
)
VIDEO4LINUX = 81  # major number of Video4Linux devices


def expand(names: Iterable[str]) -> list[str]:
    """Expand names to sources. A pattern (`clips/*.mp4`), a list (`list.txt`) or a folder may give several.

    Each video in a folder is a source; all its images together are one. A list has one source per line;
    empty lines and lines that begin with `#` are skipped. Its relative paths start from the list's folder.
    """
    sources = []
    for name in names:
        path = Path(name)
        if set(name) & set("*?[") and not is_url(name) and not os.path.exists(name):
            matches = sorted(glob.glob(name, recursive=True), key=natural_order)
            if not matches:
                raise BadInput(f"nothing matches {redacted(name)}: check the pattern")
            sources += matches
        elif path.suffix.lower() == LIST_SUFFIX and os.path.isfile(name):
            sources += _listed(path)
        elif os.path.isdir(name):
            sources += _in_folder(path)
        else:
            sources.append(name)
    return sources


def _in_folder(path: Path) -> list[str]:
    """The sources in a folder: all its images as one source, and each video as another."""
    from hrpose_rt.sources.images import may_be_image

    files = sorted(path.iterdir(), key=lambda file: natural_order(file.name))
    files = [file for file in files if file.is_file() and not file.name.startswith(".")]
    images = [file for file in files if may_be_image(file)]
    videos = [str(file) for file in files if file.suffix.lower() in VIDEO_SUFFIXES and file not in images]
    return [str(path), *videos] if images or not videos else videos


def _listed(path: Path) -> list[str]:
    try:
        lines = [line.strip() for line in path.read_text().splitlines()]
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is no list of sources, it is no text: give a source a line") from error
    names = [line for line in lines if line and not line.startswith("#")]
    if not names:
        raise BadInput(f"{path} lists no sources: give one a line")
    return [name if is_url(name) or name.isdecimal() else str(path.parent / name) for name in names]


def open_source(
    name: Name,
    clip: Clip = Clip(),
    reconnect_s: float = RECONNECT_S,
    patient: bool = False,
    hwaccel: str = "none",
) -> Source:
    """Open a video file, an image, a folder of images, a stream's address or a camera.

    >>> from hrpose_rt import Clip, open_source
    >>> with open_source("video.mp4", Clip(stride=2)) as source:
    ...     for frame in source:
    ...         print(frame.index, frame.time_s, frame.image.shape)
    0 0.0 (48, 64, 3)
    2 0.2 (48, 64, 3)
    4 0.4 (48, 64, 3)

    Args:
        name: A path, an address, or a camera's number (an int or text).
        clip: The part to use.
        reconnect_s: How long to retry a live source that disconnects, in seconds; 0 stops immediately.
        patient: Whether to retry as long if an address does not answer at first. Its width and height are
            0 until it answers.
        hwaccel: Decode videos on a GPU: "cuda", "vaapi", "qsv", "videotoolbox", "d3d11va" or "auto". If it
            is not here, the CPU decodes.

    Raises:
        BadInput: The source does not exist or is not one of these. The message says which.
    """
    if not isinstance(clip, Clip):
        raise BadInput(f"`clip` is a Clip, not {type(clip).__name__}: Clip(start=...)")
    if not (isinstance(reconnect_s, Real) and 0 <= reconnect_s < math.inf):
        raise BadInput(f"`reconnect_s` is a number of seconds, or 0 for none, not {reconnect_s}")
    check_hwaccel(hwaccel)
    from hrpose_rt.sources.images import Images

    source = _open(_text(name), clip, reconnect_s, patient, hwaccel)
    if clip.fps is not None and not isinstance(source, Images):
        source.close()
        raise BadInput(f"`fps` is for folders of images, and {source.info.name} knows its own")
    return source


def _text(name: Name) -> str:
    """The name as text, as on the command line."""
    if isinstance(name, bool) or not isinstance(name, str | os.PathLike | int):
        raise BadInput(
            f"a source is a path, an address or a camera's number, not {type(name).__name__}: give images "
            "to `process`, frames of a video to a `session`, and several sources one by one"
        )
    text = str(name) if isinstance(name, int) else os.fsdecode(os.fspath(name))
    if not text:
        raise BadInput("the source has no name: give a path, an address or a camera's number")
    return text


def _open(name: str, clip: Clip, reconnect_s: float, patient: bool, hwaccel: str) -> "BaseSource":
    if name.isdecimal() and not os.path.exists(name):
        from hrpose_rt.sources.camera import Camera

        return Camera(int(name), clip, reconnect_s)
    if is_url(name):
        from hrpose_rt.sources.network import open_address

        return open_address(name, clip, reconnect_s, patient, hwaccel)
    if name == "-":
        raise BadInput("standard input is not read: save the video as a file and name that")
    path = Path(name)
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: the path has a NUL
        pattern = set(name) & set("*?")
        todo = "name one source, a pattern is not expanded here" if pattern else "check the path"
        raise BadInput(f"{redacted(name)} does not exist: {todo}") from None  # the error has the password
    except OSError as error:
        raise BadInput(f"{redacted(name)} cannot be used ({error.strerror}): check the path") from None
    if stat.S_ISCHR(status.st_mode) and os.major(status.st_rdev) == VIDEO4LINUX:
        from hrpose_rt.sources.camera import Camera

        return Camera(path, clip, reconnect_s)
    from hrpose_rt.sources.images import Images, is_image

    if path.is_dir() or is_image(path):
        return Images(path, clip)
    from hrpose_rt.sources.video import VideoFile

    return VideoFile(path, clip, hwaccel=hwaccel)
