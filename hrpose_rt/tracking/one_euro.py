"""Keypoints without jitter: the One-Euro filter (Casiez et al., CHI 2012), for everybody at once.

Its cutoffs are in hertz and its speeds in body heights a second, so the same numbers fit any frame rate and
anybody near or far. Points that were carried on meanwhile are filtered in what is left: the speed is then
that of the joint against where it was carried to.
"""

import numpy as np

from hrpose_rt.types import F32

MIN_CUTOFF_HZ = 1.5  # of a joint that stands still: lower is calmer
BETA = 8.0  # hertz more for each body height a second: higher follows faster
SPEED_CUTOFF_HZ = 2.0


def one_euro(points: F32, drift: F32, measured: F32, dt: F32, heights: F32) -> tuple[F32, F32]:
    """The next filtered points (N, K, 2) and their drift (N, K, 2) in pixels a second.

    Args:
        points, drift: What this gave the last time.
        measured: (N, K, 2) pixels, new.
        dt: (N,) seconds since the last time, above 0.
        heights: (N,) of the people, pixels.
    """
    step = dt[:, None, None]
    speed = drift + _share(SPEED_CUTOFF_HZ, step) * ((measured - points) / step - drift)
    in_heights = np.linalg.norm(speed, axis=2, keepdims=True) / np.maximum(heights, 1)[:, None, None]
    share = _share(MIN_CUTOFF_HZ + BETA * in_heights, step)
    return np.asarray(points + share * (measured - points), np.float32), np.asarray(speed, np.float32)


def _share(cutoff_hz: F32 | float, dt: F32) -> F32:
    """How much of a new value a first-order low pass takes."""
    return np.asarray(1 / (1 + 1 / (2 * np.pi * cutoff_hz * dt)), np.float32)
