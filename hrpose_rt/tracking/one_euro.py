"""The One-Euro filter against keypoint jitter (Casiez et al., CHI 2012), for all people together.

Cutoffs are in hertz and velocities in body heights per second, so one setting fits any frame rate and any
distance. Where optical flow has propagated a keypoint, the filter smooths only the rest: its
velocity is relative to the propagated keypoint.
"""

import numpy as np

from hrpose_rt.types import F32

MIN_CUTOFF_HZ = 1.5  # for a keypoint that does not move; lower is smoother
BETA = 8.0  # hertz added per body height per second; higher follows faster
VELOCITY_CUTOFF_HZ = 2.0


def one_euro(
    keypoints: F32, filter_velocity: F32, measured: F32, dt_s: F32, heights: F32
) -> tuple[F32, F32]:
    """Filtered keypoints (N, K, 2) in pixels and their velocity (N, K, 2) in pixels per second.

    Args:
        keypoints, filter_velocity: The last return values; the keypoints were propagated since.
        measured: (N, K, 2) new keypoints, pixels.
        dt_s: (N,) seconds since last time, above 0.
        heights: (N,) heights of the people, pixels.
    """
    step = dt_s[:, None, None]
    change = (measured - keypoints) / step - filter_velocity
    velocity = filter_velocity + _low_pass_share(VELOCITY_CUTOFF_HZ, step) * change
    speed_heights = np.linalg.norm(velocity, axis=2, keepdims=True) / np.maximum(heights, 1)[:, None, None]
    share = _low_pass_share(MIN_CUTOFF_HZ + BETA * speed_heights, step)
    filtered = keypoints + share * (measured - keypoints)
    return np.asarray(filtered, np.float32), np.asarray(velocity, np.float32)


def _low_pass_share(cutoff_hz: F32 | float, dt_s: F32) -> F32:
    """The weight of a new value in a first-order low-pass filter, 0..1."""
    return np.asarray(1 / (1 + 1 / (2 * np.pi * cutoff_hz * dt_s)), np.float32)
