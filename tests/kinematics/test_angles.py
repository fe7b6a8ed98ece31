"""Angles of poses that were drawn and measured by hand."""

import numpy as np
import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.kinematics.angles import angle_names, forward, joint_angles, known_keypoints
from hrpose_rt.skeleton import COCO17, MPII16, Skeleton, find_skeleton

HALPE26 = find_skeleton("halpe26")
# A runner who faces right; x to the right and y downwards, in pixels.
RUNNER = {
    "head": (120, 0),
    "neck": (110, 20),
    "left_shoulder": (110, 20),
    "right_shoulder": (110, 20),
    "left_elbow": (90, 40),  # the upper arm points back and down
    "left_wrist": (110, 60),  # the forearm forwards and down
    "right_elbow": (130, 20),  # the upper arm is level, in front
    "right_wrist": (130, 0),  # and the forearm points up
    "hip": (110, 80),
    "left_hip": (110, 80),
    "right_hip": (110, 80),
    "left_knee": (150, 80),  # the thigh is level, in front
    "left_ankle": (150, 120),  # and the shank vertical
    "left_heel": (145, 125),
    "left_big_toe": (165, 125),  # the foot is level
    "right_knee": (110, 120),  # the thigh is vertical
    "right_ankle": (70, 120),  # the shank is level, behind
    "right_heel": (65, 115),
    "right_big_toe": (65, 135),  # the foot points down
}
BY_HAND = {
    "left_ankle": 0,
    "left_knee": 90,
    "left_hip": 90,
    "left_shoulder": -45,
    "left_elbow": 90,
    "left_foot": 0,
    "left_shank": -90,
    "left_thigh": 0,
    "left_arm": -135,
    "left_forearm": -45,
    "right_ankle": 0,
    "right_knee": 90,
    "right_hip": 0,
    "right_shoulder": 90,
    "right_elbow": 90,
    "right_foot": -90,
    "right_shank": -180,
    "right_thigh": -90,
    "right_arm": 0,
    "right_forearm": 90,
    "trunk": 90,
    "head": 63.4349,  # atan2(20, 10)
}


def pose(points: dict[str, tuple[float, float]], skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints (1, K, 2) and scores (1, K): 1 for the given points, otherwise 0."""
    keypoints, scores = np.zeros((1, len(skeleton.joints), 2)), np.zeros((1, len(skeleton.joints)))
    for i, name in enumerate(skeleton.joints):
        if name in points:
            keypoints[0, i], scores[0, i] = points[name], 1
    return keypoints, scores


def by_name(points: dict[str, tuple[float, float]], skeleton: Skeleton, **given) -> dict[str, float]:
    (values,) = joint_angles(*pose(points, skeleton), skeleton, **given)
    return dict(zip(angle_names(skeleton), values.tolist(), strict=True))


def test_angles_of_a_runner_are_those_measured_by_hand() -> None:
    measured = by_name(RUNNER, HALPE26)
    for name, degrees in BY_HAND.items():
        assert measured[name] == pytest.approx(degrees, abs=1e-4), name


def test_angles_of_a_mirrored_runner_are_the_same() -> None:
    mirrored = by_name({name: (300 - x, y) for name, (x, y) in RUNNER.items()}, HALPE26)
    for name, degrees in BY_HAND.items():
        assert mirrored[name] == pytest.approx(degrees, abs=1e-4), name


def test_middles_stand_in_for_hip_and_neck_that_the_skeleton_lacks() -> None:
    spread = {
        **RUNNER,
        "left_shoulder": (105, 10),
        "right_shoulder": (115, 30),
        "left_hip": (100, 80),
        "right_hip": (120, 80),
    }
    coco = by_name(spread, COCO17, facing=[1])
    assert coco["trunk"] == pytest.approx(90)
    assert coco["pelvis"] == pytest.approx(0)
    assert coco["shoulders"] == pytest.approx(-63.4349, abs=1e-4)  # a line that falls to the right
    assert {"left_ankle", "left_foot", "head", "left_wrist"}.isdisjoint(coco)


def test_wrists_bend_alike_on_both_sides() -> None:
    skeleton = find_skeleton("wholebody133")
    arm = {"elbow": (0, 0), "wrist": (10, 0), "forefinger1": (10, -10)}
    points = {f"{side}_{name}": xy for side in ("left", "right") for name, xy in arm.items()}
    measured = by_name(points, skeleton, facing=[1])
    assert measured["left_wrist"] == measured["right_wrist"] == pytest.approx(90)
    assert measured["left_hand"] == measured["right_hand"] == pytest.approx(90)


def test_angle_without_one_of_its_keypoints_is_nan() -> None:
    keypoints, scores = pose(RUNNER, HALPE26)
    scores[0, HALPE26.joints.index("left_knee")] = 0.29
    measured = dict(zip(angle_names(HALPE26), joint_angles(keypoints, scores, HALPE26)[0], strict=True))
    missing = {name for name in BY_HAND if np.isnan(measured[name])}
    assert missing == {"left_ankle", "left_knee", "left_hip", "left_shank", "left_thigh"}
    low = joint_angles(keypoints, scores, HALPE26, min_score=0.29)[0]
    assert not np.isnan(low[angle_names(HALPE26).index("left_knee")])


def test_angle_of_two_equal_points_is_nan() -> None:
    assert np.isnan(by_name({**RUNNER, "left_ankle": RUNNER["left_knee"]}, HALPE26)["left_knee"])


def test_feet_decide_where_a_person_faces_then_the_nose() -> None:
    def direction(points: dict[str, tuple[float, float]], skeleton: Skeleton) -> float:
        return float(forward(known_keypoints(*pose(points, skeleton), skeleton, 0.3), skeleton)[0])

    assert direction(RUNNER, HALPE26) == 20  # the left foot is 20 long, the right points down
    assert direction({**RUNNER, "nose": (0, 0), "left_ear": (50, 0)}, HALPE26) == 20
    face = {"nose": (100, 0), "left_ear": (90, 0), "right_ear": (115, 0)}
    assert direction(face, COCO17) == -5  # 10 to one side, 15 to the other
    assert np.isnan(direction({"nose": (100, 0)}, COCO17))
    assert by_name({**RUNNER, **face}, COCO17)["left_knee"] == pytest.approx(-90)
    assert by_name(RUNNER, COCO17)["left_knee"] == pytest.approx(90)  # unknown counts as right


def test_nobody_and_skeletons_without_limbs_give_empty_arrays() -> None:
    assert joint_angles(np.zeros((0, 17, 2)), np.zeros((0, 17)), COCO17).shape == (0, 19)
    point = Skeleton("point", ("tip",), (), ())
    assert angle_names(point) == ()
    assert joint_angles(np.zeros((3, 1, 2)), np.ones((3, 1)), point).shape == (3, 0)
    assert "left_knee" in angle_names(MPII16) and "trunk" in angle_names(MPII16)


def test_arrays_of_other_shapes_are_refused() -> None:
    with pytest.raises(
        BadInput, match=r"keypoints \(N, 17, 2\) and scores \(N, 17\) of coco17 were wanted"
    ):
        joint_angles(np.zeros((1, 26, 2)), np.zeros((1, 26)), COCO17)
    with pytest.raises(BadInput, match=r"facing has shape \(3,\), \(1,\) was wanted"):
        joint_angles(np.zeros((1, 17, 2)), np.zeros((1, 17)), COCO17, facing=[1, 1, 1])
