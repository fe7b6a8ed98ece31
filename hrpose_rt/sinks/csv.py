"""Results as tables: one row per person or one row per joint."""

import csv
import io
from collections.abc import Iterable

from hrpose_rt.result import FrameResult
from hrpose_rt.run_info import RunInfo
from hrpose_rt.sinks.text import LineFile
from hrpose_rt.skeleton import find_skeleton
from hrpose_rt.types import U8, SourceInfo


class CsvSink(LineFile):
    """One row per person: the box and all joints. Cells are empty for people without a pose.

    For images, the file name is in a column beside the frame.
    """

    def __init__(self, path: str, info: SourceInfo, run: RunInfo) -> None:
        super().__init__(path)
        self._joints = find_skeleton(run.pose.skeleton).joints
        self._named = not info.is_video
        named = ["file_name"] if self._named else []
        self._put(csv_row(["frame", "time_s", *named, *person_columns(self._joints)]))

    def write(self, result: FrameResult, picture: U8) -> None:
        """See `Sink.write`."""
        frame = result.to_dict()
        rows = []
        for person in frame["people"]:
            about = [frame["frame"], frame["time_s"]]
            about += [frame.get("file_name", "")] if self._named else []
            about += [person["id"], *person["box"], person["score"]]
            about += [person["from"], int(person["fresh"]), person["age"]]
            keypoints = person["keypoints"] or [("", "", "")] * len(self._joints)
            rows.append(csv_row([*about, *(cell for keypoint in keypoints for cell in keypoint)]))
        self._put("".join(rows))


class LongCsvSink(LineFile):
    """One row per joint, for people with a pose.

    For images, the file name is in a column beside the frame.
    """

    def __init__(self, path: str, info: SourceInfo, run: RunInfo) -> None:
        super().__init__(path)
        self._joints = find_skeleton(run.pose.skeleton).joints
        self._named = not info.is_video
        named = ["file_name"] if self._named else []
        self._put(csv_row(["frame", "time_s", *named, "person", "id", "joint", "x", "y", "score"]))

    def write(self, result: FrameResult, picture: U8) -> None:
        """See `Sink.write`."""
        frame = result.to_dict()
        about = [frame["frame"], frame["time_s"], *([frame.get("file_name", "")] if self._named else [])]
        rows = [
            csv_row([*about, i, person["id"], joint, *keypoint])
            for i, person in enumerate(frame["people"])
            for joint, keypoint in zip(self._joints, person["keypoints"] or (), strict=False)
        ]
        self._put("".join(rows))


def person_columns(joints: Iterable[str]) -> list[str]:
    """The columns of a person: the id, the box and where it is from, then x, y and score of each joint."""
    about = ["id", "x1", "y1", "x2", "y2", "score", "from", "fresh", "age"]
    return about + [f"{joint}_{part}" for joint in joints for part in ("x", "y", "score")]


def csv_row(cells: Iterable[object]) -> str:
    """One line of a CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
