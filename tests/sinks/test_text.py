"""Results as tables, COCO's and MOT's text: read back, and whole at any time."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.result import FrameResult
from hrpose_rt.sinks.coco import CocoSink
from hrpose_rt.sinks.csv import CsvSink, LongCsvSink
from hrpose_rt.sinks.jsonl import JsonlSink
from hrpose_rt.sinks.mot import MotSink
from hrpose_rt.sinks.text import LineFile
from hrpose_rt.skeleton import COCO17
from hrpose_rt.types import Poses
from tests.fakes import RUN
from tests.sinks.test_video import info, results


def three_frames() -> list[FrameResult]:
    """Two people with ids 4 and -1, nobody, and two of whom the second has no pose yet."""
    first, nobody, last = results(3, crowds=(2, 0, 2))
    unposed = Poses(last.poses.keypoints, last.poses.scores, np.array([True, False]), np.array([0, -1]))
    return [replace(first, track_ids=np.array([4, -1])), nobody, replace(last, poses=unposed)]


def write(kind: type[LineFile], path: Path) -> str:
    sink = kind(str(path), info(), RUN)  # type: ignore[call-arg]
    for result in three_frames():
        sink.write(result, result.frame.image)
    sink.close()
    return path.read_text()


def test_csv_writes_one_row_per_person(tmp_path: Path) -> None:
    rows = list(csv.DictReader(write(CsvSink, tmp_path / "a.csv").splitlines()))
    assert [row["frame"] for row in rows] == ["0", "0", "2", "2"]
    assert [row["id"] for row in rows[:2]] == ["4", "-1"]
    first = three_frames()[0]
    assert [float(rows[1][name]) for name in ("x1", "y1", "x2", "y2")] == pytest.approx(
        first.detections.boxes[1].tolist(), abs=0.01
    )
    assert float(rows[1]["left_knee_x"]) == pytest.approx(float(first.poses.keypoints[1, 13, 0]), abs=1e-3)
    assert float(rows[0]["nose_score"]) == pytest.approx(0.8)
    assert rows[3]["nose_x"] == "" and rows[3]["age"] == "-1" and rows[2]["nose_x"] != ""


def test_long_csv_writes_one_row_per_joint(tmp_path: Path) -> None:
    rows = list(csv.DictReader(write(LongCsvSink, tmp_path / "a.csv").splitlines()))
    assert len(rows) == 3 * 17  # who has no pose has no rows
    assert [row["joint"] for row in rows[:17]] == list(COCO17.joints)
    assert {(row["frame"], row["person"], row["id"]) for row in rows[:34]} == {
        ("0", "0", "4"),
        ("0", "1", "-1"),
    }


def test_coco_results_hold_keypoints_scores_boxes_and_track_ids(tmp_path: Path) -> None:
    people = json.loads(write(CocoSink, tmp_path / "a.json"))
    assert [person["image_id"] for person in people] == [0, 0, 2]
    assert [person["track_id"] for person in people[:2]] == [4, -1]
    assert len(people[0]["keypoints"]) == 51
    # The detector's 0.9 times the joints' 0.8.
    assert people[0]["score"] == pytest.approx(0.72)
    x, _, w, _ = people[1]["bbox"]
    assert [x, x + w] == pytest.approx(three_frames()[0].detections.boxes[1, [0, 2]].tolist(), abs=0.02)


def test_coco_results_are_valid_json_after_every_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    sink = CocoSink(str(path), info(), RUN)
    lengths = [len(json.loads(path.read_text()))]
    for result in three_frames():
        sink.write(result, result.frame.image)
        lengths.append(len(json.loads(path.read_text())))
    sink.close()
    assert lengths == [0, 2, 2, 3]


def test_mot_frame_numbers_and_track_ids_start_at_one(tmp_path: Path) -> None:
    lines = write(MotSink, tmp_path / "a.txt").splitlines()
    first = lines[0].split(",")
    assert first[:2] == ["1", "5"] and first[7:] == ["-1", "-1", "-1"]
    box = three_frames()[0].detections.boxes[0]
    assert [float(v) for v in first[2:6]] == pytest.approx([*(box[:2] + 1), *(box[2:] - box[:2])], abs=0.01)
    assert all(int(line.split(",")[1]) >= 1 for line in lines)


def test_coco_results_take_image_ids_from_mapping_or_file_name(tmp_path: Path) -> None:
    ids = {"139.jpg": 7}
    sink = CocoSink(str(tmp_path / "a.json"), replace(info(), is_video=False), RUN, ids)
    (result,) = results(1)
    for name in ("139.jpg", "0140.jpg", "zebra.jpg"):
        named = replace(result, frame=replace(result.frame, file_name=name))
        sink.write(named, result.frame.image)
    sink.close()
    people = json.loads((tmp_path / "a.json").read_text())
    assert [person["image_id"] for person in people[::2]] == [7, 140, 0]


def test_csv_and_coco_results_hold_image_file_name(tmp_path: Path) -> None:
    """COCO's ids are the numbers that its pictures are called by."""
    (result,) = results(1)
    for name, image_id in (("000000000139.jpg", 139), ("zebra.png", 0)):
        of_file = replace(result, frame=replace(result.frame, file_name=name))
        assert of_file.to_dict()["file_name"] == name
        for kind in (CsvSink, LongCsvSink, CocoSink):
            sink = kind(str(tmp_path / kind.__name__), replace(info(), is_video=False), RUN)
            sink.write(of_file, result.frame.image)
            sink.close()
        for kind, lines in ((CsvSink, 2), (LongCsvSink, 2 * 17)):
            rows = csv.DictReader((tmp_path / kind.__name__).read_text().splitlines())
            assert [row["file_name"] for row in rows] == [name] * lines
        people = json.loads((tmp_path / "CocoSink").read_text())
        assert [(p["image_id"], p["file_name"]) for p in people] == [(image_id, name)] * 2


def test_jsonl_and_csv_reject_closed_output(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    with pytest.raises(BadInput, match="standard output is closed: name a file instead of -"):
        JsonlSink("-", info(), RUN)
    sink = CsvSink(str(tmp_path / "a.csv"), info(), RUN)
    sink.close()
    sink.close()
    with pytest.raises(BadInput, match=r"a\.csv is closed: nothing more can be written to it"):
        sink.write(three_frames()[0], np.zeros((1, 1, 3), np.uint8))


@pytest.mark.parametrize("kind", [CsvSink, LongCsvSink, CocoSink, MotSink])
def test_csv_coco_mot_sinks_reject_unwritable_path(kind, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"gone/a cannot be written: No such file"):
        kind(str(tmp_path / "gone" / "a"), info(), RUN)
