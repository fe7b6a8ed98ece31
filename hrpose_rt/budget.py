"""A budget per frame: what steps cost, when to run the detector, and which poses to estimate."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np

from hrpose_rt.pose.base import PoseEstimator
from hrpose_rt.pose.batching import BatchPlan, plan_of
from hrpose_rt.timing import StageClock
from hrpose_rt.tracking.person_tracker import PersonTracker
from hrpose_rt.types import F32, I64, U8

MAX_DETECTION_GAP_S = 0.2  # longest gap on `auto`; a new person is detected within this time
DETECTOR_BUDGET_SHARE = 0.3  # share of a budget for the detector; with less, ids are lost at crossings
FAST_HEIGHTS_S = 1.5  # detect if a quarter of the people are faster, in body heights per second
MAX_SCORE_DROP = 0.4  # detect if the keypoint scores of a quarter of the people drop by more
SCENE_CUT_LEVELS = 40.0  # mean difference of grey levels above which two frames are different scenes
THUMBNAIL_WH = (32, 18)
EMA_ALPHA = 0.15  # weight of the newest measurement
MAX_SLOWDOWN = 4.0  # largest ratio of a measurement to the model; the rest counts as noise
PRIORITY_STALE, PRIORITY_NEW = 1e3, 1e6
MAX_PRIORITY_SPEED = 3.0  # body heights per second; faster people get no higher priority
POSE_MEASUREMENTS = 3  # measurements per batch size

Clock = Callable[[], float]  # seconds


@dataclass(slots=True)
class LatencyModel:
    """Cost of each step on this machine, in milliseconds; updated after every step.

    Attributes:
        detect_ms: Detector and association.
        batch_ms: Crops to keypoints, by batch size.
        other_ms: Everything after the poses.
        plan: How a crowd is cut into batches.
    """

    detect_ms: float = 0.0
    batch_ms: dict[int, float] = field(default_factory=dict)
    other_ms: float = 0.0
    plan: BatchPlan = field(default_factory=BatchPlan)
    _scale: float = 1.0

    def pose_ms(self, count: int) -> float:
        """Milliseconds to pose `count` people."""
        sizes = (self.plan.size_for(rows.stop - rows.start) for rows in self.plan.split(count))
        return sum(self.batch_ms[size] for size in sizes) * self._scale

    def update_pose(self, count: int, ms: float) -> None:
        """Update the model with the time of the poses of `count` people."""
        if count and self.batch_ms:
            ratio = ms / self.pose_ms(count) * self._scale
            self._scale += EMA_ALPHA * (min(max(ratio, 1 / MAX_SLOWDOWN), MAX_SLOWDOWN) - self._scale)

    def update_detect(self, ms: float) -> None:
        """Update the model with the time of one detection."""
        self.detect_ms = _averaged(self.detect_ms, ms)

    def update_other(self, ms: float) -> None:
        """Update the model with the time of all steps after the poses."""
        self.other_ms = _averaged(self.other_ms, ms)

    def max_crops(self, ms: float, limit: int) -> int:
        """Number of people who can be posed in `ms`, at most `limit`."""
        count, left_ms = 0, ms / self._scale
        sizes = self.plan.sizes[-1:] if self.plan.pads else self.plan.sizes[::-1]
        for size in sizes:
            cost_ms = max(self.batch_ms[size], 1e-6)
            batches = max(0, min(int(left_ms / cost_ms), (limit - count) // size))
            count += batches * size
            left_ms -= batches * cost_ms
        if self.plan.pads:  # the last batch need not be full
            affordable = (size for size in self.plan.sizes if self.batch_ms[size] <= left_ms)
            count = min(limit, count + max(affordable, default=0))
        return count


def measure_pose_latency(estimator: PoseEstimator, now: Clock = time.perf_counter) -> LatencyModel:
    """Measure the cost of each batch size; returns a latency model."""
    h, w = estimator.input_hw
    image, box = np.zeros((2 * h, 2 * w, 3), np.uint8), np.array([[0, 0, w, h]], np.float32)
    latency = LatencyModel(plan=plan_of(estimator))
    for size in latency.plan.sizes:
        measured_ms = []
        for _ in range(POSE_MEASUREMENTS):
            begin = now()
            estimator.estimate(image, box.repeat(size, axis=0), StageClock())
            measured_ms.append(1e3 * (now() - begin))
        latency.batch_ms[size] = float(np.median(measured_ms))
    return latency


class FrameBudget:
    """Decides for one video, frame by frame, when to detect and which people to pose.

    Args:
        fps: Frames per second of the video.
        detect_every: Run the detector on every Nth frame; 0 decides frame by frame.
        budget_ms: Milliseconds per frame; 0 is no limit.
        max_pose_age: Frames after which a pose is estimated again, if the budget allows it.
        latency: Latency model of this machine; all videos share it.
    """

    def __init__(
        self, fps: float, detect_every: int, budget_ms: float, max_pose_age: int, latency: LatencyModel
    ) -> None:
        self._detect_every = detect_every or max(1, math.floor(MAX_DETECTION_GAP_S * fps))
        self._auto = detect_every == 0
        self.budget_ms, self._max_pose_age, self.latency = budget_ms, max_pose_age, latency
        self._since_detection = 0
        self._thumbnail: F32 | None = None
        self.frames, self.detections, self.stale_pose_frames = 0, 0, 0

    @property
    def detects_every_frame(self) -> bool:
        """Whether the detector runs on every frame, whatever is in it."""
        return self._detect_every == 1 and not self._auto

    @property
    def max_gap(self) -> int:
        """Most frames from one detection to the next."""
        if not self._auto or not self.budget_ms:
            return self._detect_every
        affordable = math.ceil(self.latency.detect_ms / (DETECTOR_BUDGET_SHARE * self.budget_ms))
        return min(self._detect_every, max(1, affordable))

    def should_detect(self, image: U8, tracker: PersonTracker) -> bool:
        """Whether to run the detector on this frame (H, W, 3). A scene cut ends all tracks."""
        self.frames += 1
        self._since_detection += 1
        cut = self._is_scene_cut(image)
        if cut:
            tracker.scene_changed()
        due = cut or self.detections == 0 or self._since_detection >= self.max_gap or self._pays(tracker)
        if due:
            self._since_detection = 0
            self.detections += 1
        return due

    def _is_scene_cut(self, image: U8) -> bool:
        small = cv2.resize(image, THUMBNAIL_WH, interpolation=cv2.INTER_NEAREST)
        thumbnail = small.astype(np.float32).mean(axis=2)
        previous, self._thumbnail = self._thumbnail, thumbnail
        return previous is not None and float(np.abs(thumbnail - previous).mean()) > SCENE_CUT_LEVELS

    def _pays(self, tracker: PersonTracker) -> bool:
        """Whether propagated boxes are probably wrong by now; False unless on `auto`."""
        if not self._auto:
            return False
        if not len(tracker):
            return True
        if self.budget_ms and self._since_detection < 2:
            return False
        speed, score_drop = np.percentile(tracker.speeds, 75), np.percentile(tracker.score_drop, 75)
        return bool(speed > FAST_HEIGHTS_S or score_drop > MAX_SCORE_DROP)

    def rows_to_pose(self, tracker: PersonTracker, spent_ms: float) -> I64:
        """Rows of the people to pose on this frame, after `spent_ms` of it; the most urgent that fit."""
        n = len(tracker)
        if not self.budget_ms:
            return np.arange(n)
        count = self.latency.max_crops(self.budget_ms - spent_ms - self.latency.other_ms, n)
        if not count and self._since_detection:  # without a detection there is time for one person
            count = min(1, n)
        if count >= n:
            return np.arange(n)
        age = tracker.pose_age.astype(np.float32)
        priority = age * (1 + np.minimum(tracker.speeds, MAX_PRIORITY_SPEED) + tracker.score_drop)
        priority = np.where(age >= self._max_pose_age, PRIORITY_STALE + age, priority)
        priority = np.where(age < 0, np.where(tracker.confirmed, PRIORITY_NEW, PRIORITY_STALE), priority)
        rows = np.sort(np.argsort(-priority, kind="stable")[:count])
        left_out = np.ones(n, np.bool_)
        left_out[rows] = False
        self.stale_pose_frames += bool((age[left_out] > self._max_pose_age).any())
        return rows


def _averaged(average_ms: float, ms: float) -> float:
    """The moving average after a new measurement; the first measurement is taken as it is."""
    return ms if average_ms == 0 else average_ms + EMA_ALPHA * (ms - average_ms)
