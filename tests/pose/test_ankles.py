"""Both ankles on one foot are parted by their maps and knees."""

import numpy as np
import pytest
import torch

from hrpose_rt.pose.ankles import MIN_FOOT_GAP_PX, Ankles
from hrpose_rt.pose.estimator_cuda import decode
from hrpose_rt.pose.heatmaps import HEATMAP_DECODERS, find_peaks
from hrpose_rt.skeleton import COCO17, MPII16, Skeleton

LEFT, RIGHT = COCO17.joints.index("left_ankle"), COCO17.joints.index("right_ankle")
KNEES = COCO17.joints.index("left_knee"), COCO17.joints.index("right_knee")


def maps_of(*places: dict[int, list[tuple[int, int, float]]]) -> np.ndarray:
    """(N, 17, 64, 48) maps with Gaussian peaks (x, y, height) of some joints."""
    maps = np.zeros((len(places), 17, 64, 48), np.float32)
    rows, columns = np.mgrid[:64, :48]
    for person, joints in zip(maps, places, strict=True):
        for joint, peaks in joints.items():
            for x, y, height in peaks:
                blob = height * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8)
                person[joint] = np.maximum(person[joint], blob)
    return maps


def legs(left_knee: int, right_knee: int, second: float = 0.8, gap: int = 16) -> dict:
    """Knees at these columns; both ankles find the foot at 30 best, the other one is left of it."""
    feet = [(30, 60, 1.0), (30 - gap, 60, second)]
    knees = {KNEES[0]: [(left_knee, 40, 1.0)], KNEES[1]: [(right_knee, 40, 1.0)]}
    return knees | {LEFT: feet, RIGHT: [(x, y, 0.9 * height) for x, y, height in feet]}


CASES = {
    "the left knee is nearer to the foot that both found": (legs(28, 16), 30, 14),
    "the right knee is": (legs(16, 28), 14, 30),
    "crossed legs at one height keep the better": (legs(22, 22), 30, 14),
    "the other foot is too faint": (legs(16, 28, second=0.4), 30, 30),
    "the other peak is on the same foot": (legs(16, 28, gap=MIN_FOOT_GAP_PX // 2), 30, 30),
}


@pytest.mark.parametrize("case", CASES)
def test_ankle_takes_foot_nearest_to_its_knee(case: str) -> None:
    person, left, right = CASES[case]
    x, y, scores = find_peaks(maps_of(person), Ankles.of(COCO17))
    assert (x[0, LEFT], x[0, RIGHT]) == (left, right)
    assert (y[0, [LEFT, RIGHT]] == 60).all()
    assert scores[0, LEFT] == pytest.approx(1.0 if left == 30 else 0.8, abs=1e-4)
    assert find_peaks(maps_of(person))[0][0, LEFT] == 30  # of networks that are not asked for it


def test_ankles_apart_and_other_joints_and_people_are_unchanged() -> None:
    apart = {LEFT: [(30, 60, 1.0), (14, 60, 0.9)], RIGHT: [(20, 50, 1.0)], 0: [(5, 5, 1.0), (30, 60, 0.9)]}
    maps = maps_of(apart, legs(16, 28), {})
    plain, parted = find_peaks(maps), find_peaks(maps, Ankles.of(COCO17))
    for before, after in zip(plain, parted, strict=True):
        np.testing.assert_array_equal(before[[0, 2]], after[[0, 2]])
        others = [joint for joint in range(17) if joint not in (LEFT, RIGHT)]
        np.testing.assert_array_equal(before[1, others], after[1, others])


def test_ankles_of_no_people_are_empty() -> None:
    x, _, _ = find_peaks(np.zeros((0, 17, 64, 48), np.float32), Ankles.of(COCO17))
    assert x.shape == (0, 17)


@pytest.mark.parametrize("how", ["dark", "quarter"])
def test_ankles_on_device_match_host(how: str) -> None:
    maps, ankles = maps_of(*(person for person, _, _ in CASES.values())), Ankles.of(COCO17)
    maps += np.random.default_rng(0).random(maps.shape, np.float32) * 0.02
    points, scores = HEATMAP_DECODERS[how](maps, ankles)
    decoded = decode(torch.from_numpy(maps), how, ankles).numpy()
    sure = scores > 0.3
    np.testing.assert_allclose(decoded[..., :2][sure], points[sure], atol=2e-3)
    np.testing.assert_allclose(decoded[..., 2], scores, atol=1e-6)
    assert not np.allclose(points, HEATMAP_DECODERS[how](maps)[0])


def test_ankles_exist_only_in_skeletons_with_legs() -> None:
    assert Ankles.of(MPII16) == Ankles((5, 0), (4, 1))
    assert Ankles.of(Skeleton("cat", ("tail",), (), ())) is None
