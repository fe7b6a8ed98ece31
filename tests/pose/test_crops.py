"""Crops against the formula."""

import numpy as np

from hrpose_rt.geometry import boxes_to_centre_size
from hrpose_rt.pose.crops import crop_people

HW = (256, 192)


def test_crop_samples_frame_at_formula_coordinates() -> None:
    """On a picture whose value is its column, a crop's pixel i holds xs = cx + (i - Wi/2) Sx/Wi."""
    image = np.zeros((200, 250, 3), np.uint8)
    image[..., 0] = np.arange(250)
    image[..., 1] = np.arange(200)[:, None]
    centres, sizes = boxes_to_centre_size(np.array([[60, 40, 120, 150]], np.float32), HW)
    (crop,) = crop_people(image, centres, sizes, np.empty((1, *HW, 3), np.uint8))
    columns = centres[0, 0] + (np.arange(192) - 96) * sizes[0, 0] / 192
    rows = centres[0, 1] + (np.arange(256) - 128) * sizes[0, 1] / 256
    inside = np.ix_((rows >= 0) & (rows <= 199), (columns >= 0) & (columns <= 249))
    assert np.abs(crop[..., 0] - columns[None, :])[inside].max() <= 1
    assert np.abs(crop[..., 1] - rows[:, None])[inside].max() <= 1


def test_crop_beyond_frame_is_black() -> None:
    image = np.full((50, 50, 3), 200, np.uint8)
    centres, sizes = boxes_to_centre_size(np.array([[-40, 0, 10, 50]], np.float32), HW)
    (crop,) = crop_people(image, centres, sizes, np.empty((1, *HW, 3), np.uint8))
    assert crop[:, :80].max() == 0
    assert crop[128, -20].tolist() == [200, 200, 200]


def test_crop_of_no_boxes_is_empty() -> None:
    none = np.zeros((0, 2), np.float32)
    crops = crop_people(np.zeros((9, 9, 3), np.uint8), none, none, np.empty((0, *HW, 3), np.uint8))
    assert crops.shape == (0, *HW, 3)
