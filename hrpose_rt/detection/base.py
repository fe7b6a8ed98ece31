"""The interface of person detectors: frames in, boxes out."""

from collections.abc import Sequence
from typing import Protocol

from hrpose_rt.detection.tiling import Region
from hrpose_rt.timing import StageClock
from hrpose_rt.types import U8, Detections


class Detector(Protocol):
    """Finds the people in a frame."""

    def warm_up(self, frame_hw: tuple[int, int], max_tiles: int = 0) -> None:
        """Prepare for frames of this size, so that the first one is not slower than the others.

        Args:
            frame_hw: Height and width.
            max_tiles: Most tiles per frame, besides the whole frame.
        """

    def input_hw_for(self, frame_hw: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the input that frames of this size are letterboxed into."""

    def detect(self, image: U8, clock: StageClock, tiles: Sequence[Region] = ()) -> Detections:
        """The people in `image` (H, W, 3), their boxes inside it, best score first.

        Args:
            image: The frame.
            clock: Times the stages.
            tiles: Parts of the frame to search enlarged, in the same batch.
        """

    def close(self) -> None:
        """Release its resources."""
