"""Annotated images with the names of the originals."""

from collections.abc import Mapping
from pathlib import Path

import cv2

from hrpose_rt.errors import RunBroken
from hrpose_rt.paths import make_folder
from hrpose_rt.result import FrameResult
from hrpose_rt.sinks.base import write_error
from hrpose_rt.types import U8


class ImageSink:
    """Writes annotated images into a folder, with the names of the originals.

    Args:
        folder: The folder. It is created if it does not exist.
        names: File names by frame index.
    """

    wants_picture = True

    def __init__(self, folder: Path, names: Mapping[int, str]) -> None:
        make_folder(folder)
        self._folder, self._names = folder, names

    def write(self, result: FrameResult, picture: U8) -> None:
        """See `Sink.write`."""
        path = self._folder / self._names[result.frame.index]
        try:
            ok, data = cv2.imencode(path.suffix, picture)
        except cv2.error:
            ok = False
        if not ok:
            height, width = picture.shape[:2]
            raise RunBroken(
                f"{path}: {path.suffix} holds no picture of {width}x{height}, save it as a .png"
            )
        try:
            path.write_bytes(data.tobytes())
        except OSError as error:
            raise write_error(str(path), error) from error

    def close(self) -> None:
        """Do nothing: every image is already closed."""
