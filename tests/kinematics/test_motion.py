"""The movement of one person, from keypoints to angles and speeds."""

import numpy as np
import pytest

from hrpose_rt.kinematics.angles import angle_names
from hrpose_rt.kinematics.filters import Smoothing
from hrpose_rt.kinematics.motion import continuous, measure
from hrpose_rt.kinematics.scale import Ground
from hrpose_rt.skeleton import COCO17
from tests.kinematics.walkers import track, walking

KNEE = angle_names(COCO17).index("left_knee")
RAW = Smoothing(filter="none", fill_s=0)


def crouching(frames: int) -> np.ndarray:
    """The walker with the left ankle behind the knee, so that it is bent by 45 degrees."""
    keypoints = walking(frames)
    knee, ankle = (COCO17.joints.index(f"left_{name}") for name in ("knee", "ankle"))
    keypoints[:, ankle] = keypoints[:, knee] + (-30, 30)
    return keypoints


def test_speeds_of_a_walker_are_in_pixels_per_second() -> None:
    motion = measure(track(walking(40)), COCO17, RAW)
    assert motion.hip_speeds.tolist() == pytest.approx([50] * 40)  # 2 pixels a frame, 25 frames a second
    assert motion.speeds.shape == (40, 17) and motion.ground is None


def test_knee_is_bent_whichever_way_the_person_faces() -> None:
    right = crouching(40)
    left = right * (-1, 1) + (600, 0)
    for keypoints in (right, left):
        assert measure(track(keypoints), COCO17, RAW).angles[:, KNEE].tolist() == pytest.approx([45] * 40)
    assert measure(track(left), COCO17, RAW, facing=1).angles[:, KNEE].tolist() == pytest.approx([-45] * 40)


def test_nose_that_flickers_does_not_turn_the_person() -> None:
    keypoints = crouching(60)
    keypoints[[7, 20, 21, 40], 0, 0] -= 40
    assert measure(track(keypoints), COCO17, RAW).angles[:, KNEE].tolist() == pytest.approx([45] * 60)


def test_raw_angles_are_those_before_the_filter() -> None:
    keypoints = crouching(60)
    keypoints[30, COCO17.joints.index("left_ankle")] += (30, 0)  # one frame shows a straight leg
    motion = measure(track(keypoints), COCO17, Smoothing(filter="median", window=3))
    assert motion.raw_angles[30, KNEE] == pytest.approx(0)
    # The median of x is that of the next frame, 2 pixels on.
    assert motion.angles[30, KNEE] == pytest.approx(np.degrees(np.arctan(28 / 30)))


def test_ground_is_where_the_ankles_are() -> None:
    square = [[0, 0], [100, 0], [100, 200], [0, 200]]
    ground = Ground.from_points(square, [[0, 0], [1, 0], [1, 2], [0, 2]])
    motion = measure(track(walking(3)), COCO17, RAW, ground=ground)
    np.testing.assert_allclose(motion.ground, [[1.00, 1.8], [1.02, 1.8], [1.04, 1.8]], atol=1e-9)


def test_angles_have_no_jumps_of_a_full_turn() -> None:
    n = np.nan
    turned = continuous(np.array([[170, 179, -179, -170, n, -160], [n] * 6], np.float64).T)
    assert turned[:, 0].tolist() == pytest.approx([-190, -181, -179, -170, n, -160], nan_ok=True)
    assert np.isnan(turned[:, 1]).all()
