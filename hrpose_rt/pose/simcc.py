"""SimCC vectors -> keypoints.

Source: Li et al., "SimCC: A Simple Coordinate Classification Perspective", ECCV 2022.

The network scores every column and every row of a crop for each joint. A pixel is split into bins, usually
two, so the highest bin is already more exact than a pixel.
"""

import numpy as np

from hrpose_rt.types import F32


class SimccDecoder:
    """Decodes vectors (N, K, columns + rows): first the bins along x, then those along y.

    A score is the lower of the two maxima, as in OpenMMLab's RTMPose.

    Args:
        grid_hw: Number of bins along y and along x.
        flip_order: (K,) joints of a mirrored person, in order.
    """

    def __init__(self, grid_hw: tuple[int, int], flip_order: list[int]) -> None:
        self.grid_hw = grid_hw
        self.output_shape: tuple[int, ...] = (len(flip_order), sum(grid_hw))
        self._columns, self._flip_order = grid_hw[1], flip_order

    def decode(self, output: F32) -> tuple[F32, F32]:
        """See `KeypointDecoder.decode`."""
        along_x, along_y = output[..., : self._columns], output[..., self._columns :]
        points = np.stack([along_x.argmax(axis=2), along_y.argmax(axis=2)], axis=2)
        scores = np.minimum(along_x.max(axis=2), along_y.max(axis=2))
        return points.astype(np.float32), scores

    def merge_flipped(self, output: F32, mirrored: F32) -> F32:
        """See `KeypointDecoder.merge_flipped`."""
        back = mirrored[:, self._flip_order]
        along_x, along_y = back[..., self._columns - 1 :: -1], back[..., self._columns :]
        merged: F32 = (output + np.concatenate([along_x, along_y], axis=2)) * np.float32(0.5)
        return merged
