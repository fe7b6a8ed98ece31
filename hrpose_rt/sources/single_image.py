"""Convert a single image to a frame: an array, a file or a Pillow image."""

import os
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias, Union, cast

import numpy as np

from hrpose_rt.errors import BadInput
from hrpose_rt.sources.open import open_source
from hrpose_rt.types import U8, Frame

if TYPE_CHECKING:
    import PIL.Image

# A (H, W, 3) uint8 BGR array, a `Frame`, the path of an image file, or a Pillow image.
ImageLike: TypeAlias = Union[U8, Frame, str, "os.PathLike[str]", "PIL.Image.Image"]
ImageList: TypeAlias = Sequence[ImageLike]  # a list or a tuple; list[Path] would be no list[ImageLike]


def to_frame(image: ImageLike) -> Frame:
    """Convert an image to a frame. Files and Pillow images are turned upright by their EXIF data.

    Raises:
        BadInput: The value is not an `ImageLike`, or the file is not one readable image.
    """
    if isinstance(image, Frame):
        return image
    if isinstance(image, str | os.PathLike):
        return _read(image)
    pillow = sys.modules.get("PIL.Image")  # a Pillow image can only exist if its module is loaded
    if pillow and isinstance(image, pillow.Image):
        image = _from_pillow(image)
    return Frame(0, cast(U8, image), 0.0, time.perf_counter())


def _read(path: "str | os.PathLike[str]") -> Frame:
    with open_source(path) as source:
        if source.info.is_video or source.info.is_live or source.info.frames != 1:
            raise BadInput(
                f"{source.info.name} is not one image: give videos, folders and cameras to `stream`"
            )
        return next(iter(source))


def _from_pillow(image: "PIL.Image.Image") -> U8:
    from PIL import Image, ImageOps

    if image.mode in ("I", "F"):
        raise BadInput(
            f"a Pillow image of mode {image.mode} may have any levels: scale them to 0..255 in mode L"
        )
    try:
        upright = ImageOps.exif_transpose(image)
        if image.mode.startswith("I;16"):  # Pillow would make all but the darkest 255 levels white
            upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
        upright = upright.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:  # it is read from its file only here
        raise BadInput(
            f"the Pillow image cannot be read ({error}): open a whole file, or convert it to RGB"
        ) from error
    return np.ascontiguousarray(np.asarray(upright, np.uint8)[..., ::-1])
