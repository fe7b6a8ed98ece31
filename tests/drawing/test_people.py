"""Colours where they should be."""

import numpy as np
import pytest

from hrpose_rt.drawing.labels import ID_COLOURS, draw_labels
from hrpose_rt.drawing.people import (
    SCORE_COLOURS,
    SIDE_COLOURS,
    Trails,
    draw_boxes,
    draw_overlay,
    draw_poses,
)
from hrpose_rt.drawing.style import LABEL_PARTS, DrawStyle
from hrpose_rt.skeleton import COCO17, Side, Skeleton
from hrpose_rt.types import Detections, Poses, StageTimes


def draw_people(picture, detections, track_ids, poses, skeleton, **style) -> None:
    """Boxes, poses and labels, as `FrameResult.draw` does."""
    draw_boxes(picture, detections, track_ids)
    draw_poses(picture, detections, poses, skeleton, track_ids, DrawStyle(**style))
    draw_labels(picture, detections, track_ids, LABEL_PARTS)


def person(points: dict[int, tuple[float, float]], score: float = 0.9) -> tuple[Detections, Poses]:
    """Somebody of whom only these joints are seen."""
    keypoints, scores = np.zeros((1, 17, 2), np.float32), np.zeros((1, 17), np.float32)
    for joint, xy in points.items():
        keypoints[0, joint], scores[0, joint] = xy, score
    box = np.array([[20, 20, 180, 380]], np.float32)
    return Detections.found(box, np.array([0.8], np.float32)), Poses.estimated(keypoints, scores)


@pytest.mark.parametrize(
    ("joints", "side"), [((5, 7), Side.LEFT), ((6, 8), Side.RIGHT), ((5, 6), Side.MIDDLE)]
)
def test_drawing_limb_has_colour_of_its_side(joints, side) -> None:
    picture = np.zeros((400, 200, 3), np.uint8)
    detections, poses = person({joints[0]: (50, 100), joints[1]: (150, 100)})
    draw_people(picture, detections, np.array([1]), poses, COCO17)
    assert tuple(picture[100, 100].tolist()) == SIDE_COLOURS[side]


def test_drawing_skips_joints_and_limbs_below_min_score() -> None:
    picture = np.zeros((400, 200, 3), np.uint8)
    detections, poses = person({5: (50, 100), 7: (150, 100)}, score=0.2)
    draw_people(picture, detections, np.array([1]), poses, COCO17, min_score=0.3)
    assert picture[90:110, 45:155].max() == 0
    draw_people(picture, detections, np.array([1]), poses, COCO17, min_score=0.1)
    assert picture[90:110, 45:155].max() > 0


def test_drawing_person_without_pose_has_only_box() -> None:
    picture = np.zeros((400, 200, 3), np.uint8)
    detections, poses = person({5: (50, 100), 7: (150, 100)})
    never = Poses(poses.keypoints, poses.scores, np.array([False]), np.array([-1]))
    draw_people(picture, detections, np.array([-1]), never, COCO17)
    assert picture[100, 100].max() == 0
    assert picture[380, 100].max() > 0


def test_drawing_stale_pose_is_thinner() -> None:
    drawn = {}
    for fresh in (True, False):
        picture = np.zeros((400, 200, 3), np.uint8)
        detections, poses = person({5: (50, 100), 7: (150, 100)})
        poses = Poses(poses.keypoints, poses.scores, np.array([fresh]), np.array([0 if fresh else 3]))
        draw_people(picture, detections, np.array([1]), poses, COCO17)
        drawn[fresh] = int((picture[90:110, 100].max(axis=1) > 128).sum())
    assert 0 < drawn[False] < drawn[True]


def test_drawing_zero_people_changes_nothing() -> None:
    picture = np.full((40, 40, 3), 7, np.uint8)
    nobody = Detections.found(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    none = Poses.estimated(np.zeros((0, 17, 2), np.float32), np.zeros((0, 17), np.float32))
    draw_people(picture, nobody, np.zeros(0, np.int64), none, COCO17)
    assert (picture == 7).all()


def test_drawing_accepts_joints_far_outside_image() -> None:
    picture = np.zeros((400, 200, 3), np.uint8)
    detections, poses = person({5: (-1e9, 100), 7: (1e9, 100), 6: (-5, -5)})
    draw_people(picture, detections, np.array([1]), poses, COCO17)
    assert picture[100, 100].max() > 0


@pytest.mark.parametrize("hw", [(1, 1), (40, 40), (720, 1280)])
def test_drawing_overlay_fits_any_image_size(hw) -> None:
    picture = np.full((*hw, 3), 255, np.uint8)
    draw_overlay(picture, 3, StageTimes(total=12.3))
    assert picture.min() < 255
    assert picture.shape == (*hw, 3)


def test_drawing_trails_follow_tracks_and_expire() -> None:
    trails = Trails(1.0)
    for i in range(5):
        x = 10 + 20 * i
        box = np.array([[x, 10, x + 20, 50]], np.float32)
        picture = np.zeros((80, 160, 3), np.uint8)
        trails.draw(picture, Detections.found(box, np.ones(1, np.float32)), np.array([1]), i / 10)
    assert tuple(picture[50, 60]) == ID_COLOURS[1] and not picture[50, 130:].any()
    nobody = Detections.found(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    later = np.zeros((80, 160, 3), np.uint8)
    trails.draw(later, nobody, np.zeros(0, np.int64), 2.0)
    assert not later.any()


def test_drawing_limb_by_person_has_colour_of_its_id() -> None:
    for track_id in (1, 9, 3):
        picture = np.zeros((400, 200, 3), np.uint8)
        detections, poses = person({5: (50, 100), 7: (150, 100)})
        draw_people(picture, detections, np.array([track_id]), poses, COCO17, color="person")
        assert tuple(picture[100, 100].tolist()) == ID_COLOURS[track_id % 8]


@pytest.mark.parametrize(("score", "level"), [(0.35, 1), (0.95, 4), (1.4, 4)])
def test_drawing_limb_by_score_has_colour_of_its_lower_score(score, level) -> None:
    picture = np.zeros((400, 200, 3), np.uint8)
    detections, poses = person({5: (50, 100), 7: (150, 100)}, score=1.0)
    poses.scores[0, 7] = score
    draw_people(picture, detections, np.array([1]), poses, COCO17, color="score")
    assert tuple(picture[100, 100].tolist()) == SCORE_COLOURS[level]


def test_drawing_line_is_as_wide_as_told() -> None:
    picture = np.zeros((400, 200, 3), np.uint8)
    detections, poses = person({5: (50, 100), 7: (150, 100)})
    draw_people(picture, detections, np.array([1]), poses, COCO17, line_width=9)
    assert 9 <= (picture[80:120, 100].max(axis=1) > 128).sum() <= 11  # OpenCV rounds up


def test_drawing_skeleton_without_edges_has_keypoints() -> None:
    picture = np.zeros((400, 200, 3), np.uint8)
    detections, poses = person({0: (100, 100)})
    draw_people(picture, detections, np.array([1]), poses, Skeleton("dots", COCO17.joints, (), ()))
    assert picture[100, 100].max() > 0
