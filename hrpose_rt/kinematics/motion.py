"""The movement of one person: filtered keypoints, angles and speeds over time."""

from dataclasses import dataclass

import numpy as np

from hrpose_rt.kinematics.angles import FULL_TURN, LEFT, RIGHT, forward, joint_angles, point
from hrpose_rt.kinematics.filters import Smoothing, median, smooth
from hrpose_rt.kinematics.recording import Track
from hrpose_rt.kinematics.scale import Ground, speeds
from hrpose_rt.skeleton import Skeleton
from hrpose_rt.types import F64

TURN_S = 1.0  # window of the median that decides which way a person faces


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """One person over T frames at even distances; NaN where a value is unknown.

    >>> import numpy as np
    >>> from hrpose_rt import COCO17
    >>> from hrpose_rt.kinematics.filters import Smoothing
    >>> from hrpose_rt.kinematics.motion import measure
    >>> from hrpose_rt.kinematics.recording import Track
    >>> frames = np.arange(30)
    >>> keypoints = np.zeros((30, 17, 2)) + frames[:, None, None]
    >>> track = Track(0, frames, frames / 25, keypoints, np.ones((30, 17)), rate_hz=25)
    >>> motion = measure(track, COCO17, Smoothing(filter="none"))
    >>> motion.angles.shape, round(float(motion.hip_speeds[3]), 2)
    ((30, 19), 35.36)

    Attributes:
        track: The person before the filter.
        skeleton: The K joints.
        keypoints: (T, K, 2) filtered pixels.
        raw_angles: (T, A) degrees, of the keypoints before the filter.
        angles: (T, A) degrees, of the filtered keypoints, without jumps of a full turn.
        speeds: (T, K) pixels per second.
        hip_speeds: (T,) pixels per second of the middle of the hips.
        ground: (T, 2) metres, where the middle of the ankles is on the ground; None without points of it.
    """

    track: Track
    skeleton: Skeleton
    keypoints: F64
    raw_angles: F64
    angles: F64
    speeds: F64
    hip_speeds: F64
    ground: F64 | None


def measure(
    track: Track, skeleton: Skeleton, smoothing: Smoothing, facing: int = 0, ground: Ground | None = None
) -> Motion:
    """Filter the keypoints of a person, and measure angles and speeds on them.

    Args:
        track: The person.
        skeleton: The K joints.
        smoothing: How keypoints are filtered.
        facing: 1 if the person faces right all the time, -1 for left, 0 to decide by the median of
            `forward` over a second.
        ground: Points of the ground.
    """
    keypoints = smooth(track.keypoints, track.rate_hz, smoothing)
    signs = np.full(len(keypoints), facing) if facing else _facing(keypoints, skeleton, track.rate_hz)
    sure = np.ones(keypoints.shape[:2])
    raw, angles = (
        continuous(joint_angles(each, sure, skeleton, signs)) for each in (track.keypoints, keypoints)
    )
    return Motion(
        track,
        skeleton,
        keypoints,
        raw,
        angles,
        speeds(keypoints, track.times_s),
        speeds(point(keypoints, skeleton, "hip"), track.times_s),
        ground.place(point(keypoints, skeleton, "ankles")) if ground else None,
    )


def _facing(keypoints: F64, skeleton: Skeleton, rate_hz: float) -> F64:
    """1 or -1 (T,): turning round shows, a nose that flickers does not."""
    direction = forward(keypoints, skeleton)[:, None, None]
    window = 2 * round(TURN_S * rate_hz / 2) + 1
    return np.where(median(direction, window)[:, 0, 0] < 0, LEFT, RIGHT).astype(np.float64)


def continuous(angles: F64) -> F64:
    """Angles (T, A) without jumps of a full turn, each with its mean within -180..180."""
    unwrapped = angles.copy()
    for column in unwrapped.T:
        known = ~np.isnan(column)
        if known.any():
            values = np.unwrap(column[known], period=FULL_TURN)
            column[known] = values - FULL_TURN * np.round(values.mean() / FULL_TURN)
    return unwrapped
