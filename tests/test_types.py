"""Shapes are checked once, at the door."""

import numpy as np
import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.types import Detections, Frame, Origin, Poses


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)],
)
def test_frame_requires_uint8_image_with_three_channels(image) -> None:
    with pytest.raises(BadInput, match=r"an image is \(H, W, 3\) uint8 BGR"):
        Frame(0, image, 0.0, 0.0)


def test_frame_rejects_none_as_image() -> None:
    with pytest.raises(BadInput, match="an image is a NumPy array, this one is NoneType: was it read"):
        Frame(0, None, 0.0, 0.0)


def test_frame_rejects_empty_image() -> None:
    with pytest.raises(BadInput, match="at least one pixel"):
        Frame(0, np.zeros((0, 4, 3), np.uint8), 0.0, 0.0)


@pytest.mark.parametrize("time_s", ["0", None, float("nan")])
def test_frame_rejects_what_is_no_time(time_s) -> None:
    with pytest.raises(BadInput, match="time_s is a finite number of seconds, not "):
        Frame(0, np.zeros((4, 4, 3), np.uint8), time_s, 0.0)


def test_frame_index_and_time_may_be_numpy_numbers() -> None:
    Frame(np.int64(0), np.zeros((4, 4, 3), np.uint8), np.float32(0.5), 0.0)
    with pytest.raises(BadInput, match="a frame's index is a whole number, not '0'"):
        Frame("0", np.zeros((4, 4, 3), np.uint8), 0.0, 0.0)


def test_detections_require_score_per_box() -> None:
    with pytest.raises(BadInput, match=r"scores has shape \(1,\), \(2,\) was wanted"):
        Detections.found(np.zeros((2, 4), np.float32), np.zeros(1, np.float32))


def test_detections_found_have_origin_detected() -> None:
    nobody = Detections.found(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    assert len(nobody) == 0
    one = Detections.found(np.zeros((1, 4), np.float32), np.zeros(1, np.float32))
    assert one.origin.tolist() == [Origin.DETECTED]


def test_poses_require_score_per_joint() -> None:
    with pytest.raises(BadInput, match="keypoints has shape"):
        Poses.estimated(np.zeros((2, 16, 2), np.float32), np.zeros((2, 17), np.float32))
