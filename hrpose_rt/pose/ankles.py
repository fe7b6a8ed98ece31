"""Both ankles on one foot: what small networks do, and how their own maps part them again.

Where a leg is half hidden, a network may answer for both ankles on the foot that it sees best; the two maps
then have the same two peaks, and both are highest on the same. Each ankle is given the peak nearer to its
own knee. Of the embedded network this is worth .01 AP; weights that tell feet apart by themselves, as the
published ones do, are read without it.
"""

from dataclasses import dataclass

import numpy as np

from hrpose_rt.skeleton import Skeleton
from hrpose_rt.types import F32, I64

SAME_FOOT_PX = 3  # heatmap pixels from one ankle's peak to the other's, to be on one foot
MIN_FOOT_GAP_PX = 5  # heatmap pixels from there to the other foot, at least
MIN_PEAK_RATIO = 0.5  # of the higher peak's height, at least, that the other foot's has


@dataclass(frozen=True, slots=True)
class Ankles:
    """The rows of a skeleton's joints that are told apart: left before right."""

    ankles: tuple[int, int]
    knees: tuple[int, int]

    @classmethod
    def of(cls, skeleton: Skeleton) -> "Ankles | None":
        """Those of a skeleton; None if it has no legs."""
        legs = [f"{side}_{joint}" for joint in ("ankle", "knee") for side in ("left", "right")]
        if not set(legs) <= set(skeleton.joints):
            return None
        left, right, left_knee, right_knee = map(skeleton.joints.index, legs)
        return cls((left, right), (left_knee, right_knee))

    def part(self, heatmaps: F32, x: I64, y: I64, scores: F32) -> None:
        """Move peaks, in place, of people both of whose ankles are on one foot.

        Args:
            heatmaps: (N, K, H, W).
            x, y, scores: (N, K) from `heatmaps.find_peaks`.
        """
        h, w = heatmaps.shape[2:]
        (a, b), (knee_a, knee_b) = self.ankles, self.knees
        near = np.flatnonzero(np.hypot(x[:, a] - x[:, b], y[:, a] - y[:, b]) <= SAME_FOOT_PX)
        both = (heatmaps[near, a] + heatmaps[near, b]).reshape(len(near), h * w)
        first = both.argmax(axis=1)
        x1, y1 = first % w, first // w
        columns, rows = np.arange(w), np.arange(h)[:, None]
        far = (columns - x1[:, None, None]) ** 2 + (rows - y1[:, None, None]) ** 2 > MIN_FOOT_GAP_PX**2
        rest = np.where(far.reshape(both.shape), both, -np.inf)
        second = rest.argmax(axis=1)
        every = np.arange(len(near))
        top = both[every, first]
        same_foot = (top > 0) & (rest[every, second] >= MIN_PEAK_RATIO * top)
        near, x1, y1, second = near[same_foot], x1[same_foot], y1[same_foot], second[same_foot]
        x2, y2 = second % w, second // w

        def reach(px: I64, py: I64, knee: int) -> F32:
            return np.asarray(np.hypot(px - x[near, knee], py - y[near, knee]))

        straight = reach(x1, y1, knee_a) + reach(x2, y2, knee_b)
        crossed = reach(x2, y2, knee_a) + reach(x1, y1, knee_b)
        own = straight <= crossed
        for ankle, takes_first in ((a, own), (b, ~own)):
            x[near, ankle], y[near, ankle] = np.where(takes_first, x1, x2), np.where(takes_first, y1, y2)
            scores[near, ankle] = heatmaps[near, ankle, y[near, ankle], x[near, ankle]]
