"""A detector for parts of the frame: people elsewhere are left out, and cost no pose."""

from collections.abc import Sequence

import numpy as np

from hrpose_rt.detection.base import Detector
from hrpose_rt.detection.tiling import Region as Tile
from hrpose_rt.regions import Region
from hrpose_rt.timing import StageClock
from hrpose_rt.types import F32, I64, U8, Bools, Detections


class RegionFilter:
    """Tells who is inside a region, and outside of another.

    A person is where the feet are: the middle of the lower edge of the box.

    Args:
        region: Where people count; None for everywhere.
        ignored: Where they do not count; None for nowhere.
        max_people: Keep at most this many of them, best score first; 0 keeps all.
    """

    def __init__(self, region: Region | None, ignored: Region | None, max_people: int = 0) -> None:
        self._region, self._ignored = region, ignored
        self._max_people = max_people or None
        self._mask: Bools = np.zeros((0, 0), np.bool_)  # of the last frame size

    def rows(self, boxes: F32, frame_hw: tuple[int, int]) -> I64:
        """The rows (M,) of the boxes (N, 4), best score first, whose people are kept."""
        if not (self._region or self._ignored):
            return np.arange(len(boxes))[: self._max_people]
        if self._mask.shape != frame_hw:
            self._mask = np.ones(frame_hw, np.bool_)
            if self._region:
                self._mask &= self._region.mask_of(frame_hw)
            if self._ignored:
                self._mask &= ~self._ignored.mask_of(frame_hw)
        h, w = frame_hw
        x = (boxes[:, [0, 2]].mean(axis=1)).clip(0, w - 1).astype(np.int64)
        y = boxes[:, 3].clip(0, h - 1).astype(np.int64)
        return np.flatnonzero(self._mask[y, x])[: self._max_people]


class RegionDetector:
    """A detector whose people a filter keeps.

    Args:
        detector: Finds people in whole frames.
        kept: Tells who is kept.
    """

    def __init__(self, detector: Detector, kept: RegionFilter) -> None:
        self._detector, self._kept = detector, kept

    def warm_up(self, frame_hw: tuple[int, int], max_tiles: int = 0) -> None:
        """See `Detector.warm_up`."""
        self._detector.warm_up(frame_hw, max_tiles)

    def input_hw_for(self, frame_hw: tuple[int, int]) -> tuple[int, int]:
        """See `Detector.input_hw_for`."""
        return self._detector.input_hw_for(frame_hw)

    def detect(self, image: U8, clock: StageClock, tiles: Sequence[Tile] = ()) -> Detections:
        """See `Detector.detect`."""
        detections = self._detector.detect(image, clock, tiles)
        with clock.stage("detect"):
            return detections.select(self._kept.rows(detections.boxes, (image.shape[0], image.shape[1])))

    def close(self) -> None:
        """Close the detector."""
        self._detector.close()
