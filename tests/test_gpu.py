"""Real networks on a real NVIDIA GPU, compared with the CPU; `make test-gpu` runs it, and `tests/gpu`."""

from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from hrpose_rt.config import Settings
from hrpose_rt.export.engines import export
from hrpose_rt.export.request import ExportRequest
from hrpose_rt.hardware import nvidia_gpus
from hrpose_rt.nets.zoo import find_model
from hrpose_rt.networks import open_pose
from hrpose_rt.pipeline import PosePipeline
from hrpose_rt.runtimes.open import open_engine
from hrpose_rt.runtimes.selection import _onnxruntime_has_cuda, tensorrt_format
from hrpose_rt.runtimes.trt import TrtRuntime
from hrpose_rt.timing import StageClock

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not nvidia_gpus() or not torch.cuda.is_available(), reason="no NVIDIA GPU here"),
]
needs_tensorrt = pytest.mark.skipif(
    not tensorrt_format() or not find_spec("onnx"),
    reason="no TensorRT library for this GPU, or no onnx, here",
)
needs_onnxruntime = pytest.mark.skipif(
    not _onnxruntime_has_cuda(), reason="no ONNX Runtime that was built for CUDA here"
)
needs_ampere = pytest.mark.skipif(
    not torch.cuda.is_available() or torch.cuda.get_device_capability() < (8, 0),
    reason="Turing and older have no bf16",
)
TENSORRT = pytest.param("tensorrt", marks=needs_tensorrt)
BOXES = np.array([[50, 400, 245, 905], [222, 405, 345, 860], [668, 390, 810, 880], [0, 550, 75, 875]])


@needs_tensorrt
@pytest.mark.parametrize("precision", ["fp32", "fp16", pytest.param("bf16", marks=needs_ampere), "int8"])
@pytest.mark.parametrize(("name", "task"), [("hrnet-w16-lite", "pose"), ("yolo26n-person", "detection")])
def test_tensorrt_engine_passes_parity_in_every_precision(name, task, precision, tmp_path: Path) -> None:
    made = export(
        find_model(name, task), task, ExportRequest(tensorrt_format(), precision, folder=tmp_path)
    )
    assert made.spec.parity["status"] == "verified"


@needs_tensorrt
def test_tensorrt_batches_equal_single_crops(tmp_path: Path) -> None:
    made = export(
        find_model("hrnet-w16-lite", "pose"),
        "pose",
        ExportRequest(tensorrt_format(), "fp16", folder=tmp_path),
    )
    runtime = TrtRuntime(made.path, made.spec)
    crops = np.random.default_rng(0).integers(0, 256, (70, 256, 192, 3), np.uint8)
    alone = np.concatenate([runtime.infer(crop[None]).copy() for crop in crops])
    before = torch.cuda.memory_allocated()
    for n in (1, 3, 17, 64, 70, 2):
        np.testing.assert_allclose(runtime.infer(crops[:n]), alone[:n], atol=0.02)
    assert torch.cuda.memory_allocated() == before
    runtime.close()


@pytest.mark.parametrize(
    "runtime",
    ["torch", pytest.param("onnxruntime", marks=needs_onnxruntime), TENSORRT],
)
def test_gpu_keypoint_scores_equal_cpu(runtime) -> None:
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(0, 256, (27, 20, 3), np.uint8), (810, 1080))
    found = []
    for settings in (
        Settings(runtime="torch", device="cpu", precision="fp32"),
        Settings(runtime=runtime, device="cuda", precision="fp32"),
    ):
        estimator, _ = open_pose(settings)
        with estimator:
            estimator.warm_up()
            found.append(estimator.estimate(image, BOXES.astype(np.float32), StageClock()))
    assert np.abs(found[0].scores - found[1].scores).max() < 0.02


@pytest.mark.parametrize(("name", "task"), [("hrnet-w16-lite", "pose"), ("yolo26n-person", "detection")])
def test_torch_network_on_gpu_is_captured(name, task) -> None:
    opened, spec = open_engine(find_model(name, task), task, "torch", "fp16", "cuda")
    shape = (3, *spec.input_hw, 3)
    opened.warm_up([shape])
    (step,) = opened._steps.values()
    assert step.run.__name__ == "replay"
    opened.close()


@pytest.mark.parametrize("runtime", ["torch", TENSORRT])
def test_gpu_pipeline_keypoints_equal_cpu(runtime, photos) -> None:
    image = cv2.imread(str(photos / "bus.jpg"))
    with PosePipeline(Settings(runtime="torch", device="cpu", precision="fp32")) as pipeline:
        wanted = pipeline.process(image)
    with PosePipeline(Settings(runtime=runtime, device="cuda", precision="fp32")) as pipeline:
        found = pipeline.process(image)
    assert len(found) == len(wanted)
    moved = np.abs(found.poses.keypoints - wanted.poses.keypoints)[wanted.poses.scores > 0.3]
    # A joint whose two peaks are equally high may be on the other.
    assert np.median(moved) < 0.5 and np.percentile(moved, 90) < 2
