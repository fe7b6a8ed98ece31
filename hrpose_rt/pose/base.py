"""The interfaces of pose estimators (boxes in, keypoints out) and of the decoders of network outputs."""

from collections.abc import Sequence
from typing import Protocol, Self

from hrpose_rt.timing import StageClock
from hrpose_rt.types import F32, U8, Poses


class PoseEstimator(Protocol):
    """Estimates the keypoints of people. A context manager."""

    @property
    def input_hw(self) -> tuple[int, int]:
        """Height and width of its crops."""

    def warm_up(self) -> None:
        """Prepare, so that no frame is slower than the others."""

    def estimate(self, image: U8, boxes: F32, clock: StageClock) -> Poses:
        """Poses of the people in `boxes` (N, 4) of `image` (H, W, 3); row i is box i."""

    def estimate_all(self, images: Sequence[U8], boxes: Sequence[F32], clock: StageClock) -> list[Poses]:
        """The same for several images, whose people share batches."""

    def close(self) -> None:
        """Release its resources."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class KeypointDecoder(Protocol):
    """Turns a network's output into keypoints.

    Attributes:
        grid_hw: Height and width of the grid over a crop: pixels of heatmaps, or bins of SimCC.
        output_shape: Shape of the output for one person.
    """

    grid_hw: tuple[int, int]
    output_shape: tuple[int, ...]

    def decode(self, output: F32) -> tuple[F32, F32]:
        """Decode an output (N, ...) into points (N, K, 2) in cells of the grid and scores (N, K)."""

    def merge_flipped(self, output: F32, mirrored: F32) -> F32:
        """Average an output (N, ...) with that of the mirrored crops."""
