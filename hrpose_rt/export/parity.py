"""Differences between the outputs of an engine and of the fp32 network, on real people."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from hrpose_rt.detection.yolo import NMS_IOU, DetectionFilter, decode_boxes
from hrpose_rt.geometry import iou, nms
from hrpose_rt.nets.spec import EngineSpec
from hrpose_rt.pose.decoding import keypoint_decoder
from hrpose_rt.types import F32

MIN_KEYPOINT_SCORE = 0.3  # lowest score of the joints and people that are compared
MOVED_HEIGHTS = 0.05  # a joint counts as moved if it is farther off than this share of the person's height
MIN_CROPS = 64
PARITY_MATCH_IOU = 0.9  # lowest IoU of matching boxes

# Largest differences of an engine: pixels of the network's input, and shares.
LIMITS: dict[str, dict[str, float]] = {
    "fp32": {"p95_px": 0.05},
    "fp16": {"p95_px": 0.25},
    "bf16": {"median_px": 0.3, "p95_px": 1.5},
    "int8": {"median_px": 0.7, "p95_px": 3.0, "moved": 0.01},
}
BOX_LIMITS = {"fp32": 0.99, "fp16": 0.95, "bf16": 0.8, "int8": 0.7}  # lowest share of boxes that match


@dataclass(frozen=True, slots=True)
class Parity:
    """Result of a comparison.

    Attributes:
        metrics: Values by name.
        violations: One text per limit that is exceeded.
    """

    metrics: dict[str, float]
    violations: tuple[str, ...]


def compare_poses(expected: F32, outputs: F32, heights: F32, spec: EngineSpec) -> Parity:
    """Compare the outputs of pose networks.

    Args:
        expected, outputs: (N, K, ...) from the fp32 network and from the engine, for the same crops.
        heights: (N,) heights of the people, in pixels of the network's input.
        spec: Spec of the engine; its precision selects the limits. "quarter" is replaced by "dark", which
            shows smaller differences.
    """
    decoder = keypoint_decoder(spec, "dark" if spec.decode == "quarter" else "auto")
    (expected_points, scores), (points, _) = decoder.decode(expected), decoder.decode(outputs)
    confident = scores > MIN_KEYPOINT_SCORE
    moved = spec.input_hw[0] / spec.heatmap_hw[0] * np.linalg.norm(points - expected_points, axis=2)
    share = moved / np.maximum(heights[:, None], 1)
    distances = moved[confident] if confident.any() else np.zeros(1)
    spread = float(np.abs(expected).mean())
    metrics = {
        "crops": float(len(expected)),
        "joints": float(confident.sum()),
        "median_px": float(np.median(distances)),
        "p95_px": float(np.percentile(distances, 95)),
        "max_px": float(distances.max()),
        "moved": float((share[confident] > MOVED_HEIGHTS).mean()) if confident.any() else 0.0,
        "heatmap_error": float(np.abs(expected - outputs).mean()) / max(spread, 1e-9),
    }
    violations = [
        f"{name} is {metrics[name]:.3g}, {limit:g} is allowed"
        for name, limit in LIMITS[spec.precision].items()
        if not metrics[name] <= limit
    ]
    if not np.isfinite(outputs).all():
        violations.append("some heatmaps are not finite")
    return Parity(_rounded(metrics), tuple(violations))


def compare_boxes(expected: list[F32], outputs: list[F32], precision: str) -> Parity:
    """Compare a detector's outputs image by image, each (1, ...) in the form `decode_boxes` takes."""
    matched, differences = [], []
    for one, other in zip(expected, outputs, strict=True):
        (boxes, scores), (candidates, their_scores) = _best(one), _best(other)
        if not len(boxes):
            continue
        if not len(candidates):
            matched += [False] * len(boxes)
            continue
        overlap = iou(boxes, candidates)
        best = overlap.argmax(axis=1)
        same = overlap.max(axis=1) > PARITY_MATCH_IOU
        matched += same.tolist()
        differences += np.abs(scores - their_scores[best])[same].tolist()
    share = float(np.mean(matched)) if matched else 1.0
    metrics = {
        "pictures": float(len(expected)),
        "boxes": float(len(matched)),
        "matched": share,
        "score_difference": float(np.mean(differences)) if differences else 0.0,
    }
    limit = BOX_LIMITS[precision]
    violations = (f"{share:.3g} of the boxes are matched, {limit:g} at least are asked for",)
    return Parity(_rounded(metrics), violations if share < limit else ())


def _best(output: F32) -> tuple[F32, F32]:
    boxes, scores = decode_boxes(output, DetectionFilter(MIN_KEYPOINT_SCORE))
    kept = nms(boxes, scores, NMS_IOU)
    return boxes[kept], scores[kept]


def _rounded(metrics: dict[str, float]) -> dict[str, Any]:
    return {name: round(value, 4) for name, value in metrics.items()}
