"""Tiles: parts of a frame, each enlarged to the detector's input to detect small people."""

import math

import numpy as np

from hrpose_rt.config import parse_tiles
from hrpose_rt.detection.letterbox import Letterbox
from hrpose_rt.geometry import centres, greedy_nms, intersection, iou
from hrpose_rt.types import F32, I64, Bools

TILE_OVERLAP = 0.2  # overlap of neighbouring tiles, as a share of a tile
SMALL_PERSON_PX = 72.0  # height in the detector's input below which a person is hard to detect
MAX_TILES_PER_SIDE = 3  # on `auto`
CUT_MARGIN_PX = 2.0  # a box closer than this to a tile's inner edge is cut by it
MIN_CONTAINMENT, MIN_AREA_RATIO = 0.8, 0.35  # a box inside another above both: one person

Region = tuple[int, int, int, int]  # x1, y1, x2, y2 in pixels of the frame


class Tiling:
    """Chooses the tiles of each frame.

    Args:
        mode: "off", "auto", or rows and columns such as "2x3".
        frame_hw: Height and width of the frames.
        input_hw: Height and width of the detector's input.
    """

    def __init__(self, mode: str, frame_hw: tuple[int, int], input_hw: tuple[int, int]) -> None:
        self._auto = mode == "auto"
        self._scale = min(Letterbox.fit(frame_hw, input_hw).scale_xy)
        rows, columns = parse_tiles(mode)
        if self._auto:
            ratios = (side / size for side, size in zip(frame_hw, input_hw, strict=True))
            rows, columns = (min(MAX_TILES_PER_SIDE, max(2, math.ceil(ratio))) for ratio in ratios)
        self._regions = grid(frame_hw, rows, columns) if rows * columns > 1 else []
        self._next = 0

    @property
    def max_tiles(self) -> int:
        """Most tiles per frame."""
        return len(self._regions)

    def choose(self, boxes: F32, limit: int | None = None) -> list[Region]:
        """The tiles for the next frame; on `auto` only tiles with small people in them.

        Args:
            boxes: (N, 4) boxes of the people in the previous frames.
            limit: Most tiles; if there are more, they take turns.
        """
        regions = self._regions
        if self._auto:
            small = centres(boxes[self._is_small(boxes)])
            regions = [region for region in regions if _inside(small, region).any()]
        if limit is None or len(regions) <= limit:
            return regions
        start, self._next = self._next % len(regions), self._next + limit
        return [regions[(start + i) % len(regions)] for i in range(limit)]

    def not_searched(self, boxes: F32, tiles: list[Region]) -> Bools:
        """Which boxes (N, 4) a detection with these tiles may miss: small people outside the tiles."""
        if not self._regions:
            return np.zeros(len(boxes), np.bool_)
        covered = np.zeros(len(boxes), np.bool_)
        for tile in tiles:
            covered |= _inside(centres(boxes), tile)
        return np.asarray(self._is_small(boxes) & ~covered, np.bool_)

    def _is_small(self, boxes: F32) -> Bools:
        return np.asarray((boxes[:, 3] - boxes[:, 1]) * self._scale < SMALL_PERSON_PX, np.bool_)


def grid(frame_hw: tuple[int, int], rows: int, columns: int) -> list[Region]:
    """Tiles that cover a frame and overlap by `TILE_OVERLAP`."""
    (h, w), regions = frame_hw, []
    tile_h, tile_w = (
        math.ceil(side / (n - (n - 1) * TILE_OVERLAP)) for side, n in ((h, rows), (w, columns))
    )
    for row in range(rows):
        for column in range(columns):
            y = round(row * (h - tile_h) / max(rows - 1, 1))
            x = round(column * (w - tile_w) / max(columns - 1, 1))
            regions.append((x, y, x + tile_w, y + tile_h))
    return regions


def not_cut(boxes: F32, region: Region, frame_hw: tuple[int, int]) -> Bools:
    """Which boxes (N, 4), in frame pixels, the inner edges of the region do not cut."""
    (x1, y1, x2, y2), (h, w) = region, frame_hw
    cut = (boxes[:, 0] <= x1 + CUT_MARGIN_PX) & (x1 > 0)
    cut |= (boxes[:, 1] <= y1 + CUT_MARGIN_PX) & (y1 > 0)
    cut |= (boxes[:, 2] >= x2 - CUT_MARGIN_PX) & (x2 < w)
    cut |= (boxes[:, 3] >= y2 - CUT_MARGIN_PX) & (y2 < h)
    return np.asarray(~cut, np.bool_)


def merge_tiles(boxes: F32, scores: F32, source: I64, max_iou: float) -> I64:
    """Rows of the boxes (N, 4) to keep, best score first, one box per person.

    Two boxes from one source are one person if their IoU is above `max_iou`, as in NMS. Two boxes from
    different sources are also one person if one lies in the other and is not much smaller: the tile showed
    a part of the person.

    Args:
        boxes: Boxes from the frame and its tiles, in frame pixels.
        scores: (N,).
        source: (N,) 0 for the frame, i for tile i.
        max_iou: Highest IoU of the boxes of two people, in 0..1.
    """
    area = np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), 1e-6)
    smaller = np.minimum(area[:, None], area[None])
    ratio = smaller / np.maximum(area[:, None], area[None])
    contained = intersection(boxes, boxes) / smaller > MIN_CONTAINMENT
    part = contained & (ratio > MIN_AREA_RATIO) & (source[:, None] != source[None])
    return greedy_nms((iou(boxes, boxes) > max_iou) | part, scores)


def _inside(points: F32, region: Region) -> Bools:
    x1, y1, x2, y2 = region
    x, y = points[:, 0], points[:, 1]
    return np.asarray((x >= x1) & (x < x2) & (y >= y1) & (y < y2), np.bool_)
