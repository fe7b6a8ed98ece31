"""The seam between frames and the boxes of the people in them."""

from collections.abc import Sequence
from typing import Protocol

from hrpose_rt.detection.tiling import Region
from hrpose_rt.timing import StageClock
from hrpose_rt.types import U8, Detections


class Detector(Protocol):
    """Finds people."""

    def warm_up(self, frame_hw: tuple[int, int], max_tiles: int = 0) -> None:
        """Get ready for frames of this height and width, so that the first is no slower.

        Args:
            frame_hw: Height and width.
            max_tiles: That a frame may be looked at in, besides as a whole.
        """

    def input_hw_for(self, frame_hw: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the input that frames of this size are letterboxed into."""

    def detect(self, image: U8, clock: StageClock, tiles: Sequence[Region] = ()) -> Detections:
        """The people in `image` (H, W, 3), their boxes inside it, best score first.

        Args:
            image: The frame.
            clock: Times the stages.
            tiles: Parts of it that are looked at closer, in the same batch.
        """

    def close(self) -> None:
        """Release what it holds."""
