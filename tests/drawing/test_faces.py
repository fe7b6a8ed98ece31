"""Heads are found from joints, and from boxes where joints are unsure."""

import numpy as np
import pytest

from hrpose_rt.drawing.faces import blur_faces, head_areas
from hrpose_rt.skeleton import COCO17, MPII16
from hrpose_rt.types import Detections, Poses

UPPER_THIRD = [100, 100, 160, 200]


def people(points: dict[int, tuple[float, float]], k: int = 17, age: int = 0) -> tuple[Detections, Poses]:
    """A person in the box 100,100,160,400 of whom these joints are sure."""
    keypoints, scores = np.full((1, k, 2), 900, np.float32), np.full((1, k), 0.1, np.float32)
    for joint, xy in points.items():
        keypoints[0, joint], scores[0, joint] = xy, 0.9
    boxes = np.array([[100, 100, 160, 400]], np.float32)
    poses = Poses(keypoints, scores, np.array([age == 0]), np.array([age]))
    return Detections.found(boxes, np.ones(1, np.float32)), poses


def area(points, skeleton=COCO17, age: int = 0) -> list[float]:
    detections, poses = people(points, len(skeleton.joints), age)
    return head_areas(detections, poses, skeleton)[0].tolist()


def test_head_is_a_square_around_its_joints() -> None:
    # From 120 to 140, and a tenth of the box's 300 pixels is more than 1.2 times 20.
    assert area({0: (130, 120), 3: (120, 120), 4: (140, 120)}) == [100, 90, 160, 150]


def test_large_head_is_as_large_as_its_joints_are_apart() -> None:
    expected = [130 - 72, 120 - 72, 130 + 72, 120 + 72]
    assert area({0: (130, 120), 3: (100, 120), 4: (160, 120)}) == pytest.approx(expected)


def test_shoulders_make_a_head_larger() -> None:
    face = {0: (130, 120), 1: (132, 120), 2: (128, 120)}
    assert area(face) == [100, 90, 160, 150]
    assert area(face | {5: (170, 160), 6: (90, 160)}) == [90, 80, 170, 160]


@pytest.mark.parametrize("points", [{}, {5: (140, 150), 6: (110, 150)}])
def test_unsure_head_is_the_upper_third_of_the_box(points) -> None:
    assert area(points) == UPPER_THIRD


def test_few_joints_add_the_upper_third_of_the_box() -> None:
    assert area({0: (105, 120)}) == [75, 90, 160, 200]
    assert area({9: (130, 110)}, MPII16) == [100, 80, 160, 200]


def test_person_without_pose_has_the_upper_third_of_the_box() -> None:
    assert area({0: (130, 120), 3: (120, 120), 4: (140, 120)}, age=-1) == UPPER_THIRD


def test_blurred_head_shows_nothing_and_the_rest_stays() -> None:
    stripes = np.zeros((500, 300, 3), np.uint8)
    stripes[:, ::2] = 200
    image = stripes.copy()
    blur_faces(image, *people({}), COCO17)
    assert np.ptp(image[110:190, 110:150].astype(int)) < 10
    image[100:200, 100:160] = stripes[100:200, 100:160]
    assert (image == stripes).all()


def test_heads_outside_the_picture_and_nobody_change_nothing() -> None:
    image = np.full((50, 50, 3), 7, np.uint8)
    blur_faces(image, *people({}), COCO17)
    nobody = Detections.found(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    none = Poses.estimated(np.zeros((0, 17, 2), np.float32), np.zeros((0, 17), np.float32))
    blur_faces(image, nobody, none, COCO17)
    assert (image == 7).all()


def test_joints_that_are_not_numbers_leave_the_upper_third() -> None:
    detections, poses = people({0: (130, 120)}, age=-1)
    poses.keypoints[:] = np.nan
    assert head_areas(detections, poses, COCO17)[0].tolist() == UPPER_THIRD
    blur_faces(np.zeros((500, 300, 3), np.uint8), detections, poses, COCO17)
