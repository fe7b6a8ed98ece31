"""Separate two ankles that a small network puts on one foot.

If one leg is half hidden, a network may put both ankles on the foot that it sees better. The two maps then
have the same two peaks, and both are higher on the same foot. Each ankle gets the peak nearer to its own
knee. For the embedded network this adds .01 AP. Weights that tell the feet apart, such as the published
ones, are decoded without it.
"""

from dataclasses import dataclass

import numpy as np

from hrpose_rt.skeleton import Skeleton
from hrpose_rt.types import F32, I64

SAME_FOOT_PX = 3  # heatmap pixels; ankle peaks at most this far apart are on one foot
MIN_FOOT_GAP_PX = 5  # heatmap pixels; the other foot is farther away than this
MIN_PEAK_RATIO = 0.5  # the other foot's peak has at least this share of the higher peak


@dataclass(frozen=True, slots=True)
class Ankles:
    """Indices of the joints in a skeleton, left before right."""

    ankles: tuple[int, int]
    knees: tuple[int, int]

    @classmethod
    def of(cls, skeleton: Skeleton) -> "Ankles | None":
        """The indices in a skeleton; None if it has no legs."""
        legs = [f"{side}_{joint}" for joint in ("ankle", "knee") for side in ("left", "right")]
        if not set(legs) <= set(skeleton.joints):
            return None
        left, right, left_knee, right_knee = map(skeleton.joints.index, legs)
        return cls((left, right), (left_knee, right_knee))

    def part(self, heatmaps: F32, x: I64, y: I64, scores: F32) -> None:
        """Correct, in place, the peaks of people whose ankles are both on one foot.

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
