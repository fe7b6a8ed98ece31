"""Boxes from files: every format gives the same people, and a bad line is named."""

import json

import numpy as np
import pytest

from hrpose_rt.detection.box_file import BoxFile
from hrpose_rt.errors import BadInput
from hrpose_rt.types import Frame

# The people of frame 4: id 2 with the score .9 in a box of 20x40, and id 0 with .5 in one of 8x8.
BOXES = [[10, 5, 30, 45], [0, 0, 8, 8]]


def read(tmp_path, content, name: str = "boxes"):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return BoxFile(path)


def frame(index: int = 4, file_name: str = "") -> Frame:
    return Frame(index, np.zeros((100, 100, 3), np.uint8), 0.0, 0.0, file_name=file_name)


def check(people) -> None:
    assert people.detections.boxes.tolist() == BOXES
    assert people.detections.scores.tolist() == pytest.approx([0.9, 0.5])
    assert people.track_ids.tolist() == [2, 0]


def test_mot_counts_frames_ids_and_pixels_from_1(tmp_path) -> None:
    file = read(tmp_path, "5,1,1,1,8,8,0.5,-1,-1,-1\n\n5,3,11,6,20,40,.9\n6,1,2,2,8,8,1\n")
    check(file.people_of(frame()))
    assert len(file.people_of(frame(5)).detections) == 1
    assert len(file.people_of(frame(0)).detections) == 0
    assert file.has_ids


def test_mot_detections_have_no_ids_and_maybe_no_scores(tmp_path) -> None:
    file = read(tmp_path, "1,-1,1,1,8,8,-1,-1,-1,-1\n1,0,11,6,20,40\n")
    people = file.people_of(frame(0))
    assert people.track_ids.tolist() == [-1, -1] and not file.has_ids
    assert people.detections.scores.tolist() == [1, 1]


def test_mot_truth_leaves_out_other_classes_and_scores_0_as_ignored(tmp_path) -> None:
    file = read(tmp_path, "1,1,1,1,8,8,1,1,.7\n1,2,1,1,8,8,1,3,1\n1,3,1,1,8,8,0,1,1\n")
    assert file.people_of(frame(0)).detections.scores.tolist() == [1, 0]


def test_coco_results_find_frames_by_number_and_images_by_the_number_in_their_name(tmp_path) -> None:
    results = [
        {"image_id": 4, "category_id": 1, "bbox": [0, 0, 8, 8], "score": 0.5, "track_id": 0, "x": 1},
        {"image_id": 4, "category_id": 1, "bbox": [10, 5, 20, 40], "score": 0.9, "track_id": 2},
        {"image_id": 4, "category_id": 3, "bbox": [10, 5, 20, 40], "score": 0.9},
    ]
    file = read(tmp_path, results)
    check(file.people_of(frame()))
    check(file.people_of(frame(0, "000000000004.jpg")))
    assert len(file.people_of(frame(4, "000000000005.jpg")).detections) == 0


def test_coco_annotations_find_images_by_file_name(tmp_path) -> None:
    people = [
        {"image_id": 7, "category_id": 1, "bbox": [0, 0, 8, 8], "iscrowd": 0, "keypoints": []},
        {"image_id": 7, "category_id": 1, "bbox": [0, 0, 80, 80], "iscrowd": 1},
    ]
    images = [{"id": 7, "file_name": "val2017/a.jpg", "width": 100}]
    file = read(tmp_path, {"images": images, "annotations": people})
    assert file.people_of(frame(0, "a.jpg")).detections.boxes.tolist() == [[0, 0, 8, 8]]
    assert len(file.people_of(frame(7, "b.jpg")).detections) == 0 and not file.has_ids


@pytest.mark.parametrize("file_name", ["", "a.jpg"])
def test_json_lines_of_a_run(file_name: str, tmp_path) -> None:
    people = [{"id": 2, "box": BOXES[0], "score": 0.9, "keypoints": None}]
    people.append({"id": 0, "box": BOXES[1], "score": 0.5, "keypoints": None})
    line = {"frame": 4, "people": people} | ({"file_name": file_name} if file_name else {})
    lines = [{"hrpose": "0.1.0", "source": "a.mp4"}, line, {"frame": 5, "people": []}]
    file = read(tmp_path, "\n".join(map(json.dumps, lines)))
    check(file.people_of(frame(4 if not file_name else 0, file_name)))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("1,1,5,5\n", "line 1 is not frame,id,left,top,width,height,score"),
        ("1,1,1,1,8,8,1\n1,2,1,1,nan,8,1\n", "line 2 is not frame,id,left,top,width,height,score"),
        ("1,1,1,1,8,8,1\n2,1,1,1,0,8,1\n", "line 2 has a box without area"),
        ("1,1,1,1,8,8,1\n1,1,1,1,9,9,1\n", "two people of one frame have the id 0"),
        ("[]x", "line 1"),
        ('{"images": []}', "missing required field annotations"),
        ('[{"image_id": 1}]', "missing required field bbox"),
        ('{"hrpose": "1"}\n{"frame": 1}\n', "line 2: object missing required field people"),
    ],
)
def test_file_that_is_none_is_refused_with_the_place(content: str, words: str, tmp_path) -> None:
    with pytest.raises(BadInput, match=words) as raised:
        read(tmp_path, content)
    assert "give MOT Challenge's lines" in str(raised.value)


def test_missing_file_is_refused(tmp_path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        BoxFile(tmp_path / "none.txt")
