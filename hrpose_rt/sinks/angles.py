"""Joint and segment angles as a table."""

import numpy as np

from hrpose_rt.kinematics.angles import angle_names, joint_angles
from hrpose_rt.result import FrameResult
from hrpose_rt.run_info import RunInfo
from hrpose_rt.sinks.csv import csv_row
from hrpose_rt.sinks.text import LineFile
from hrpose_rt.skeleton import find_skeleton
from hrpose_rt.types import U8, SourceInfo


class AngleSink(LineFile):
    """One row per person: the angles in degrees, as `joint_angles` defines them. Unknown cells are empty.

    For images, the file name is in a column beside the frame.
    """

    def __init__(self, path: str, info: SourceInfo, run: RunInfo) -> None:
        super().__init__(path)
        names = angle_names(find_skeleton(run.pose.skeleton))
        self._named = not info.is_video
        self._put(csv_row(["frame", "time_s", *(["file_name"] if self._named else []), "id", *names]))

    def write(self, result: FrameResult, picture: U8) -> None:
        """See `Sink.write`."""
        scores = np.where(result.poses.age[:, None] >= 0, result.poses.scores, np.nan)
        angles = joint_angles(result.poses.keypoints, scores, result.skeleton)
        about: list[object] = [result.frame.index, round(result.frame.time_s, 6)]
        about += [result.frame.file_name] if self._named else []
        rows = [
            csv_row([*about, person, *("" if np.isnan(value) else round(value, 3) for value in values)])
            for person, values in zip(result.track_ids.tolist(), angles.tolist(), strict=True)
        ]
        self._put("".join(rows))
