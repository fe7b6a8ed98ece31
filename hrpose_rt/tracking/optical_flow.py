"""Sparse optical flow: the motion of points between two frames.

Pyramidal Lucas-Kanade (Bouguet, Intel 2001) costs a few microseconds per point. A pose follows the
motion of its joints in the image, not their earlier motion.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from hrpose_rt.types import F32, U8, Bools

FLOW_WIDTH_PX = 640  # frames are compared at about this width; a larger one costs more and gains nothing
WINDOW_PX = 9  # side of the window around a point
PYRAMID_LEVELS = 2  # halvings of the frame, for large motion
TERMINATION = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 10, 0.03)


@dataclass(slots=True)
class OpticalFlow:
    """Compares each frame of a stream with the previous one."""

    _previous: U8 | None = None
    _current: U8 | None = None
    _frame_hw: tuple[int, int] = (0, 0)
    _shrink: int = 1

    def add_frame(self, image: U8) -> None:
        """Take the next frame, (H, W, 3) uint8 BGR."""
        h, w = image.shape[:2]
        self._shrink = max(1, round(w / FLOW_WIDTH_PX))
        size_wh = (max(1, w // self._shrink), max(1, h // self._shrink))
        small = image if self._shrink == 1 else cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA)
        self._previous = self._current if self._frame_hw == (h, w) else None
        self._current = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)
        self._frame_hw = (h, w)

    def displacements(self, points: F32) -> tuple[F32, Bools]:
        """Motion (N, K, 2) of points (N, K, 2) of the previous frame, in its pixels.

        Also returns for which points (N, K) the flow was found. The motion of the others has no meaning.
        """
        if self._previous is None or self._current is None or not points.size:
            return np.zeros_like(points), np.zeros(points.shape[:2], np.bool_)
        start = (points.reshape(-1, 1, 2) / self._shrink).astype(np.float32)
        end, status, _ = cv2.calcOpticalFlowPyrLK(
            *(self._previous, self._current, start, None),
            winSize=(WINDOW_PX, WINDOW_PX),
            maxLevel=PYRAMID_LEVELS,
            criteria=TERMINATION,
        )
        moved = (end - start).reshape(points.shape) * np.float32(self._shrink)
        return np.asarray(moved, np.float32), np.asarray(status.reshape(points.shape[:2]) > 0, np.bool_)


def torso_grid(boxes: F32, count: int) -> F32:
    """`count` points (N, count, 2) in the middle of boxes (N, 4), where the torso is."""
    steps = np.arange(count)
    x, y = 0.4 + 0.1 * (steps % 3), 0.2 + 0.5 * steps / max(count - 1, 1)
    size = boxes[:, None, 2:] - boxes[:, None, :2]
    return np.asarray(boxes[:, None, :2] + size * np.stack([x, y], axis=1), np.float32)


def masked_median(values: F32, mask: Bools) -> F32:
    """Medians (N, 2) of values (N, K, 2) where mask (N, K) is set; the lower one if two are in the middle.

    A row without a set value gives 0.
    """
    count = mask.sum(axis=1)
    ordered = np.sort(np.where(mask[..., None], values, np.inf), axis=1)
    median = ordered[np.arange(len(values)), np.maximum(count - 1, 0) // 2]
    return np.asarray(np.where(count[:, None] > 0, median, 0), np.float32)
