"""Files for OpenSim and other programs of biomechanics: TRC markers, MOT angles, C3D markers.

Formats: the pages on .trc and .mot files in the documentation of OpenSim, https://opensimconfluence.atlassian.net.
OpenSim reads an empty cell of a .trc file as a missing marker.
"""

from pathlib import Path

import numpy as np

from hrpose_rt.kinematics.angles import angle_names, point
from hrpose_rt.kinematics.motion import Motion
from hrpose_rt.types import F64

ADDED = ("hip", "neck")  # markers that OpenSim's models of the whole body have


def marker_name(joint: str) -> str:
    """The marker's name in the OpenSim models of Pose2Sim and Sports2D.

    >>> marker_name("left_big_toe"), marker_name("nose")
    ('LBigToe', 'Nose')
    """
    side, _, rest = joint.partition("_")
    short = {"left": "L", "right": "R"}.get(side)
    return "".join(word.title() for word in (short + "_" + rest if short else joint).split("_"))


def markers(motion: Motion, metres_per_px: float, height_px: int) -> tuple[tuple[str, ...], F64]:
    """The names of the M markers, and their places (T, M, 3) in metres.

    x goes to the right and y upwards from the lower left corner of the picture, z is 0.

    Args:
        motion: The person.
        metres_per_px: The scale.
        height_px: Height of the picture.
    """
    joints = motion.skeleton.joints
    added = [name for name in ADDED if name not in joints]
    extra = [point(motion.keypoints, motion.skeleton, name)[:, None] for name in added]
    xy = np.concatenate([motion.keypoints, *extra], axis=1)
    places = np.stack([xy[..., 0], height_px - xy[..., 1], np.zeros(xy.shape[:2])], axis=-1)
    return tuple(marker_name(name) for name in (*joints, *added)), metres_per_px * places


def write_trc(path: Path, motion: Motion, names: tuple[str, ...], places: F64) -> None:
    """Markers over time, in metres; cells of a missing marker are empty."""
    rate, count = f"{motion.track.rate_hz:.6g}", len(places)
    keys = "DataRate CameraRate NumFrames NumMarkers Units OrigDataRate OrigDataStartFrame OrigNumFrames"
    lines = [
        f"PathFileType\t4\t(X/Y/Z)\tperson-{motion.track.id}.trc",
        "\t".join(keys.split()),
        "\t".join([rate, rate, str(count), str(len(names)), "m", rate, "1", str(count)]),
        "Frame#\tTime\t" + "\t\t\t".join(names) + "\t\t",
        "\t\t" + "\t".join(f"{axis}{i}" for i in range(1, len(names) + 1) for axis in "XYZ"),
        "",
    ]
    for number, (time_s, row) in enumerate(zip(motion.track.times_s.tolist(), places, strict=True), 1):
        cells = ["\t\t" if np.isnan(xyz).any() else "\t".join(f"{v:.6f}" for v in xyz) for xyz in row]
        lines.append("\t".join([str(number), f"{time_s:.6f}", *cells]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def write_mot(path: Path, motion: Motion) -> None:
    """Angles over time, in degrees; angles that are never known have no column, and gaps are nan."""
    known = np.flatnonzero(np.logical_or.reduce(~np.isnan(motion.angles), axis=0))
    names = [angle_names(motion.skeleton)[i] for i in known]
    table = np.column_stack([motion.track.times_s, motion.angles[:, known]])
    lines = [
        f"person-{motion.track.id}",
        "version=1",
        f"nRows={len(table)}",
        f"nColumns={table.shape[1]}",  # time is one of them
        "inDegrees=yes",
        "endheader",
        "\t".join(["time", *names]),
        *("\t".join(f"{value:.6f}" for value in row) for row in table.tolist()),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def write_c3d(path: Path, motion: Motion, names: tuple[str, ...], places: F64) -> None:
    """Markers over time as C3D, in metres; missing markers have the residual -1. This needs ezc3d."""
    import ezc3d

    file = ezc3d.c3d()
    missing = np.isnan(places[..., 0])
    points = np.ones((4, len(names), len(places)))
    points[:3] = np.where(missing[..., None], np.nan, places).transpose(2, 1, 0)
    parameters = file["parameters"]["POINT"]
    parameters["RATE"]["value"] = [motion.track.rate_hz]
    parameters["LABELS"]["value"] = list(names)
    parameters["UNITS"]["value"] = ["m"]
    file["data"]["points"] = points
    file["data"]["meta_points"]["residuals"] = np.where(missing, -1.0, 0.0).T[None]
    named = path.with_name(f"{path.name}.c3d")  # ezc3d adds the suffix to any other name
    file.write(str(named))
    named.replace(path)
