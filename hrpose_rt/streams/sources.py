"""Where frames come from: what the user names, and which part of it."""

import glob
import math
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from hrpose_rt.errors import BadInput
from hrpose_rt.streams.addresses import safe
from hrpose_rt.structures import Amount, More, Number, check_fields
from hrpose_rt.types import Frame

if TYPE_CHECKING:
    from hrpose_rt.streams.reading import Reading

Name = str | os.PathLike[str] | int  # of a source
RECONNECT_S = 60.0  # of attempts to reach a live source again that broke off
LIST_SUFFIX = ".txt"
# Films in a folder; a film that is named itself may be called anything.
VIDEO_SUFFIXES = frozenset(
    ".mp4 .m4v .mov .mkv .webm .avi .ts .m2ts .mts .mpg .mpeg .wmv .flv .3gp .ogv .h264 .h265".split()
)
VIDEO4LINUX = 81  # the major number of its devices
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known of a source before its first frame.

    Attributes:
        name: What the user called it.
        stem: A short name for files made from it.
        width, height: Of its frames in pixels, upright; of the first of them where they differ. 0 of a live
            source that has not answered yet.
        fps: Frames a second; of pictures that are no film, 1.
        frames: How many there are to come; None if nobody knows.
        film: Whether one frame follows from the other, so that people can be followed.
        live: Whether frames come when they come; a live source drops those nobody took.
    """

    name: str
    stem: str
    width: int
    height: int
    fps: float
    frames: int | None
    film: bool
    live: bool


@dataclass(frozen=True, slots=True)
class Clip:
    """Which part of a source to take.

    Attributes:
        start: Seconds from its beginning.
        end: Seconds, exclusive; None for the end of the source.
        stride: Take every so-manyth frame.
        max_frames: Stop after so many frames; None for all.
        fps: Pictures a second of a folder of images, which makes a film of it; None for pictures by
            themselves. Other sources know theirs.
    """

    start: Amount = 0.0
    end: More | None = None
    stride: Number = 1
    max_frames: Number | None = None
    fps: More | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.end is not None and self.end <= self.start:
            raise BadInput(
                f"nothing lies between `start` {self.start} and `end` {self.end}: both are seconds, the "
                "end after the start"
            )

    def count(self, frames: int | None, fps: float) -> int | None:
        """How many of `frames` it takes, as far as can be told beforehand."""
        if frames is not None:
            first = math.ceil(self.start * fps - 1e-6)
            last = frames if self.end is None else min(frames, math.ceil(self.end * fps - 1e-6))
            frames = max(0, math.ceil(last / self.stride) - math.ceil(first / self.stride))
        counts = [n for n in (frames, self.max_frames) if n is not None]
        return min(counts) if counts else None


class Source(Protocol):
    """Something that gives frames, once, from first to last.

    Iterating ends with the source. Where frames were lost on the way it then raises RunBroken, after all
    those that could be had.
    """

    info: SourceInfo

    def __iter__(self) -> Iterator[Frame]: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def expand(names: Iterable[str]) -> list[str]:
    """The sources that names stand for: a pattern (`clips/*.mp4`) and a list (`list.txt`) mean several.

    So does a folder with films in it; its images are one source. A list has a source a line; lines that are
    empty or begin with `#` are left out, and relative paths start from the list's folder.
    """
    found = []
    for name in names:
        path = Path(name)
        if set(name) & set("*?[") and "://" not in name and not os.path.exists(name):
            matches = sorted(glob.glob(name, recursive=True), key=in_order)
            if not matches:
                raise BadInput(f"nothing matches {safe(name)}: check the pattern")
            found += matches
        elif path.suffix.lower() == LIST_SUFFIX and os.path.isfile(name):
            found += _listed(path)
        elif os.path.isdir(name):
            found += _in_folder(path)
        else:
            found.append(name)
    return found


def in_order(name: str) -> list[tuple[int, str]]:
    """A key that sorts names with the numbers in them as numbers: img2 before img10."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), part) if part.isdecimal() else (-1, part) for part in parts]


def _in_folder(path: Path) -> list[str]:
    """A folder with its images as one source, and each of its films as another."""
    from hrpose_rt.streams.images import may_be_image

    found = sorted(path.iterdir(), key=lambda file: in_order(file.name))
    found = [file for file in found if file.is_file() and not file.name.startswith(".")]
    images = [file for file in found if may_be_image(file)]
    films = [str(file) for file in found if file.suffix.lower() in VIDEO_SUFFIXES and file not in images]
    return [str(path), *films] if images or not films else films


def _listed(path: Path) -> list[str]:
    try:
        lines = [line.strip() for line in path.read_text().splitlines()]
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is no list of sources, it is no text: give a source a line") from error
    names = [line for line in lines if line and not line.startswith("#")]
    if not names:
        raise BadInput(f"{path} lists no sources: give one a line")
    return [name if "://" in name or name.isdecimal() else str(path.parent / name) for name in names]


def open_source(
    name: Name, clip: Clip = Clip(), reconnect_s: float = RECONNECT_S, patient: bool = False
) -> Source:
    """Open a video file, an image, a folder of images, a stream's address or, by its number, a camera.

    Args:
        name: A path, an address, or a camera's number, also as text.
        clip: Which part of it.
        reconnect_s: Seconds to try for, if it is live and breaks off; 0 ends it at once.
        patient: Whether to try for as long if an address does not answer at first; its width and height
            are 0 until it does.

    Raises:
        BadInput: It does not exist or is none of these; the message says which.
    """
    if not 0 <= reconnect_s < math.inf:
        raise BadInput(f"`reconnect_s` is a number of seconds, or 0 for none, not {reconnect_s}")
    from hrpose_rt.streams.images import Images

    source = _open(_text(name), clip, reconnect_s, patient)
    if clip.fps is not None and not isinstance(source, Images):
        source.close()
        raise BadInput(f"`fps` is for folders of images, and {source.info.name} knows its own")
    return source


def _text(name: Name) -> str:
    """What the command line would be given for it."""
    if isinstance(name, bool) or not isinstance(name, str | os.PathLike | int):
        raise BadInput(
            f"a source is a path, an address or a camera's number, not {type(name).__name__}; arrays are "
            "pictures for process"
        )
    text = str(name) if isinstance(name, int) else os.fsdecode(os.fspath(name))
    if not text:
        raise BadInput("the source has no name: give a path, an address or a camera's number")
    return text


def _open(name: str, clip: Clip, reconnect_s: float, patient: bool) -> "Reading":
    if name.isdecimal() and not os.path.exists(name):
        from hrpose_rt.streams.camera import Camera

        return Camera(int(name), clip, reconnect_s)
    if "://" in name:
        from hrpose_rt.streams.network import open_address

        return open_address(name, clip, reconnect_s, patient)
    if name == "-":
        raise BadInput("standard input is not read: save the film as a file and name that")
    path = Path(name)
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # no path has a NUL in it
        raise BadInput(f"{safe(name)} does not exist: check the path") from None  # which has the password
    except OSError as error:
        raise BadInput(f"{safe(name)} cannot be used ({error.strerror}): check the path") from None
    if stat.S_ISCHR(status.st_mode) and os.major(status.st_rdev) == VIDEO4LINUX:
        from hrpose_rt.streams.camera import Camera

        return Camera(path, clip, reconnect_s)
    from hrpose_rt.streams.images import Images, is_image

    if path.is_dir() or is_image(path):
        return Images(path, clip)
    from hrpose_rt.streams.video import VideoFile

    return VideoFile(path, clip)
