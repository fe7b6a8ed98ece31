"""Composed crowds: their ground truth is exact, and a frame depends only on its index and the seed."""

import numpy as np
import pytest

from hrpose_rt.bench.cutouts import Cutout, cut_out
from hrpose_rt.bench.mosaic import Mosaic
from hrpose_rt.bench.scenes import FPS, Scene
from hrpose_rt.config import Settings
from hrpose_rt.networks import open_networks
from tests.conftest import write_video
from tests.fakes import FakeDetector

RED = Cutout(np.full((60, 24, 3), (0, 0, 255), np.uint8), np.ones((60, 24), np.float32))


def test_scene_frame_depends_only_on_index_and_seed() -> None:
    one, same, other = Scene([RED], 5), Scene([RED], 5), Scene([RED], 5, seed=1)
    list(same.frame(i) for i in range(3))
    assert np.array_equal(one.frame(30).image, same.frame(30).image)
    assert not np.array_equal(one.frame(30).image, other.frame(30).image)


def test_scene_ground_truth_boxes_match_pixels() -> None:
    scene = Scene([RED], 1, (320, 240), occluders=False)
    for index in (0, 40, 200):
        frame, truth = scene.frame_and_truth(index)
        x1, y1, x2, y2 = truth.boxes[0].astype(int)
        inside = frame.image[y1 + 2 : y2 - 2, x1 + 2 : x2 - 2].astype(int)
        assert (inside[..., 2] > inside[..., 0] + 60).all()  # red
        assert truth.visible[0] == 1 and truth.present.tolist() == [0]
        assert frame.time_s == index / FPS


def test_scene_front_people_occlude_those_behind() -> None:
    scene = Scene([RED], 40, (320, 240), occluders=False)
    _, truth = scene.frame_and_truth(0)
    assert truth.visible.min() < 0.9 and truth.visible.max() == 1
    assert not truth.returned.any()


def test_scene_occluder_makes_people_reappear_together() -> None:
    scene = Scene([RED], 30, (640, 360))
    behind, after = scene.frame_and_truth(49)[1], scene.frame_and_truth(50)[1]
    assert after.returned.sum() >= 5
    assert (behind.visible[after.returned] < after.visible[after.returned]).all()
    assert len(behind.present) < len(after.present)
    assert not scene.frame_and_truth(51)[1].returned.any()


def test_scene_people_stay_inside_frame() -> None:
    scene = Scene([RED], 20, (640, 360))
    for index in range(0, 1000, 97):
        _, truth = scene.frame_and_truth(index)
        widths, heights = (truth.boxes[:, 2:] - truth.boxes[:, :2]).T
        assert widths.min() > 8 and heights.min() > 20


def test_cutouts_follow_person_outline_with_soft_alpha(photos) -> None:
    import cv2

    cutouts = cut_out([cv2.imread(str(photos / "bus.jpg"))], open_networks(Settings()))
    assert cutouts
    for cutout in cutouts:
        share = (cutout.alpha > 0.5).mean()
        assert 0.25 < share < 0.95  # neither a rectangle nor a scrap
        assert (cutout.image[cutout.alpha == 0] == 0).all()
        assert ((cutout.alpha > 0.05) & (cutout.alpha < 0.95)).any()  # soft


def test_cutouts_of_empty_photo_are_none() -> None:
    assert cut_out([np.zeros((64, 64, 3), np.uint8)], open_networks(Settings())) == []


@pytest.mark.parametrize("side", [1, 2, 3])
def test_mosaic_repeats_video_in_grid_with_scaled_boxes(side: int, tmp_path) -> None:
    video = write_video(tmp_path / "video.mp4", frames=6, size_wh=(96, 48))
    mosaic = Mosaic(str(video), side, (192, 96), detector=FakeDetector([3]))
    frame, truth = mosaic.frame_and_truth(0)
    assert frame.image.shape == (96, 192, 3)
    assert mosaic.people == 3 * side**2 == len(truth.boxes)
    assert truth.boxes[:, 2].max() <= 192 and truth.boxes[:, 3].max() <= 96
    tile = frame.image[: 96 // side, : 192 // side]
    assert tile.max() - tile.min() < 8  # of one frame alone
    again, _ = mosaic.frame_and_truth(2 * 5)  # to the end and back
    assert np.array_equal(frame.image, again.image)
