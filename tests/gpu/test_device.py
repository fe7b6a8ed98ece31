"""Detector and poses on a device, around an engine: each frame's people are its own."""

from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch

from hrpose_rt.config import Settings
from hrpose_rt.detection.yolo import MAX_BATCH, DetectionFilter
from hrpose_rt.detection.yolo_cuda import CudaYoloDetector
from hrpose_rt.errors import BadInput
from hrpose_rt.networks import Networks
from hrpose_rt.pipeline import PosePipeline
from hrpose_rt.pose.estimator_cuda import CudaPoseEstimator, crop_on_gpu
from hrpose_rt.runtimes.cuda_frames import FrameUploader
from hrpose_rt.skeleton import find_skeleton
from hrpose_rt.timing import StageClock
from tests.gpu.conftest import DETECTOR, POSE, Bench, frame, people
from tests.gpu.networks import SmallDetector
from tests.gpu.simulated import HAS_CUDA

pytestmark = [pytest.mark.gpu] if HAS_CUDA else []
INPUTS = (SmallDetector.input_hw,)


@pytest.mark.parametrize(
    ("n", "flip_test", "file"),
    [(5, False, {}), (5, True, {}), (130, False, {}), (20, False, {"batches": (1, 2, 4, 8)})],
    ids=["a few", "flip test", "more than one batch", "an engine of 8"],
)
def test_device_poses_match_reference_in_batches_and_flip_test(
    n: int, flip_test: bool, file: dict[str, Any], bench: Bench
) -> None:
    runtime, uploader = bench.by_itself("pose")
    plain = CudaPoseEstimator(runtime, POSE, uploader, flip_test=flip_test)
    wanted = [plain.estimate(frame(seed), people(n), StageClock()).scores for seed in (1, 2)]
    bench.gpu.complaints.clear()
    estimator = CudaPoseEstimator(
        bench.open(**file), POSE, FrameUploader(bench.device), flip_test=flip_test
    )
    found = [estimator.estimate(frame(seed), people(n), StageClock()).scores for seed in (1, 2)]
    bench.check(np.concatenate(found), np.concatenate(wanted))


def test_device_boxes_match_reference_of_same_frame(bench: Bench) -> None:
    runtime, uploader = bench.by_itself("detector")
    videos = [frame(0, (64, 64)) // 2, frame(1, (64, 64)), frame(2, (64, 64)) // 3]
    plain = CudaYoloDetector(runtime, uploader, INPUTS, DetectionFilter(0.3))
    wanted = [plain.detect(picture, StageClock()).boxes for picture in videos]
    bench.gpu.complaints.clear()
    detector = CudaYoloDetector(
        bench.open(DETECTOR), FrameUploader(bench.device), INPUTS, DetectionFilter(0.3)
    )
    found = [detector.detect(picture, StageClock()).boxes for picture in videos]
    bench.check(np.stack(found), np.stack(wanted))


def test_device_tiles_beyond_max_batch_match_reference(bench: Bench) -> None:
    tiles = [(x, y, x + 40, y + 40) for x in (0, 12, 24) for y in (0, 24)]
    runtime, uploader = bench.by_itself("detector")
    wanted = CudaYoloDetector(runtime, uploader, INPUTS, DetectionFilter(0.3)).detect(
        frame(0, (64, 64)), StageClock(), tiles
    )
    bench.gpu.complaints.clear()
    small = bench.open(DETECTOR, batches=(1, 2, 4))
    detector = CudaYoloDetector(small, FrameUploader(bench.device), INPUTS, DetectionFilter(0.3))
    detector.warm_up((64, 64), len(tiles))
    found = detector.detect(frame(0, (64, 64)), StageClock(), tiles)
    bench.check(found.boxes, wanted.boxes)


def test_device_warm_up_of_many_tiles_skips_sizes(bench: Bench, monkeypatch) -> None:
    sizes = []
    detector = CudaYoloDetector(
        bench.open(DETECTOR), FrameUploader(bench.device), INPUTS, DetectionFilter(0.3)
    )
    monkeypatch.setattr(detector, "detect", lambda image, clock, tiles: sizes.append(1 + len(tiles)))
    detector.warm_up((64, 64), 2)
    assert sizes == [1, 2, 3]
    sizes.clear()
    detector.warm_up((64, 64), 81)
    assert sizes == [*range(1, MAX_BATCH + 1), 82]


def test_device_warm_up_rejects_wrong_heatmap_shape(bench: Bench) -> None:
    wrong = replace(POSE, heatmap_hw=(16, 12))
    with pytest.raises(BadInput, match=r"small gives heatmaps \(17, 8, 6\), and coco17 .* \(17, 16, 12\)"):
        CudaPoseEstimator(bench.open(), wrong, FrameUploader(bench.device)).warm_up()


def test_device_warm_up_runs_every_batch_size(bench: Bench) -> None:
    runtime = bench.open(batches=(1, 2, 8))
    with mock.patch.object(runtime, "infer_device", wraps=runtime.infer_device) as infer:
        CudaPoseEstimator(runtime, POSE, FrameUploader(bench.device)).warm_up()
    assert {len(call.args[0]) for call in infer.call_args_list} == {1, 2, 8}


def test_device_crops_do_not_copy_frame_per_person(bench: Bench) -> None:
    n, hw = 50, (256, 192)
    maps = np.tile(np.array([[[0.5, 0, 0], [0, 0.5, 0]]], np.float32), (n, 1, 1))
    picture = FrameUploader(bench.device).frame(frame(0, (720, 1280)))
    if HAS_CUDA:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        crop_on_gpu(picture, maps, hw)
        assert torch.cuda.max_memory_allocated() - before < 6 * (n * 256 * 192 * 3 * 4)
        return
    sampler = torch.nn.functional.grid_sample
    with mock.patch.object(torch.nn.functional, "grid_sample", wraps=sampler) as sampled:
        crops = crop_on_gpu(picture, maps, hw)
    given = sampled.call_args.args[0]
    assert given.is_contiguous() and given.shape[0] == 1  # what cuDNN would copy, it need not copy
    assert crops.shape == (n, *hw, 3) and crops.is_contiguous()


def networks(bench: Bench) -> Networks:
    """A pipeline's, which share one upload a frame."""
    uploader = FrameUploader(bench.device)
    detector = CudaYoloDetector(bench.open(DETECTOR), uploader, INPUTS, DetectionFilter(0.3))
    estimator = CudaPoseEstimator(bench.open(), POSE, uploader)
    return Networks(detector, estimator, find_skeleton("coco17"), {})


def test_device_pipeline_uploads_reused_frame_buffer_again(bench: Bench) -> None:
    """As `cv2.VideoCapture.read(picture)` fills it."""
    pytest.importorskip("lap")  # not everywhere where a GPU is
    found, picture = [], frame()
    for reused in (True, False):
        with PosePipeline(Settings(memory_s=0, smooth=False), networks(bench)) as pipeline:
            for seed in (0, 1):
                picture = picture if reused else picture.copy()
                picture[:] = frame(seed) // (4 - 3 * seed)
                result = pipeline.process(picture)
        found.append((result.detections.boxes, result.poses.scores))
    for reused, fresh in zip(*found, strict=True):
        bench.check(reused, fresh)


def test_device_detector_uploads_reused_frame_buffer_again(bench: Bench) -> None:
    detector, picture = networks(bench).detector, frame(1)
    detector.detect(picture, StageClock())
    picture[:] = frame(2) // 3
    found = detector.detect(picture, StageClock()).boxes
    bench.check(found, detector.detect(frame(2) // 3, StageClock()).boxes)


def test_device_estimate_uploads_reused_frame_buffer_again(bench: Bench) -> None:
    with PosePipeline(Settings(), networks(bench)) as pipeline:
        picture = frame(1)
        pipeline.estimate(picture, people(2))
        picture[:] = frame(2)
        bench.check(
            pipeline.estimate(picture, people(2)).scores, pipeline.estimate(frame(2), people(2)).scores
        )


def test_device_frames_of_two_sources_upload_once_and_share_batch(bench: Bench) -> None:
    opened, both = networks(bench), [frame(1), frame(2)]
    runtime = opened.estimator._runtime
    for picture in both:
        opened.detector.detect(picture, StageClock())
    sent = bench.gpu.calls["upload"]
    with mock.patch.object(runtime, "infer_device", wraps=runtime.infer_device) as infer:
        poses = opened.estimator.estimate_all(both, [people(3), people(5)], StageClock())
    assert [len(call.args[0]) for call in infer.call_args_list] == [8]
    if not HAS_CUDA:
        assert bench.gpu.calls["upload"] - sent == 2  # where the crops lie, once a frame; no pixels
    alone = opened.estimator.estimate(both[1], people(5), StageClock())
    bench.check(poses[1].scores, alone.scores)


def test_frame_uploader_releases_unreferenced_frames() -> None:
    uploader = FrameUploader(torch.device("cpu"))
    for seed in range(3):
        uploader.frame(frame(seed))
    assert not uploader._frames
