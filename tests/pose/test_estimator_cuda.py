"""The device path computes what the host path does, wherever it runs; here on the CPU."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from hrpose_rt.detection.yolo import DetectionFilter, YoloDetector
from hrpose_rt.detection.yolo_cuda import CudaYoloDetector
from hrpose_rt.errors import BadInput
from hrpose_rt.geometry import boxes_to_centre_size, crop_affines
from hrpose_rt.nets.zoo import find_model
from hrpose_rt.paths import models_folder
from hrpose_rt.pose.crops import crop_people
from hrpose_rt.pose.estimator import HostPoseEstimator
from hrpose_rt.pose.estimator_cuda import CudaPoseEstimator, crop_on_gpu, decode
from hrpose_rt.pose.heatmaps import HEATMAP_DECODERS
from hrpose_rt.runtimes.cuda_frames import FrameUploader
from hrpose_rt.runtimes.open import open_engine
from hrpose_rt.timing import StageClock

BOXES = np.array([[50, 400, 245, 905], [222, 405, 345, 860], [668, 390, 810, 880], [0, 550, 75, 875]])
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def bus(photos) -> np.ndarray:
    return cv2.imread(str(photos / "bus.jpg"))


@pytest.fixture(scope="module")
def pose():
    return open_engine(
        find_model(str(models_folder() / "hrnet-w16-lite.pth"), "pose"), "pose", "torch", "fp32"
    )


@pytest.mark.parametrize("how", ["dark", "quarter"])
@pytest.mark.parametrize("flip_test", [False, True])
def test_device_keypoints_match_host_with_and_without_flip_test(how, flip_test, bus, pose) -> None:
    boxes = BOXES.astype(np.float32)
    clock = StageClock()
    host = HostPoseEstimator(*pose, how, flip_test).estimate(bus, boxes, StageClock())
    device = CudaPoseEstimator(*pose, FrameUploader(CPU), how, flip_test).estimate(bus, boxes, clock)
    sure = host.scores > 0.3
    assert sure.sum() > 30
    crop_height = boxes_to_centre_size(boxes, (256, 192))[1][:, 1:]
    moved = np.linalg.norm(host.keypoints - device.keypoints, axis=2) / crop_height * 256
    assert np.percentile(moved[sure], 95) < 0.05  # pixels of the network's input
    times = clock.times()
    assert min(times.crop, times.pose, times.heatmap) > 0


def test_device_crops_beyond_frame_match_host(bus) -> None:
    boxes = np.array([[-40, -30, 120, 200], [700, 900, 900, 1200], [300, 300, 340, 420]], np.float32)
    centres, sizes = boxes_to_centre_size(boxes, (64, 48))
    out = np.zeros((3, 64, 48, 3), np.uint8)
    expected = crop_people(bus, centres, sizes, out)
    crops = crop_on_gpu(
        FrameUploader(CPU).frame(bus), crop_affines(centres, sizes, (64, 48)), (64, 48)
    ).numpy()
    # OpenCV interpolates in steps of a 32nd of a pixel.
    assert np.abs(expected.astype(int) - crops).mean() < 1
    assert (crops[0, :5] == 0).all() and (expected[0, :5] == 0).all()


@pytest.mark.parametrize("hw", [(32, 24), (48, 36)])
@pytest.mark.parametrize("how", ["dark", "quarter"])
def test_device_heatmap_peaks_match_host(how, hw) -> None:
    rng = np.random.default_rng(3)
    heatmaps = rng.normal(size=(40, 17, *hw)).astype(np.float32)  # peaks anywhere, the border too
    heatmaps[1:3] *= 1e-9
    heatmaps[0] = -1
    points, scores = HEATMAP_DECODERS[how](heatmaps)
    decoded = decode(torch.from_numpy(heatmaps), how).numpy()
    np.testing.assert_allclose(decoded[..., 2], scores)
    close = np.abs(decoded[..., :2] - points).max(axis=2) < 1e-2
    assert close.mean() > 0.995  # DARK divides by what may be next to nothing
    assert (decoded[0, :, :2] == 0).all()


def test_device_handles_no_people_and_multiple_batches(bus, pose) -> None:
    estimator = CudaPoseEstimator(*pose, FrameUploader(CPU))
    assert len(estimator.estimate(bus, np.zeros((0, 4), np.float32), StageClock())) == 0
    many = np.repeat(BOXES.astype(np.float32), 17, axis=0)
    poses = estimator.estimate(bus, many, StageClock())
    assert len(poses) == 68
    np.testing.assert_allclose(poses.keypoints[0], poses.keypoints[16], atol=0.01)


@pytest.mark.parametrize("flip_test", [False, True])
def test_device_detections_match_host(bus, flip_test) -> None:
    runtime, spec = open_engine(find_model("yolo26n-person", "detection"), "detection", "torch", "fp32")
    how = {"inputs_hw": spec.inputs_hw, "kept": DetectionFilter(0.3), "flip_test": flip_test}
    host = YoloDetector(runtime, **how).detect(bus, StageClock())
    device = CudaYoloDetector(runtime, FrameUploader(CPU), **how).detect(bus, StageClock())
    assert len(host) == len(device) >= 3
    assert np.abs(host.boxes - device.boxes).max() < 3
    assert np.abs(host.scores - device.scores).max() < 0.05


def test_device_frame_is_uploaded_once(bus) -> None:
    uploader = FrameUploader(CPU)
    first = uploader.frame(bus)
    assert uploader.frame(bus) is first and first.shape == (1, 3, *bus.shape[:2])
    assert uploader.frame(bus.copy()) is not first


def test_device_udp_decode_raises_bad_input(pose) -> None:
    runtime, spec = pose
    with pytest.raises(BadInput, match="`decode` udp is not there on a GPU: choose quarter or dark"):
        CudaPoseEstimator(runtime, replace(spec, decode="udp"), FrameUploader(CPU))
