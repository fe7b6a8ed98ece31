"""Where to look closer: parts of a frame, each enlarged into an input of the detector."""

import math
import re

import numpy as np

from hrpose_rt.detection.letterbox import Letterbox
from hrpose_rt.errors import BadInput
from hrpose_rt.geometry import iou, middles, shared_areas, survivors
from hrpose_rt.types import F32, I64, Bools

OVERLAP = 0.2  # of a tile, shared with its neighbour
SMALL = 72.0  # input pixels of height below which people are small to the detector
MOST = 3  # tiles in a row or a column, on `auto`
EDGE = 2.0  # pixels from a tile's inner edge, at which a box was cut off
WITHIN, LIKE = 0.8, 0.35  # share of a box that lies in another, and of its area, which make them one

Region = tuple[int, int, int, int]  # x1, y1, x2, y2 in pixels of the frame


class Tiling:
    """Chooses the tiles of a frame.

    Args:
        mode: "off", "auto", or rows and columns such as "2x3".
        frame_hw: Of the frames.
        input_hw: Of the detector.
    """

    def __init__(self, mode: str, frame_hw: tuple[int, int], input_hw: tuple[int, int]) -> None:
        self._auto = mode == "auto"
        self._scale = min(Letterbox.fit(frame_hw, input_hw).scale_xy)
        rows, columns = parse_tiles(mode)
        if self._auto:
            sides = (side / size for side, size in zip(frame_hw, input_hw, strict=True))
            rows, columns = (min(MOST, max(2, math.ceil(side))) for side in sides)
        self._regions = grid(frame_hw, rows, columns) if rows * columns > 1 else []
        self._turn = 0

    @property
    def most(self) -> int:
        """Tiles that a frame may have."""
        return len(self._regions)

    def choose(self, boxes: F32, most: int | None = None) -> list[Region]:
        """The tiles of the next frame; on `auto` those in which people were small of late.

        Args:
            boxes: (N, 4) of the people of late.
            most: At most so many, in rotation; None for all.
        """
        wanted = self._regions
        if self._auto:
            small = boxes[(boxes[:, 3] - boxes[:, 1]) * self._scale < SMALL]
            centres = middles(small)
            wanted = [r for r in wanted if _inside(centres, r).any()]
        if most is None or len(wanted) <= most:
            return wanted
        start, self._turn = self._turn % len(wanted), self._turn + most
        return [wanted[(start + i) % len(wanted)] for i in range(most)]

    def unseen(self, boxes: F32, regions: list[Region]) -> Bools:
        """Whom (N, 4) a look with these tiles may miss: small people in tiles left out."""
        small = (boxes[:, 3] - boxes[:, 1]) * self._scale < SMALL
        centres = middles(boxes)
        seen = np.zeros(len(boxes), np.bool_)
        for region in regions:
            seen |= _inside(centres, region)
        return np.asarray(small & ~seen, np.bool_) if self._regions else np.zeros(len(boxes), np.bool_)


def parse_tiles(mode: str) -> tuple[int, int]:
    """Rows and columns of `tiles`; 1, 1 for "off" and "auto"."""
    if mode in ("off", "auto"):
        return 1, 1
    match = re.fullmatch(r"([1-9])x([1-9])", mode)
    if not match:
        raise BadInput(f"`tiles` is auto, off, or rows and columns such as 2x3, not {mode}")
    return int(match[1]), int(match[2])


def grid(frame_hw: tuple[int, int], rows: int, columns: int) -> list[Region]:
    """Tiles that overlap by `OVERLAP` and cover a frame."""
    (h, w), regions = frame_hw, []
    tall, wide = (math.ceil(side / (n - (n - 1) * OVERLAP)) for side, n in ((h, rows), (w, columns)))
    for row in range(rows):
        for column in range(columns):
            y = round(row * (h - tall) / max(rows - 1, 1))
            x = round(column * (w - wide) / max(columns - 1, 1))
            regions.append((x, y, x + wide, y + tall))
    return regions


def whole(boxes: F32, region: Region, frame_hw: tuple[int, int]) -> Bools:
    """Which boxes (N, 4), in frame pixels, the region's inner edges do not cut."""
    (x1, y1, x2, y2), (h, w) = region, frame_hw
    cut = (boxes[:, 0] <= x1 + EDGE) & (x1 > 0)
    cut |= (boxes[:, 1] <= y1 + EDGE) & (y1 > 0)
    cut |= (boxes[:, 2] >= x2 - EDGE) & (x2 < w)
    cut |= (boxes[:, 3] >= y2 - EDGE) & (y2 < h)
    return np.asarray(~cut, np.bool_)


def merge(boxes: F32, scores: F32, source: I64, threshold: float) -> I64:
    """Rows, best score first, of boxes (N, 4) from several looks (N,) of which none shows a person twice.

    Two of one look are one person as in any NMS; of different looks also where one lies in the other and
    is not much smaller: a part of a person that a tile showed.
    """
    area = np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), 1e-6)
    shared = shared_areas(boxes, boxes)
    smaller = np.minimum(area[:, None], area[None])
    ratio = smaller / np.maximum(area[:, None], area[None])
    part = (shared / smaller > WITHIN) & (ratio > LIKE) & (source[:, None] != source[None])
    return survivors((iou(boxes, boxes) > threshold) | part, scores)


def _inside(points: F32, region: Region) -> Bools:
    x1, y1, x2, y2 = region
    x, y = points[:, 0], points[:, 1]
    return np.asarray((x >= x1) & (x < x2) & (y >= y1) & (y < y2), np.bool_)
