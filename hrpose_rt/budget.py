"""When to look for people, and whose pose to estimate anew, so that a frame costs no more than it may."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np

from hrpose_rt.pose.base import PoseEstimator
from hrpose_rt.pose.batching import CPU_BATCHES
from hrpose_rt.timing import StageClock
from hrpose_rt.tracking.person_tracker import Crowd
from hrpose_rt.types import F32, I64, U8

LOOK_WITHIN_S = 0.2  # on `auto`, newcomers are found within so long ...
LOOK_SHARE = 0.3  # ... and of a budget, looking may take so much: people who cross keep their ids
FAST = 1.5  # body heights a second, of a quarter of the people, at which boxes want to be found anew
DOUBTFUL = 0.4  # share by which scores have fallen, of a quarter of the people
CUT = 40.0  # mean difference of grey levels between two frames: another scene
THUMBNAIL_WH = (32, 18)
NEWEST = 0.15  # share of the newest measurement in what something costs
URGENT, FIRST = 1e3, 1e6


@dataclass(slots=True)
class Costs:
    """What steps cost on this machine, in milliseconds, learnt as they are done.

    Attributes:
        detect: The detector and the tracker.
        batches: Crops to keypoints, by the number of crops that go together.
        rest: Everything after the poses, and its part of each person.
    """

    detect: float = 0.0
    batches: dict[int, float] = field(default_factory=dict)
    rest: float = 0.0
    _scale: float = 1.0

    def crops(self, count: int) -> float:
        """Of the poses of `count` people."""
        total = 0.0
        for size in sorted(self.batches, reverse=True):
            many, count = divmod(count, size)
            total += many * self.batches[size]
        return total * self._scale

    def learn_crops(self, count: int, ms: float) -> None:
        """`count` people took so long."""
        if count and self.batches:
            ratio = ms / self.crops(count) * self._scale
            self._scale += NEWEST * (min(max(ratio, 0.25), 4.0) - self._scale)

    def learn(self, name: str, ms: float) -> None:
        """`detect` or `rest` took so long."""
        known = getattr(self, name)
        setattr(self, name, ms if known == 0 else known + NEWEST * (ms - known))

    def fitting(self, ms: float, most: int) -> int:
        """How many people's poses fit into `ms`, at most `most`."""
        count, left = 0, ms / self._scale
        for size in sorted(self.batches, reverse=True):
            many = min(int(left / max(self.batches[size], 1e-6)), (most - count) // size)
            if many > 0:
                count += many * size
                left -= many * self.batches[size]
        return count


class Scheduler:
    """Decides for one stream, frame by frame.

    Args:
        fps: Of the stream.
        every: Look for people on every so-manyth frame; 0 when it pays.
        budget_ms: What a frame may take; 0 is no limit.
        max_pose_age: Frames after which a pose is done anew if the budget can hold it.
        costs: Of this machine; shared by all streams.
    """

    def __init__(self, fps: float, every: int, budget_ms: float, max_pose_age: int, costs: Costs) -> None:
        self._every = every or max(1, math.floor(LOOK_WITHIN_S * fps))
        self._auto = every == 0
        self.budget_ms, self._max_pose_age, self.costs = budget_ms, max_pose_age, costs
        self._since = 0  # frames since the last look
        self._thumbnail: F32 | None = None
        self.frames, self.looks, self.too_old = 0, 0, 0

    @property
    def max_gap(self) -> int:
        """Frames within which newcomers are looked for."""
        if not self._auto or not self.budget_ms:
            return self._every
        return min(self._every, max(1, math.ceil(self.costs.detect / (LOOK_SHARE * self.budget_ms))))

    def look(self, image: U8, crowd: Crowd) -> bool:
        """Whether to run the detector on this frame (H, W, 3)."""
        self.frames += 1
        self._since += 1
        cut = self._cut(image)
        if cut:
            crowd.scene_changed()
        due = cut or self.looks == 0 or self._since >= self.max_gap or self._changed(crowd)
        if due:
            self._since = 0
            self.looks += 1
        return due

    def _cut(self, image: U8) -> bool:
        """Whether another scene begins with this frame (H, W, 3)."""
        small = cv2.resize(image, THUMBNAIL_WH, interpolation=cv2.INTER_NEAREST)
        thumbnail = small.astype(np.float32).mean(axis=2)
        before, self._thumbnail = self._thumbnail, thumbnail
        return before is not None and float(np.abs(thumbnail - before).mean()) > CUT

    def _changed(self, crowd: Crowd) -> bool:
        if not self._auto:
            return False
        if not len(crowd):
            return True  # nothing else to do
        if self.budget_ms and self._since < 2:
            return False
        fast, doubtful = np.percentile(crowd.speeds, 75), np.percentile(crowd.doubt, 75)
        return bool(fast > FAST or doubtful > DOUBTFUL)

    def whom(self, crowd: Crowd, spent_ms: float) -> I64:
        """Rows of those whose pose is estimated on this frame, when it has taken `spent_ms` so far."""
        n = len(crowd)
        if not self.budget_ms:
            return np.arange(n)
        left = self.budget_ms - spent_ms - self.costs.rest
        count = self.costs.fitting(left, n)
        if not count and self._since:  # a frame without a look always brings somebody on
            count = min(1, n)
        if count >= n:
            return np.arange(n)
        age = crowd.age.astype(np.float32)
        urgency = age * (1 + np.minimum(crowd.speeds, 3) + crowd.doubt)
        urgency = np.where(age >= self._max_pose_age, URGENT + age, urgency)
        urgency = np.where(age < 0, np.where(crowd.confirmed, FIRST, URGENT), urgency)
        rows = np.sort(np.argsort(-urgency, kind="stable")[:count])
        left_out = np.ones(n, np.bool_)
        left_out[rows] = False
        self.too_old += bool((age[left_out] > self._max_pose_age).any())
        return rows


PROBES = 3


Now = Callable[[], float]


def probe(estimator: PoseEstimator, now: Now = time.perf_counter) -> Costs:
    """What poses cost here, by the number of people at a time."""
    h, w = estimator.input_hw
    image, box = np.zeros((2 * h, 2 * w, 3), np.uint8), np.array([[0, 0, w, h]], np.float32)
    costs = Costs()
    for size in CPU_BATCHES:
        spent = []
        for _ in range(PROBES):
            begin = now()
            estimator.estimate(image, box.repeat(size, axis=0), StageClock())
            spent.append(1e3 * (now() - begin))
        costs.batches[size] = float(np.median(spent))
    return costs
