"""Recall and precision of a detector: matched by hand."""

from pathlib import Path

import numpy as np

from hrpose_rt.evaluation import coco
from hrpose_rt.evaluation.detection import match_boxes
from tests.training.people_set import annotation, write_json


def truth_of(folder: Path):
    """Image 1: a small and a large person and a crowd's region; image 2: six people; image 3: nobody."""
    joints = np.zeros((17, 2), int)
    images = [{"id": i, "file_name": f"{i}.png", "width": 900, "height": 900} for i in (1, 2, 3)]
    persons = [
        annotation(1, 1, joints, bbox=[0, 0, 20, 20], area=400),
        annotation(2, 1, joints, bbox=[100, 100, 200, 200], area=40000),
        annotation(3, 1, joints, bbox=[500, 500, 300, 300], area=90000, iscrowd=1),
        *(annotation(10 + i, 2, joints, bbox=[100 * i, 0, 50, 50], area=2500) for i in range(6)),
    ]
    return coco.load_annotations(write_json(folder / "truth.json", images, persons))


def box(image_id: int, xywh: list[float], score: float) -> coco.Result:
    return {"image_id": image_id, "category_id": 1, "bbox": xywh, "score": score}


def test_recall_and_precision_match_once_and_ignore_crowds(tmp_path: Path) -> None:
    results = [
        box(1, [100, 100, 200, 210], 0.9),
        box(1, [101, 101, 200, 200], 0.8),  # the same person again
        box(1, [520, 520, 80, 80], 0.7),  # in the crowd
        box(1, [0, 0, 20, 20], 0.2),  # below the score
        box(2, [0, 0, 50, 50], 0.6),
        box(2, [100, 20, 50, 50], 0.6),  # overlaps by less than a half
        box(3, [0, 0, 50, 50], 0.5),
    ]
    matches = match_boxes(truth_of(tmp_path), results, min_score=0.3)
    assert (matches.correct, matches.false) == (2, 3)
    assert matches.precision == 0.4
    assert matches.recalls() == {
        "all": (8, 2 / 8),
        "small": (1, 0),
        "medium": (6, 1 / 6),
        "large": (1, 1),
        "1-5 in the image": (2, 0.5),
        "6-10 in the image": (6, 1 / 6),
    }


def test_recall_and_precision_without_detections_are_zero(tmp_path: Path) -> None:
    matches = match_boxes(truth_of(tmp_path), [], 0.3)
    assert matches.recalls()["all"] == (8, 0)
    assert matches.precision == 0
