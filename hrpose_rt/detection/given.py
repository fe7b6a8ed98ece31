"""Boxes from a file instead of a detector."""

from collections.abc import Sequence

import numpy as np

from hrpose_rt.console import say
from hrpose_rt.detection.box_file import BoxFile, GivenPeople
from hrpose_rt.detection.region import RegionFilter
from hrpose_rt.detection.tiling import Region
from hrpose_rt.errors import BadInput
from hrpose_rt.timing import StageClock
from hrpose_rt.types import U8, Detections, Frame


class GivenBoxes:
    """Stands in for a detector: the boxes of each frame come from a file.

    Args:
        file: The boxes.
        min_score: Boxes below this score are left out, in 0..1.
        kept: Tells who is kept of the others.
    """

    def __init__(self, file: BoxFile, min_score: float, kept: RegionFilter) -> None:
        self._file, self._min_score, self._kept = file, min_score, kept
        self._frames = self._frames_with_boxes = 0

    @property
    def has_ids(self) -> bool:
        """Whether the file also has ids."""
        return self._file.has_ids

    def people_of(self, frame: Frame) -> GivenPeople:
        """The people of a frame; boxes outside of it are left out."""
        people = self._file.people_of(frame)
        self._frames += 1
        self._frames_with_boxes += len(people.track_ids) > 0
        h, w = frame.image.shape[:2]
        boxes = people.detections.boxes
        inside = (boxes[:, :2] < (w, h)).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1)
        people = people.select(np.flatnonzero(inside & (people.detections.scores >= self._min_score)))
        return people.select(self._kept.rows(people.detections.boxes, (h, w)))

    def warm_up(self, frame_hw: tuple[int, int], max_tiles: int = 0) -> None:
        """See `Detector.warm_up`."""

    def input_hw_for(self, frame_hw: tuple[int, int]) -> tuple[int, int]:
        """See `Detector.input_hw_for`."""
        return frame_hw

    def detect(self, image: U8, clock: StageClock, tiles: Sequence[Region] = ()) -> Detections:
        """Raise BadInput: boxes belong to a frame, an image does not say which it is."""
        raise BadInput("`boxes` gives the people of frames, not of an image: use `people_of`")

    def close(self) -> None:
        """Say so if no frame had boxes."""
        if self._frames and not self._frames_with_boxes:
            say("no frame has boxes in the file: it counts frames of another source, or names other images")
