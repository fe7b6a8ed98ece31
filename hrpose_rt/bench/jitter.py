"""Movement of the keypoints of people who stand still, without the smoothing filter and with it."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hrpose_rt.bench.cutouts import Cutout
from hrpose_rt.bench.scenes import FPS, Scene
from hrpose_rt.config import Settings
from hrpose_rt.networks import Networks
from hrpose_rt.pipeline import PosePipeline
from hrpose_rt.types import Frame

PEOPLE, NOISE = 5, 6.0  # people in the scene; standard deviation of the sensor noise, in grey levels
WARM_UP_FRAMES, MIN_KEYPOINT_SCORE = 10, 0.3  # frames; lowest score of a keypoint that counts
SIZE_WH = (1280, 720)


def measure_jitter(
    settings: Settings, networks: Networks, cutouts: Sequence[Cutout], frames: int = 60, seed: int = 0
) -> dict[str, Any]:
    """Mean and p95 step of still keypoints between frames, in body heights, estimated and filtered."""
    scene = Scene(cutouts, PEOPLE, SIZE_WH, seed=seed, occluders=False)
    still = scene.frame(0).image.astype(np.float32)
    report: dict[str, Any] = {"people": PEOPLE, "noise": NOISE, "frames": frames}
    for name, smooth in (("estimated", False), ("filtered", True)):
        pipeline = PosePipeline(replace(settings, budget_ms=0.0, detect_every=1, smooth=smooth), networks)
        session, rng = pipeline.begin(scene.info), np.random.default_rng(seed)  # the same noise for both
        steps: list[float] = []
        previous: dict[int, tuple[Any, Any]] = {}
        for index in range(frames):
            noisy = (still + rng.normal(0, NOISE, still.shape)).clip(0, 255).astype(np.uint8)
            result = session.process(Frame(index, noisy, index / FPS, time.perf_counter()))
            boxes, poses = result.detections.boxes, result.poses
            current = {}
            for row, person in enumerate(result.track_ids.tolist()):
                if person in previous and index >= WARM_UP_FRAMES:
                    previous_keypoints, confident = previous[person]
                    both = confident & (poses.scores[row] >= MIN_KEYPOINT_SCORE)
                    height = max(float(boxes[row, 3] - boxes[row, 1]), 1.0)
                    steps += (
                        np.linalg.norm(poses.keypoints[row] - previous_keypoints, axis=1)[both] / height
                    ).tolist()
                if person >= 0:
                    current[person] = poses.keypoints[row], poses.scores[row] >= MIN_KEYPOINT_SCORE
            previous = current
        report[name] = {
            "mean": round(float(np.mean(steps)), 5) if steps else None,
            "p95": round(float(np.percentile(steps, 95)), 5) if steps else None,
        }
    return report
