"""Who is who from one look to the next."""

import itertools
from typing import Protocol

import numpy as np

from hrpose_rt.geometry import iou, pair_off
from hrpose_rt.tracking.appearance import unlike
from hrpose_rt.tracking.tracks import People
from hrpose_rt.types import F32, I64, NO_ID, Detections

# Log odds that a detection shows somebody, of `evidence`: fitted by `benchmarks/odds.py` to 48,000 pairs of
# composed scenes, of whom four in five were the same; no real film was among them.
W_OVERLAP, W_UNLIKE, ALWAYS = 12.28, -1.16, -8.11
SURE = 1.0  # log odds; who is less surely the same may be known again by `memory`
LEAST_IOU = 0.1  # of a detection and somebody's box, carried on from the last look, to be compared at all


class Tracker(Protocol):
    """Tells whom detections show."""

    def update(self, detections: Detections, looks: F32, time_s: float, people: People) -> I64:
        """Track numbers (N,) of the detections at `time_s`: those of the people they show, else new ones.

        Args:
            detections: In any order.
            looks: (N, D) of them.
            time_s: Of the frame.
            people: Those known so far, where they are now, as far as the pictures show.
        """


class FlowTracker:
    """Pairs detections off with the boxes that optical flow has carried on, by their overlap and looks.

    Because boxes are carried from picture to picture, the next detection falls where its person is, and
    no filter has to guess: that costs a few microseconds a person. Who walks in front of somebody takes
    the other's box along, but does not look like them.

    Args:
        fps, min_score: Of no account here.
    """

    def __init__(self, fps: float, min_score: float) -> None:
        self._next = itertools.count()

    def update(self, detections: Detections, looks: F32, time_s: float, people: People) -> I64:
        """See `Tracker.update`."""
        numbers = np.full(len(detections), NO_ID, np.int64)
        _continue(numbers, detections.boxes, looks, people)
        return _number_rest(numbers, self._next)


def evidence(boxes: F32, looks: F32, people: People) -> tuple[I64, I64, F32]:
    """Detections and people who overlap, two numbers each (P,), and (2, P) of each pair: IoU, `unlike`."""
    overlap = iou(boxes, people.box)
    here, there = np.nonzero(overlap >= LEAST_IOU)
    alike = np.einsum("pd,pd->p", looks[here], people.looks[there])
    return here, there, np.stack([overlap[here, there], unlike(alike)])


def _continue(numbers: I64, boxes: F32, looks: F32, people: People) -> None:
    """Detections (N, 4) without a number that show one of the people get their track's."""
    rest = np.flatnonzero(numbers == NO_ID)
    here, there, (overlap, apart) = evidence(boxes[rest], looks[rest], people)
    surely = np.zeros((len(rest), len(people.track)), np.float32)
    surely[here, there] = np.maximum(W_OVERLAP * overlap + W_UNLIKE * apart + ALWAYS - SURE, 0)
    here, there = pair_off(-surely)  # those who do not count are 0, or they would part those who do
    same = surely[here, there] > 0
    numbers[rest[here[same]]] = people.track[there[same]]


def _number_rest(numbers: I64, unused: "itertools.count[int]") -> I64:
    """Those without a number get one of their own."""
    for i in np.flatnonzero(numbers == NO_ID):
        numbers[i] = next(unused)
    return numbers
