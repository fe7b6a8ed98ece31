"""Where points went, of pictures whose motion is known."""

import cv2
import numpy as np
import pytest

from hrpose_rt.tracking.optical_flow import OpticalFlow, masked_median, torso_grid

NOISE = np.random.default_rng(0).integers(0, 256, (400, 700, 3), np.uint8)
TEXTURE = cv2.GaussianBlur(NOISE, (0, 0), 3)
POINTS = np.array([[[100, 100], [300, 200]], [[500, 300], [250, 90]]], np.float32)


@pytest.mark.parametrize("wide", [1, 2, 3])  # times: larger frames are shrunk, motion is in their pixels
@pytest.mark.parametrize("shift", [(0, 0), (5, -3), (-8, 6)])
def test_flow_moves_points_with_image(wide: int, shift: tuple[int, int]) -> None:
    flow = OpticalFlow()
    for moved in ((0, 0), shift):
        frame = np.roll(TEXTURE, moved, axis=(1, 0))
        flow.add_frame(cv2.resize(frame, None, fx=wide, fy=wide, interpolation=cv2.INTER_LINEAR))
    moved, valid = flow.displacements(POINTS * wide)
    assert valid.all()
    assert np.abs(moved - np.multiply(shift, wide)).max() < 0.5 * wide


def test_flow_is_invalid_on_first_frame_and_after_size_change() -> None:
    flow = OpticalFlow()
    for frame in (TEXTURE, TEXTURE[:200]):
        flow.add_frame(frame)
        moved, valid = flow.displacements(POINTS)
        assert not valid.any() and not moved.any()


def test_flow_is_invalid_outside_image_and_accepts_zero_people() -> None:
    flow = OpticalFlow()
    flow.add_frame(TEXTURE)
    flow.add_frame(TEXTURE)
    moved, valid = flow.displacements(POINTS + 5000)
    assert not valid.any() and np.isfinite(moved).all()
    assert flow.displacements(POINTS[:0])[0].shape == (0, 2, 2)


def test_flow_masked_median_uses_only_valid_values() -> None:
    values = np.array([[[1, 5], [9, 1], [3, 2], [100, 100]]], np.float32).repeat(2, axis=0)
    counted = np.array([[True, True, True, False], [False] * 4])
    assert masked_median(values, counted).tolist() == [[3, 2], [0, 0]]
    assert masked_median(values[:0], counted[:0]).shape == (0, 2)


def test_flow_torso_grid_lies_within_box() -> None:
    points = torso_grid(np.array([[10, 20, 50, 120]], np.float32), 17)
    assert points.shape == (1, 17, 2)
    assert (points > [10, 20]).all() and (points < [50, 120]).all()
