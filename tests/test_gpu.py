"""What only an NVIDIA GPU can show; `make test-gpu` runs it."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from hrpose_rt.export.engines import Order, export
from hrpose_rt.machine import nvidia_gpus
from hrpose_rt.nets.zoo import find_model
from hrpose_rt.networks import Settings
from hrpose_rt.pipeline import PosePipeline
from hrpose_rt.runtimes.choice import tensorrt_form
from hrpose_rt.runtimes.trt import TrtRuntime

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not nvidia_gpus() or not torch.cuda.is_available(), reason="no NVIDIA GPU here"),
]
needs_tensorrt = pytest.mark.skipif(not tensorrt_form(), reason="no TensorRT library for this GPU here")


@needs_tensorrt
@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16", "int8"])
@pytest.mark.parametrize(("name", "task"), [("hrnet-w16-lite", "pose"), ("yolo26n-person", "detection")])
def test_an_engine_is_right_in_every_precision(name, task, precision, tmp_path: Path) -> None:
    made = export(find_model(name, task), task, Order(tensorrt_form(), precision, folder=tmp_path))
    assert made.spec.parity["status"] == "verified"


@needs_tensorrt
def test_every_batch_gives_what_its_crops_give_alone(tmp_path: Path) -> None:
    made = export(
        find_model("hrnet-w16-lite", "pose"), "pose", Order(tensorrt_form(), "fp16", folder=tmp_path)
    )
    runtime = TrtRuntime(made.path, made.spec)
    crops = np.random.default_rng(0).integers(0, 256, (70, 256, 192, 3), np.uint8)
    alone = np.concatenate([runtime.infer(crop[None]).copy() for crop in crops])
    before = torch.cuda.memory_allocated()
    for n in (1, 3, 17, 64, 70, 2):
        np.testing.assert_allclose(runtime.infer(crops[:n]), alone[:n], atol=0.02)
    assert torch.cuda.memory_allocated() == before
    runtime.close()


@pytest.mark.parametrize("runtime", ["torch", pytest.param("tensorrt", marks=needs_tensorrt)])
def test_a_frame_on_the_gpu_is_what_it_is_on_the_cpu(runtime, photos) -> None:
    image = cv2.imread(str(photos / "bus.jpg"))
    with PosePipeline(Settings(runtime="openvino", precision="fp32")) as pipeline:
        wanted = pipeline.process(image)
    with PosePipeline(Settings(runtime=runtime, device="cuda", precision="fp32")) as pipeline:
        found = pipeline.process(image)
    assert len(found) == len(wanted)
    sure = wanted.poses.scores > 0.3
    assert np.percentile(np.abs(found.poses.keypoints - wanted.poses.keypoints)[sure], 95) < 2
