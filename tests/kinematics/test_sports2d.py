"""Angles beside those of Sports2D, whose definitions are in Pose2Sim; skipped unless both are installed."""

from importlib.util import find_spec

import numpy as np
import pytest

from hrpose_rt.kinematics.angles import angle_names, joint_angles
from hrpose_rt.kinematics.opensim import marker_name
from hrpose_rt.skeleton import COCO17, find_skeleton

OTHERWISE = {"left_wrist"}  # Pose2Sim measures it at the finger


@pytest.fixture(scope="module")
def theirs():
    if find_spec("Pose2Sim") is None:
        pytest.skip("Pose2Sim, which Sports2D installs, is not here")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPLBACKEND", "agg")
        return pytest.importorskip("Pose2Sim.common", exc_type=ImportError)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["coco17", "halpe26", "wholebody133"])
def test_angles_equal_those_of_sports2d(name: str, theirs) -> None:
    skeleton = find_skeleton(name)
    keypoints = np.random.default_rng(0).uniform(1, 500, (300, len(skeleton.joints), 2))
    points = {
        marker_name(joint).replace("Forefinger1", "Index"): keypoints[:, i]
        for i, joint in enumerate(skeleton.joints)
    }
    sign = np.ones(300)
    if "left_heel" in skeleton.joints:
        feet = sum(points[f"{side}BigToe"][:, 0] - points[f"{side}Heel"][:, 0] for side in "LR")
        sign = np.where(feet >= 0, 1, -1)
    for middle, side in (("Hip", "Hip"), ("Neck", "Shoulder")):
        points.setdefault(middle, (points[f"L{side}"] + points[f"R{side}"]) / 2)
    mirrored = {joint: xy * np.stack([sign, np.ones(300)], axis=1) for joint, xy in points.items()}
    facing = sign if skeleton is COCO17 else None
    ours = joint_angles(keypoints, np.ones(keypoints.shape[:2]), skeleton, facing)
    for column, angle in zip(ours.T, angle_names(skeleton), strict=True):
        named = angle.replace("_", " ")
        given = [mirrored[joint] for joint in theirs.angle_dict[named][0]]
        values = [theirs.fixed_angles([xy[i] for xy in given], named) for i in range(300)]
        difference = (column - values + 180) % 360 - 180
        assert angle in OTHERWISE or np.abs(difference).max() < 0.01, angle
