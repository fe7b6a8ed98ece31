"""People who went out of sight, and who of them has come back."""

from dataclasses import dataclass

import numpy as np

from hrpose_rt.geometry import pair_off
from hrpose_rt.types import F32, I64

MOTION, POSTURE, LOOKS = 0.3, 0.2, 0.5  # what each counts
STRANGERS = 0.2  # how unlike, of 1, the looks of two people usually are
MOST_COST = 0.42  # above it somebody is hardly the same ...
DOUBTFUL_COST = 0.7  # ... and from here on new
MARGIN = 0.05  # by which anybody else must be less like
MAYBE = -2
NEAR = 0.6  # body heights around the predicted place that are plausible at once ...
FARTHER = 1.2  # ... and so many more a second later
SIZES = 0.6  # a person's height may change to this share, or by its inverse
SLOW_S = 0.5  # people hidden go on as before for about so long


@dataclass(frozen=True, slots=True)
class Lost:
    """Somebody out of sight.

    Attributes:
        id: Theirs.
        box, speed: (4,) when last seen, pixels and pixels a second.
        shape: (K, 2) keypoints in body heights around the box's middle; NaN if never posed.
        looks: (D,) see `looks`.
        time_s: When last seen.
    """

    id: int
    box: F32
    speed: F32
    shape: F32
    looks: F32
    time_s: float


class Memory:
    """Remembers people for `seconds` and says who is back.

    Args:
        seconds: 0 remembers nobody.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lost: list[Lost] = []

    def __len__(self) -> int:
        return len(self._lost)

    def remember(self, people: list[Lost]) -> None:
        """Somebody is out of sight."""
        if self._seconds > 0:
            self._lost += people

    def back(self, boxes: F32, shapes: F32, looks: F32, time_s: float) -> I64:
        """Ids (N,) of those whom newcomers are; -1 for people never seen. Each is given once.

        `MAYBE` stands for somebody who may be known: a clearer sight will tell.

        Args:
            boxes, shapes, looks: (N, ...) of the newcomers, as in `Lost`.
            time_s: Now.
        """
        self._lost = [lost for lost in self._lost if time_s - lost.time_s <= self._seconds]
        ids = np.full(len(boxes), -1, np.int64)
        if not self._lost or not len(boxes):
            return ids
        cost = _costs(self._lost, boxes, shapes, looks, time_s)
        here, there = pair_off(cost)
        found = (cost[here, there] <= MOST_COST) & (_margin(cost, here, there) >= MARGIN)
        ids[cost.min(axis=1) <= DOUBTFUL_COST] = MAYBE
        ids[here[found]] = [self._lost[i].id for i in there[found]]
        known = set(there[found].tolist())
        self._lost = [lost for i, lost in enumerate(self._lost) if i not in known]
        return ids


def _margin(cost: F32, here: I64, there: I64) -> F32:
    """How much worse the next best of each newcomer chosen, and of each of the lost chosen, is."""
    others = cost.copy()
    others[here, there] = np.inf
    next_best = np.minimum(others.min(axis=1)[here], others.min(axis=0)[there])
    return np.asarray(next_best - cost[here, there], np.float32)


def _costs(lost: list[Lost], boxes: F32, shapes: F32, looks: F32, time_s: float) -> F32:
    """How unlike each newcomer (N) is each of the lost (M), in 0..1, or 9 where it cannot be."""
    old = np.stack([person.box for person in lost])
    gap = np.array([time_s - person.time_s for person in lost], np.float32)
    speed = np.stack([person.speed for person in lost])
    going = SLOW_S * (1 - np.exp(-gap / SLOW_S))  # people stop and turn: not on and on
    predicted = old + speed * going[:, None]
    middle, expected = (boxes[:, :2] + boxes[:, 2:]) / 2, (predicted[:, :2] + predicted[:, 2:]) / 2
    heights, before = boxes[:, 3] - boxes[:, 1], np.maximum(old[:, 3] - old[:, 1], 1)
    away = np.linalg.norm(middle[:, None] - expected[None], axis=2) / before
    reach = NEAR + FARTHER * gap
    ratio = heights[:, None] / before
    cannot = (away > reach) | (ratio < SIZES) | (ratio > 1 / SIZES)
    here, there = np.nonzero(~cannot)  # of a crowd, few: shapes are compared only where it matters
    apart = np.linalg.norm(shapes[here] - np.stack([p.shape for p in lost])[there], axis=2).mean(axis=1)
    posture = np.zeros_like(away)
    posture[here, there] = np.nan_to_num(1 - np.exp(-((apart / 0.1) ** 2)), nan=0.5)
    alike = looks @ np.stack([person.looks for person in lost]).T
    unlike = ((1 - alike) / STRANGERS).clip(0, 1)
    cost = MOTION * away / reach + POSTURE * posture + LOOKS * unlike
    return np.asarray(np.where(cannot, 9, cost), np.float32)
