"""Real images for calibration and comparison: the user's, or those of an installed package."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from hrpose_rt.config import Clip
from hrpose_rt.detection.base import Detector
from hrpose_rt.detection.letterbox import Letterbox
from hrpose_rt.errors import BadInput, install_hint
from hrpose_rt.geometry import boxes_to_centre_size
from hrpose_rt.pose.crops import crop_people
from hrpose_rt.sources.open import open_source
from hrpose_rt.timing import StageClock
from hrpose_rt.types import F32, U8

MAX_IMAGES = 96  # most images from a video or a folder, evenly spaced
MAX_CALIBRATION_CROPS = 192
# Scales of the packaged photos: people from 500 pixels of height down to 60.
SCALES = (1.0, 0.8, 0.6, 0.45, 0.35, 0.25, 0.2, 0.15)
MIN_PERSON_PX = 40  # smallest height in pixels; smaller people say nothing about joints


@dataclass(frozen=True, slots=True)
class Crops:
    """Crops of people.

    Attributes:
        crops: (N, H, W, 3) uint8 BGR.
        heights: (N,) heights of the people, in pixels of their crops.
    """

    crops: U8
    heights: F32


def load_images(source: Path | None = None) -> list[U8]:
    """Images (H, W, 3) BGR of a video, a folder or an image file; the packaged photos if `source` is None.

    Raises:
        BadInput: There are no images.
    """
    if source is not None:
        return _read(source)
    photos = packaged_photos()
    images: list[U8] = []
    for photo in photos:
        for scale in SCALES:
            small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            images += [np.asarray(small, np.uint8), np.ascontiguousarray(small[:, ::-1], np.uint8)]
    return images


def footage_hash(source: Path | None) -> str:
    """A hash of the names and sizes of the files, in hex; empty for the packaged photos."""
    if source is None:
        return ""
    files = sorted(source.iterdir()) if source.is_dir() else [source]
    sizes = [f"{file.name} {file.stat().st_size if file.exists() else 'missing'}\n" for file in files]
    return hashlib.sha256("".join(sizes).encode(errors="surrogateescape")).hexdigest()[:16]


def has_packaged_photos() -> bool:
    """Whether a package is installed that contains photos of people."""
    return find_spec("ultralytics") is not None


def packaged_photos() -> list[U8]:
    """The photos of people (H, W, 3) BGR that an installed package contains.

    Raises:
        BadInput: The package is not installed.
    """
    spec = find_spec("ultralytics")  # finds the package without importing it
    folders = list(spec.submodule_search_locations or []) if spec else []
    photos = [cv2.imread(str(path)) for f in folders for path in sorted((Path(f) / "assets").glob("*.jpg"))]
    if not photos:
        raise BadInput(
            "there are no photos of people here, they come with ultralytics: "
            f"{install_hint('export')}, or give your own"
        )
    return [np.asarray(photo, np.uint8) for photo in photos]


def _read(path: Path) -> list[U8]:
    with open_source(str(path)) as source:
        count = source.info.frames or MAX_IMAGES
    with open_source(str(path), Clip(stride=max(1, count // MAX_IMAGES))) as source:
        images = [frame.image for frame in source]
    if not images:
        raise BadInput(f"{path} has no pictures: give another `calibration`")
    return images[:MAX_IMAGES]


def people(images: list[U8], detector: Detector, input_hw: tuple[int, int]) -> Crops:
    """Crops of the detected people, as input of the pose network; with many, a few people of each image.

    Raises:
        BadInput: No people are detected.
    """
    crops, heights = [], []
    max_per_image = max(1, 2 * MAX_CALIBRATION_CROPS // len(images))
    for image in images:
        boxes = detector.detect(image, StageClock()).boxes[:max_per_image]
        tall = boxes[:, 3] - boxes[:, 1]
        boxes, tall = boxes[tall >= MIN_PERSON_PX], tall[tall >= MIN_PERSON_PX]
        centres, sizes = boxes_to_centre_size(boxes, input_hw)
        crops.append(crop_people(image, centres, sizes, np.zeros((len(boxes), *input_hw, 3), np.uint8)))
        heights.append(tall / sizes[:, 1] * input_hw[0])
    every, tall = np.concatenate(crops), np.concatenate(heights)
    if not len(every):
        raise BadInput(
            "nobody is in the pictures given: give a video or a folder with people to `calibration`"
        )
    chosen = np.linspace(0, len(every) - 1, min(len(every), MAX_CALIBRATION_CROPS)).round().astype(np.int64)
    return Crops(every[chosen], np.asarray(tall[chosen], np.float32))


def letterboxed(images: list[U8], input_hw: tuple[int, int]) -> Iterator[U8]:
    """Each image letterboxed into a detector's input, (1, H, W, 3)."""
    for image in images:
        canvas = np.empty((1, *input_hw, 3), np.uint8)
        Letterbox.fit(image.shape[:2], input_hw).fill(canvas[0], image)
        yield canvas


def packaged_or(folder: Path | None) -> Iterator[U8]:
    """The photos of a folder; the packaged ones if `folder` is None."""
    if folder is None:
        yield from packaged_photos()
        return
    with open_source(str(folder)) as photos:
        for photo in photos:
            yield photo.image
