"""One image, or a folder of them."""

import os
import re
import time
from collections.abc import Generator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.streams.quiet import quiet_libraries
from hrpose_rt.streams.reading import Reading
from hrpose_rt.streams.sources import IMAGE_SUFFIXES, Clip, SourceInfo, in_order
from hrpose_rt.types import U8, Frame

# ISO/IEC 23008-12: how a file begins that holds HEVC pictures, as telephones take them.
_HEIC = re.compile(rb"....ftyp(hei[cxms]|hev[cxms]|mif1....(....)*?hei[cx])", re.DOTALL)


class Images(Reading):
    """The images of a folder in the order of their names, or one image file.

    Numbers in names count as numbers: img2 comes before img10. Hidden files are passed over. `stride` and
    `max_frames` of the clip apply, and seconds count pictures.

    Args:
        path: A folder, or a file.
        clip: Which part of it.
        name: What the user called it, if not so.
    """

    def __init__(self, path: Path, clip: Clip, name: str = "") -> None:
        super().__init__()
        name = name or str(path)
        files = [path]
        if path.is_dir():
            files = sorted(filter(may_be_image, path.iterdir()), key=lambda file: in_order(file.name))
            if not files:
                raise BadInput(f"{name} holds no images: {', '.join(sorted(IMAGE_SUFFIXES))} are read")
        end = None if clip.end is None else int(clip.end)
        chosen = islice(enumerate(files), int(clip.start), end, clip.stride)
        self._files = list(islice(chosen, clip.max_frames))
        if not self._files:
            raise BadInput(f"{name} has {len(files)} images, none of them from --start on")
        self._folder = path.is_dir()
        image = next((i for _, f in self._files if (i := _read(f)) is not None), None)
        if image is None:
            if any(_is_heic(file) for _, file in self._files):
                raise BadInput(f"{name} is HEIC, which is not read: save it as JPEG or PNG")
            raise BadInput(f"{name} cannot be read as an image: it is empty, damaged or none")
        height, width = image.shape[:2]
        full = Path(os.path.abspath(path))  # "." and ".." are no names for what is written
        stem = full.name if path.is_dir() else full.stem
        self.info = SourceInfo(
            *(name, stem or "images", width, height, 1.0, len(self._files)),
            film=False,
            live=False,
        )
        # Where an annotated picture cannot be written under a name like the original's, it is a JPEG.
        self.names = {
            index: file.name if cv2.haveImageWriter(file.name) else f"{file.name}.jpg"
            for index, file in self._files
        }

    def _read_frames(self) -> Generator[Frame, None, None]:
        damaged = []
        for index, file in self._files:
            begin = time.perf_counter()
            image = _read(file)
            if image is None:
                damaged.append(file.name)
                continue
            now = time.perf_counter()
            yield Frame(index, image, float(index), now, read_ms=1e3 * (now - begin), file_name=file.name)
        if damaged:
            more = f" and {len(damaged) - 3} more" if len(damaged) > 3 else ""
            raise RunBroken(
                f"{', '.join(damaged[:3])}{more} cannot be read as images and were left out: replace them"
            )

    def _release(self) -> None:
        """No file is open between two images."""


def is_image(path: Path) -> bool:
    """Whether a file that is named by itself is an image, and no film: animations (GIF) are films."""
    return path.suffix.lower() != ".gif" and _called_or_known(path)


def may_be_image(path: Path) -> bool:
    """Whether a file in a folder is one of its images: also those called so that cannot be read."""
    return not path.name.startswith(".") and not path.is_dir() and _called_or_known(path)


def _called_or_known(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES or _is_heic(path) or _has_reader(path)


def _has_reader(path: Path) -> bool:
    """Whether OpenCV knows how the file begins."""
    try:
        with quiet_libraries():
            return path.is_file() and bool(cv2.haveImageReader(str(path)))
    except (cv2.error, OSError, UnicodeError):
        return False


def _is_heic(path: Path) -> bool:
    if not path.is_file():  # a pipe would be waited for
        return False
    try:
        with path.open("rb") as file:
            return bool(_HEIC.match(file.read(64)))
    except OSError:
        return False


def _read(path: Path) -> U8 | None:
    """The image, upright, as BGR; None if it cannot be read."""
    try:
        data = np.fromfile(path, np.uint8)
    except OSError:
        return None
    if not len(data):
        return None
    try:
        with quiet_libraries():
            image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error:  # a header that promises more than OpenCV's limit
        return None
    return None if image is None else image.astype(np.uint8, copy=False)
