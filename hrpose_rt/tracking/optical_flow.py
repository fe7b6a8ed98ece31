"""Where people went from one frame to the next, seen in the pictures themselves.

Points are followed by pyramidal Lucas-Kanade optical flow (Bouguet, Intel 2001), which costs a few
microseconds each: a pose is carried on by what its joints are seen to do, not by what they did before.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from hrpose_rt.types import F32, U8, Bools

WIDTH = 640  # pixels, about, of the pictures that are compared: finer ones cost more and tell no more
WINDOW, LEVELS = 9, 2  # pixels around a point, and halvings of the picture for far moves
STEPS = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 10, 0.03)


@dataclass(slots=True)
class Motion:
    """Compares every frame of a stream with the one before."""

    _before: U8 | None = None
    _now: U8 | None = None
    _hw: tuple[int, int] = (0, 0)  # of the frames
    _shrunk: int = 1  # times

    def see(self, image: U8) -> None:
        """The next frame, (H, W, 3) uint8 BGR."""
        h, w = image.shape[:2]
        self._shrunk = max(1, round(w / WIDTH))
        size = (max(1, w // self._shrunk), max(1, h // self._shrunk))
        small = image if self._shrunk == 1 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        self._before = self._now if self._hw == (h, w) else None
        self._now, self._hw = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8), (h, w)

    def follow(self, points: F32) -> tuple[F32, Bools]:
        """How points (N, K, 2) of the frame before moved, in its pixels, and which (N, K) could be told."""
        unknown = np.zeros_like(points), np.zeros(points.shape[:2], np.bool_)
        before, now = self._before, self._now
        if before is None or now is None or not points.size:
            return unknown
        start = (points.reshape(-1, 1, 2) / self._shrunk).astype(np.float32)
        end, found, _ = cv2.calcOpticalFlowPyrLK(
            before, now, start, None, winSize=(WINDOW, WINDOW), maxLevel=LEVELS, criteria=STEPS
        )
        moved = (end - start).reshape(points.shape) * np.float32(self._shrunk)
        return np.asarray(moved, np.float32), np.asarray(found.reshape(points.shape[:2]) > 0, np.bool_)


def lattice(boxes: F32, count: int) -> F32:
    """`count` points (N, count, 2) in the middle of boxes (N, 4), where somebody's trunk is."""
    places = np.arange(count)
    x, y = 0.4 + 0.1 * (places % 3), 0.2 + 0.5 * places / max(count - 1, 1)
    size = boxes[:, None, 2:] - boxes[:, None, :2]
    return np.asarray(boxes[:, None, :2] + size * np.stack([x, y], axis=1), np.float32)


def middle_of(values: F32, counted: Bools) -> F32:
    """Medians (N, 2) of those of values (N, K, 2) that count (N, K); the lower one of an even number.

    Those of whom none counts get 0.
    """
    count = counted.sum(axis=1)
    ordered = np.sort(np.where(counted[..., None], values, np.inf), axis=1)
    middle = ordered[np.arange(len(values)), np.maximum(count - 1, 0) // 2]
    return np.asarray(np.where(count[:, None] > 0, middle, 0), np.float32)
