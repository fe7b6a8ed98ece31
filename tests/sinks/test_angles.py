"""The table of angles: a row per person, empty cells where an angle is unknown."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hrpose_rt.kinematics.angles import angle_names
from hrpose_rt.sinks.angles import AngleSink
from hrpose_rt.skeleton import COCO17
from hrpose_rt.types import Poses
from tests.fakes import RUN
from tests.sinks.test_text import three_frames
from tests.sinks.test_video import info


def test_angles_are_written_per_person_and_frame(tmp_path: Path) -> None:
    first, nobody, last = three_frames()
    keypoints, scores = first.poses.keypoints.copy(), first.poses.scores.copy()
    for joint, xy in {"left_hip": (10, 10), "left_knee": (20, 10), "left_ankle": (20, 20)}.items():
        keypoints[0, COCO17.joints.index(joint)] = xy
    scores[:, COCO17.joints.index("right_knee")] = 0.1
    scores[:, :5] = 0.1  # where the face points is unknown
    bent = replace(first, poses=Poses.estimated(keypoints, scores))
    sink = AngleSink(str(tmp_path / "a.csv"), info(), RUN)
    for result in (bent, nobody, last):
        sink.write(result, result.frame.image)
    sink.close()
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    assert [(row["frame"], row["id"]) for row in rows[:2]] == [("0", "4"), ("0", "-1")]
    assert list(rows[0])[3:] == list(angle_names(COCO17))
    assert float(rows[0]["left_knee"]) == pytest.approx(90)
    assert rows[0]["right_knee"] == "" and rows[0]["right_thigh"] == ""
    assert set(list(rows[3].values())[3:]) == {""}  # a person without a pose


def test_angles_of_images_have_the_file_name(tmp_path: Path) -> None:
    result = three_frames()[0]
    named = replace(result, frame=replace(result.frame, file_name="a.jpg"))
    sink = AngleSink(str(tmp_path / "a.csv"), replace(info(), is_video=False), RUN)
    sink.write(named, np.zeros((1, 1, 3), np.uint8))
    sink.close()
    header, row, _ = (tmp_path / "a.csv").read_text().splitlines()
    assert header.startswith("frame,time_s,file_name,id,left_knee") and row.startswith("0,0.0,a.jpg,4,")
