"""Boxes -> poses around a network that is a fake."""

from dataclasses import replace

import numpy as np
import pytest

from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.nets.spec import EngineSpec
from hrpose_rt.pose.estimator import HostPoseEstimator
from hrpose_rt.timing import StageClock
from tests.fakes import FakeRuntime

SPEC = EngineSpec("fake", "pose", ((256, 192),), "fp32", "", "coco17", (64, 48), "quarter")


def brightest_pixel(batch: np.ndarray) -> np.ndarray:
    """A network that finds every joint where its crop is brightest, a quarter of the size."""
    grey = batch[..., 0].reshape(len(batch), 64, 4, 48, 4).max(axis=(2, 4)) / 255
    return np.repeat(grey[:, None], 17, axis=1)


def crowd(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A dark picture with n boxes in a row and a bright spot in each, at a place of its own."""
    image = np.zeros((120, 80 * max(n, 1), 3), np.uint8)
    boxes = np.array([[80 * i + 10, 20, 80 * i + 60, 100] for i in range(n)], np.float32).reshape(-1, 4)
    spots = np.array([[80 * i + 25 + i % 20, 40 + 3 * (i % 7)] for i in range(n)], np.float32).reshape(
        -1, 2
    )
    for x, y in spots.astype(int):
        image[y - 1 : y + 2, x - 1 : x + 2] = 255
    return image, boxes, spots


@pytest.mark.parametrize("n", [1, 8, 13, 21])
def test_pose_rows_follow_boxes_across_batches(n: int) -> None:
    image, boxes, spots = crowd(n)
    runtime = FakeRuntime(brightest_pixel)
    poses = HostPoseEstimator(runtime, SPEC).estimate(image, boxes, StageClock())
    assert poses.keypoints.shape == (n, 17, 2)
    assert np.abs(poses.keypoints - spots[:, None]).max() < 3  # the spot is 3 pixels wide, a cell 2
    assert poses.fresh.all()
    assert poses.age.tolist() == [0] * n


def test_pose_batches_shared_by_images_equal_single_image_results() -> None:
    crowds = [crowd(n) for n in (3, 0, 9, 1)]
    runtime = FakeRuntime(brightest_pixel)
    estimator = HostPoseEstimator(runtime, SPEC)
    together = estimator.estimate_all([c[0] for c in crowds], [c[1] for c in crowds], StageClock())
    assert [shape[0] for shape in runtime.shapes] == [8, 4, 1]
    for (image, boxes, _), poses in zip(crowds, together, strict=True):
        alone = estimator.estimate(image, boxes, StageClock())
        np.testing.assert_array_equal(poses.keypoints, alone.keypoints)
        np.testing.assert_array_equal(poses.scores, alone.scores)


def test_gpu_runtime_gets_padded_batches() -> None:
    image, boxes, spots = crowd(70)
    runtime = FakeRuntime(brightest_pixel)
    runtime.device = "cuda:0"
    poses = HostPoseEstimator(runtime, SPEC).estimate(image, boxes, StageClock())
    assert [shape[0] for shape in runtime.shapes] == [64, 8]
    assert np.abs(poses.keypoints - spots[:, None]).max() < 3
    few = FakeRuntime(brightest_pixel)
    few.device = "cuda:0"
    HostPoseEstimator(few, replace(SPEC, max_batch=4)).estimate(image, boxes[:7], StageClock())
    assert [shape[0] for shape in few.shapes] == [4, 4]


def test_no_boxes_run_no_inference() -> None:
    image, boxes, _ = crowd(0)
    runtime = FakeRuntime(brightest_pixel)
    poses = HostPoseEstimator(runtime, SPEC).estimate(image, boxes, StageClock())
    assert poses.keypoints.shape == (0, 17, 2)
    assert runtime.shapes == []


def test_warm_up_runs_every_batch_size() -> None:
    runtime = FakeRuntime(brightest_pixel)
    estimator = HostPoseEstimator(runtime, SPEC)
    estimator.warm_up()
    warmed = set(runtime.shapes)
    for n in range(20):
        estimator.estimate(*crowd(n)[:2], StageClock())
    assert set(runtime.shapes) == warmed


def test_flip_test_averages_despite_reused_runtime_buffer() -> None:
    image, boxes, spots = crowd(3)
    runtime = FakeRuntime(brightest_pixel)
    flipped = HostPoseEstimator(runtime, SPEC, flip_test=True).estimate(image, boxes, StageClock())
    assert runtime.shapes == [(2, 256, 192, 3)] * 2 + [(1, 256, 192, 3)] * 2
    # A network that sees the same from both sides puts the mirrored maps one column to the right.
    assert np.abs(flipped.keypoints - spots[:, None]).max() < 5


def test_stage_times_of_crop_pose_and_heatmap_are_measured() -> None:
    image, boxes, _ = crowd(3)
    clock = StageClock()
    HostPoseEstimator(FakeRuntime(brightest_pixel), SPEC).estimate(image, boxes, clock)
    times = clock.times()
    assert min(times.crop, times.pose, times.heatmap) > 0


@pytest.mark.parametrize(("trained", "asked"), [("dark", "udp"), ("udp", "dark")])
def test_udp_decode_needs_udp_weights_and_vice_versa(trained: str, asked: str) -> None:
    with pytest.raises(BadInput, match=f"is read with {trained}, which `decode` {asked} does not fit"):
        HostPoseEstimator(FakeRuntime(brightest_pixel), replace(SPEC, decode=trained), decode=asked)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_nan_inf_or_huge_heatmaps_raise_run_broken_with_model_name(bad) -> None:
    image, boxes, _ = crowd(1)
    estimator = HostPoseEstimator(FakeRuntime(lambda batch: np.full((1, 17, 64, 48), bad)), SPEC)
    with pytest.raises(RunBroken, match="fake gives numbers that are none, or far too large"):
        estimator.estimate(image, boxes, StageClock())
