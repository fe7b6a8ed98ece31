"""The effect of a frame budget: the same frames with and without one, compared in time, poses and ids."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hrpose_rt.bench.crowd import BenchSource
from hrpose_rt.bench.id_metrics import IdMetrics
from hrpose_rt.bench.report import NEIGHBOURS
from hrpose_rt.config import Settings
from hrpose_rt.geometry import assign, iou, oks
from hrpose_rt.networks import Networks
from hrpose_rt.pipeline import PosePipeline
from hrpose_rt.result import FrameResult

WARM_UP_FRAMES = 10  # frames until costs are known and each person was posed once
RUNS_MATCH_IOU = 0.3  # IoU of one person's boxes in the two runs
MIN_KEYPOINT_SCORE = 0.3  # lowest score of a keypoint that is compared
MIN_KEYPOINTS = 4  # fewest such keypoints of a person
RETURNING = 5  # people who come back on the same frame

ProgressCallback = Callable[[str], None]


def measure_bounded(
    settings: Settings,
    networks: Networks,
    source: BenchSource,
    frames: int,
    progress: ProgressCallback = lambda step: None,
) -> dict[str, Any]:
    """Run one crowd with a budget and without: latency, poses, ages and ids of both runs.

    Args:
        settings: Settings with the budget.
        networks: Opened networks.
        source: The crowd.
        frames: Number of frames to run.
        progress: Called with the current step.
    """
    bounded = PosePipeline(settings, networks)
    free = PosePipeline(replace(settings, budget_ms=0.0, detect_every=1), networks)
    sessions = bounded.begin(source.info), free.begin(source.info)
    ms: tuple[list[float], list[float]] = ([], [])
    ids = IdMetrics(), IdMetrics()
    pose_oks: list[float] = []
    ages: list[int] = []
    all_unmatched = people = 0
    returns: list[int] = []
    for index in range(frames):
        progress(f"{source.info.name}, frame {index + 1} of {frames}")
        frame, truth = source.frame_and_truth(index)
        results = []
        for variant, session in enumerate(sessions):
            begin = time.perf_counter()
            results.append(session.process(frame))
            ms[variant].append(1e3 * (time.perf_counter() - begin))
        if truth is not None:
            for metrics, result in zip(ids, results, strict=True):
                metrics.add(result, truth)
            returns.append(int(truth.returned.sum()))
        if index >= WARM_UP_FRAMES:
            frame_oks, unmatched = likeness(*results)
            pose_oks += frame_oks
            all_unmatched, people = all_unmatched + unmatched, people + len(results[1])
            ages += results[0].poses.age.tolist()
    posed_ages = np.array([age for age in ages if age >= 0])
    report: dict[str, Any] = {
        "scene": source.info.name,
        "people": source.people,
        "found": round(people / max(frames - WARM_UP_FRAMES, 1), 1),
        "budget_ms": round(settings.budget_ms, 2),
        "bounded_ms": _percentiles(ms[0][WARM_UP_FRAMES:]),
        "free_ms": _percentiles(ms[1][WARM_UP_FRAMES:]),
        "p95_over_budget": round(float(np.percentile(ms[0][WARM_UP_FRAMES:], 95)) / settings.budget_ms, 3),
        "oks": round(float(np.mean(pose_oks)), 4) if pose_oks else None,
        "without_counterpart": round(all_unmatched / max(people, 1), 4),
        "pose_age": _percentiles(posed_ages) if len(posed_ages) else None,
        "never_posed": round(1 - len(posed_ages) / max(len(ages), 1), 4),
        **sessions[0].counts(),
    }
    if any(returns):
        report["reappearance"] = _reappearance(ms[0], returns)
        report["ids"] = {"bounded": ids[0].scores(), "free": ids[1].scores()}
    return report


def likeness(result: FrameResult, reference: FrameResult) -> tuple[list[float], int]:
    """OKS of each person in both runs, and the number of people whose pose only the reference has.

    Only keypoints that the reference scores well count. The area is the box's, as in the original's
    OKS-NMS.
    """
    overlap = iou(reference.detections.boxes, result.detections.boxes)
    a, b = assign(-overlap)
    both = (overlap[a, b] >= RUNS_MATCH_IOU) & (result.poses.age[b] >= 0)
    a, b = a[both], b[both]
    confident = reference.poses.scores[a] >= MIN_KEYPOINT_SCORE
    boxes = reference.detections.boxes[a]
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    sigmas = np.array(reference.skeleton.sigmas, np.float32)
    pose_oks = oks(reference.poses.keypoints[a], result.poses.keypoints[b], confident, areas, sigmas)
    return pose_oks[confident.sum(axis=1) >= MIN_KEYPOINTS].tolist(), len(reference) - len(a)


def _reappearance(ms: Sequence[float], returns: Sequence[int]) -> dict[str, Any]:
    """p95 of the frames on which many people come back, and of the frames right after them."""
    return_frames = [
        i for i, n in enumerate(returns) if n >= RETURNING and WARM_UP_FRAMES <= i < len(ms) - NEIGHBOURS
    ]
    if not return_frames:
        return {"frames": 0}
    neighbours_ms = [ms[i + k] for i in return_frames for k in range(1, 1 + NEIGHBOURS)]
    p95 = float(np.percentile([ms[i] for i in return_frames], 95)), float(np.percentile(neighbours_ms, 95))
    return {
        "frames": len(return_frames),
        "p95_ms": round(p95[0], 2),
        "neighbours_p95_ms": round(p95[1], 2),
    } | {"ratio": round(p95[0] / p95[1], 3)}


def _percentiles(values: Any) -> dict[str, float]:
    return {f"p{q}": round(float(np.percentile(values, q)), 2) for q in (50, 95)}
