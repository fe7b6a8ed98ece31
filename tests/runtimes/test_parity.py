"""Runtimes agree on real people: the photos that the ultralytics package ships."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from hrpose_rt.detection.yolo import DetectionFilter, YoloDetector
from hrpose_rt.geometry import boxes_to_centre_size, iou
from hrpose_rt.nets.zoo import find_model
from hrpose_rt.pose.crops import crop_people
from hrpose_rt.pose.heatmaps import decode_dark
from hrpose_rt.runtimes.open import open_engine
from hrpose_rt.runtimes.ov import OpenVinoRuntime, cpu_has_bf16
from hrpose_rt.timing import StageClock

POSE = find_model("hrnet-w16-lite", "pose")
DETECTOR = find_model("yolo26n-person", "detection")
NETWORK_PX_PER_CELL = 4
# People of bus.jpg (810x1080) and zidane.jpg (1280x720), by hand, and their surroundings.
BOXES = {
    "bus.jpg": [[50, 400, 245, 905], [222, 405, 345, 860], [668, 390, 810, 880], [0, 550, 75, 875]],
    "zidane.jpg": [[120, 195, 1130, 715], [745, 40, 1140, 715], [450, 350, 560, 715]],
}


@pytest.fixture(scope="module")
def crops(photos) -> np.ndarray:
    """(21, 256, 192, 3): each person as boxed, and boxed a little too large and aside."""
    cut = []
    for name, rows in BOXES.items():
        image = cv2.imread(str(photos / name))
        boxes = np.array(rows, np.float32)
        for grow, shift in ((0, 0), (12, 0), (5, 9)):
            moved = boxes + np.array([-grow, -grow, grow, grow], np.float32) + np.float32(shift)
            out = np.empty((len(boxes), 256, 192, 3), np.uint8)
            cut.append(crop_people(image, *boxes_to_centre_size(moved, (256, 192)), out))
    return np.concatenate(cut)


def difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distances in network-input pixels of joints that score above 0.3 in `a`."""
    (points_a, scores), (points_b, _) = decode_dark(a), decode_dark(b)
    distances = np.linalg.norm(points_a - points_b, axis=2)[scores > 0.3]
    assert len(distances) >= 100
    return NETWORK_PX_PER_CELL * distances


@pytest.fixture(scope="module")
def reference(crops) -> np.ndarray:
    runtime, _ = open_engine(POSE, "pose", "torch", "fp32")
    return runtime.infer(crops).copy()


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_fp32_runtimes_match_pytorch_within_tenth_of_pixel(name, crops, reference) -> None:
    runtime, _ = open_engine(POSE, "pose", name, "fp32")
    heatmaps = runtime.infer(crops)
    assert np.percentile(difference(reference, heatmaps), 95) < 0.1
    np.testing.assert_allclose(heatmaps, reference, atol=1e-3)


def test_bf16_median_keypoint_shift_is_small(crops, reference) -> None:
    if not cpu_has_bf16():
        pytest.skip("this CPU has no bf16 arithmetic")
    for name in ("openvino", "torch"):
        runtime, _ = open_engine(POSE, "pose", name, "bf16")
        assert runtime.precision == "bf16"
        assert np.median(difference(reference, runtime.infer(crops))) < 0.3


def test_openvino_batch_equals_single_crops(crops) -> None:
    runtime, _ = open_engine(POSE, "pose", "openvino", "fp32")
    together = runtime.infer(crops[:8]).copy()
    alone = np.concatenate([runtime.infer(crops[i : i + 1]).copy() for i in range(8)])
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_detector_boxes_agree_across_runtimes(photos) -> None:
    detections = {}
    for name in ("torch", "openvino", "onnxruntime"):
        runtime, spec = open_engine(DETECTOR, "detection", name, "fp32")
        detector = YoloDetector(runtime, spec.inputs_hw, DetectionFilter(0.3))
        detections[name] = detector.detect(cv2.imread(str(photos / "bus.jpg")), StageClock())
    reference = detections.pop("torch")
    assert len(reference) >= 3
    for people in detections.values():
        assert len(people) == len(reference)
        assert iou(reference.boxes, people.boxes).max(axis=1).min() > 0.99
        np.testing.assert_allclose(people.scores, reference.scores, atol=1e-3)


def test_bf16_without_cpu_support_raises_value_error(monkeypatch) -> None:
    monkeypatch.setattr("hrpose_rt.runtimes.ov.cpu_has_bf16", lambda: False)
    with pytest.raises(ValueError, match=r"no bf16 arithmetic .*: use `precision` fp32"):
        OpenVinoRuntime(POSE.engine, "bf16", 1)
    assert OpenVinoRuntime(POSE.engine, "auto", 1).precision == "fp32"


@pytest.mark.parametrize(
    ("name", "features", "precision"),
    [
        ("Intel Xeon", ["avx512_bf16", "amx_bf16"], "bf16"),
        ("Intel Xeon", ["avx512_bf16"], "fp32"),
        ("AMD EPYC", ["avx512_bf16"], "bf16"),
        ("Neoverse", ["bf16"], "bf16"),
    ],
)
def test_auto_precision_is_bf16_only_on_cpus_where_it_is_fast(
    name: str, features: list[str], precision: str, monkeypatch
) -> None:
    monkeypatch.setattr("hrpose_rt.runtimes.ov.cpu_has_bf16", lambda: True)
    monkeypatch.setattr("hrpose_rt.runtimes.ov.cpu_name", lambda: name)
    monkeypatch.setattr("hrpose_rt.runtimes.ov.cpu_features", lambda: features)
    assert OpenVinoRuntime(POSE.engine, "auto", 1).precision == precision


def test_onnx_without_checkpoint_cannot_run_on_pytorch() -> None:
    with pytest.raises(ValueError, match="mine is an engine, and its checkpoint is needed"):
        open_engine(replace(POSE, name="mine", checkpoint=None), "pose", "torch")
    with pytest.raises(ValueError, match="has engines of hrnet-w16-lite and not the checkpoint"):
        open_engine(replace(POSE, checkpoint=None), "pose", "torch")
