"""A single image or a folder of images."""

import math
import os
import re
import time
from collections.abc import Generator
from contextlib import suppress
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from hrpose_rt.config import Clip
from hrpose_rt.console import say
from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.paths import IMAGE_SUFFIXES, check_utf8
from hrpose_rt.sources.base import BaseSource, natural_order
from hrpose_rt.sources.quiet_stderr import silence_stderr
from hrpose_rt.types import U8, Frame, SourceInfo

# The first bytes of a file with HEVC images, as phones save them (ISO/IEC 23008-12).
_HEIC = re.compile(rb"....ftyp(hei[cxms]|hev[cxms]|mif1....(....)*?hei[cx])", re.DOTALL)

_MOTION_JPEG = {".mjpeg", ".mjpg"}  # videos, although they begin as a JPEG does

_DARK = 16  # a level out of 255: 12-bit values in 16 bits reach 15


class Images(BaseSource):
    """The images of a folder in the order of their names, or one image file.

    Numbers in names count as numbers: img2 comes before img10. Hidden files are skipped. With `clip.fps`
    the images are a video; without it, the seconds of the clip count images. Only the first image of a file
    and the upper 8 of 16 bits are used. A message says so if that leaves something out.

    Args:
        path: A folder or a file.
        clip: The part to use.
        name: The name the user gave, if it is not the path.
    """

    def __init__(self, path: Path, clip: Clip, name: str = "") -> None:
        super().__init__()
        name = name or str(path)
        files = [path]
        if path.is_dir():
            files = sorted(filter(may_be_image, path.iterdir()), key=lambda file: natural_order(file.name))
            if not files:
                raise BadInput(f"{name} holds no images: {', '.join(sorted(IMAGE_SUFFIXES))} are read")
        self._fps = clip.fps or 1.0
        first = math.ceil(clip.start * self._fps - 1e-6)
        end = None if clip.end is None else math.ceil(clip.end * self._fps - 1e-6)
        chosen = islice(enumerate(files), first, end, clip.stride)
        self._files = list(islice(chosen, clip.max_frames))
        if not self._files:
            raise BadInput(f"{name} has {len(files)} images, none of them from `start` on")
        image = next((i for _, f in self._files if (i := _read(f)) is not None), None)
        if image is None:
            why = _why_not(next((f for _, f in self._files if _is_heic(f)), self._files[0][1]))
            raise BadInput(f"{name} cannot be read as an image: {why}")
        height, width = image.shape[:2]
        fps = clip.fps / clip.stride if clip.fps else 1.0
        full = Path(os.path.abspath(path))  # "." and ".." cannot name output files
        stem = full.name if path.is_dir() else full.stem
        self.info = SourceInfo(
            name=name,
            stem=stem or "images",
            width=width,
            height=height,
            fps=fps,
            frames=len(self._files),
            is_video=clip.fps is not None,
            is_live=False,
        )
        self.file_names = [file.name for _, file in self._files]
        # If OpenCV cannot write the original's format, the annotated image is a JPEG.
        self.names = {
            index: file.name if cv2.haveImageWriter(f"a{file.suffix}") else f"{file.name}.jpg"
            for index, file in self._files
        }

    def _read_frames(self) -> Generator[Frame, None, None]:
        damaged, unusual = list[Path](), dict[str, list[str]]()
        for index, file in self._files:
            begin = time.perf_counter()
            data = _bytes(file)
            image = _decoded_bgr(data)
            if image is None:
                damaged.append(file)
                continue
            for word in _unusual(file, data, image):
                unusual.setdefault(word, []).append(file.name)
            now = time.perf_counter()
            time_s = index / self._fps
            yield Frame(index, image, time_s, now, read_ms=1e3 * (now - begin), file_name=file.name)
        for word, names in unusual.items():
            say(f"{_some(names)}: {word}")
        if damaged:
            left_out, why = _some([file.name for file in damaged]), _why_not(damaged[0])
            raise RunBroken(f"{left_out} cannot be read as images and were left out ({why}): replace them")

    def _release(self) -> None:
        """Do nothing: no file is open between two images."""


def is_image(path: Path) -> bool:
    """Whether a file that the user names is an image, not a video. Animations (GIF) are videos."""
    return path.suffix.lower() != ".gif" and _called_or_known(path)


def may_be_image(path: Path) -> bool:
    """Whether a file in a folder counts as an image. An image suffix is enough, readable or not."""
    return not path.name.startswith(".") and not path.is_dir() and _called_or_known(path)


def _called_or_known(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix in _MOTION_JPEG:
        return False
    return suffix in IMAGE_SUFFIXES or _is_heic(path) or _has_reader(path)


def _has_reader(path: Path) -> bool:
    """Whether OpenCV recognises the first bytes of the file."""
    try:
        str(path).encode()  # OpenCV would crash on a name that is no UTF-8
        with silence_stderr():
            return path.is_file() and bool(cv2.haveImageReader(str(path)))
    except (cv2.error, OSError, UnicodeError):
        return False


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"


def _why_not(path: Path) -> str:
    """Why a file could not be read as an image, and how to fix it."""
    if _is_heic(path):
        return "HEIC is not read, save it as JPEG or PNG"
    image = _decoded(_bytes(path), cv2.IMREAD_UNCHANGED)
    if image is not None and image.dtype.kind == "f":
        return "its numbers have a floating point, save it with 8 or 16 bits"
    return "it is empty, damaged or none"


def _unusual(path: Path, data: U8, image: U8) -> list[str]:
    """Messages about parts of an image file that are not used."""
    reasons = []
    count = _count(path, data)
    if count > 1:
        reasons.append(f"of {count} pictures only the first is used; save each as a file")
    if 0 < image.max() <= _DARK:
        full = _decoded(data, cv2.IMREAD_UNCHANGED)
        if full is not None and full.dtype == np.uint16:
            bits = int(full.max()).bit_length()
            reasons.append(
                f"nearly black, as it has {bits} bits where there is room for 16; multiply its values"
            )
    return reasons


def _count(path: Path, data: U8) -> int:
    """The number of images in a file. It is read only for formats that may hold several."""
    begin = data[:4096].tobytes()
    by_format = begin[:4] in (b"II*\0", b"MM\0*", b"GIF8") or begin[4:12] == b"ftypavis"
    if by_format or b"ANIM" in begin or b"acTL" in begin:
        with suppress(cv2.error, BadInput), silence_stderr():
            check_utf8(path)
            return int(cv2.imcount(str(path)))
    return 1


def _is_heic(path: Path) -> bool:
    if not path.is_file():  # reading a pipe would block
        return False
    try:
        with path.open("rb") as file:
            return bool(_HEIC.match(file.read(64)))
    except OSError:
        return False


def _read(path: Path) -> U8 | None:
    """Read an image as upright BGR; None if it cannot be read."""
    return _decoded_bgr(_bytes(path))


def _bytes(path: Path) -> U8:
    """The bytes of a file; empty if it cannot be read."""
    try:
        return np.fromfile(path, np.uint8)
    except OSError:
        return np.empty(0, np.uint8)


def _decoded_bgr(data: U8) -> U8 | None:
    image = _decoded(data, cv2.IMREAD_COLOR)
    return None if image is None else image.astype(np.uint8, copy=False)


def _decoded(data: U8, how: int) -> np.ndarray | None:
    if not len(data):
        return None
    try:
        with silence_stderr():
            return cv2.imdecode(data, how)
    except cv2.error:  # the size in the header is over OpenCV's limit
        return None
