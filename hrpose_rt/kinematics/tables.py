"""Movement as CSV tables, one row per person and frame."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from hrpose_rt.kinematics.angles import angle_names
from hrpose_rt.kinematics.motion import Motion
from hrpose_rt.kinematics.scale import speeds
from hrpose_rt.types import F64

_ABOUT = ("frame", "time_s", "id")


def write_poses(path: Path, motions: Sequence[Motion]) -> None:
    """Filtered keypoints, their scores, and the keypoints before the filter as `nose_raw_x`, in pixels."""
    parts = ("x", "y", "score", "raw_x", "raw_y")
    columns = [f"{joint}_{part}" for joint in motions[0].skeleton.joints for part in parts]
    cells = [
        np.concatenate([m.keypoints, m.track.scores[..., None], m.track.keypoints], axis=2).reshape(
            len(m.keypoints), -1
        )
        for m in motions
    ]
    _write(path, motions, columns, cells)


def write_angles(path: Path, motions: Sequence[Motion]) -> None:
    """Angles in degrees, of the filtered keypoints."""
    _write(path, motions, angle_names(motions[0].skeleton), [motion.angles for motion in motions])


def write_speeds(path: Path, motions: Sequence[Motion], metres_per_px: float | None = None) -> None:
    """Speeds of the hips and of each keypoint in pixels or metres per second, then the place on the ground.

    Args:
        path: The file.
        motions: The people.
        metres_per_px: If it is known, speeds are in metres per second.
    """
    unit, factor = ("px_s", 1.0) if metres_per_px is None else ("m_s", metres_per_px)
    columns = [f"{name}_{unit}" for name in ("hips", *motions[0].skeleton.joints)]
    if motions[0].ground is not None:
        columns += ["ground_x_m", "ground_y_m", "ground_m_s"]
    cells = []
    for motion in motions:
        parts = [factor * motion.hip_speeds[:, None], factor * motion.speeds]
        if motion.ground is not None:
            parts += [motion.ground, speeds(motion.ground, motion.track.times_s)[:, None]]
        cells.append(np.concatenate(parts, axis=1))
    _write(path, motions, columns, cells)


def _write(path: Path, motions: Sequence[Motion], columns: Iterable[str], cells: Sequence[F64]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*_ABOUT, *columns])
        for motion, values in zip(motions, cells, strict=True):
            track, rounded = motion.track, values.round(3).astype(object)
            rounded[np.isnan(values)] = ""
            times_s = track.times_s.round(6).tolist()
            for frame, time_s, row in zip(track.frames.tolist(), times_s, rounded.tolist(), strict=True):
                writer.writerow([frame, time_s, track.id, *row])
