"""Who is who."""

import numpy as np
import pytest

from hrpose_rt.people.tracking import TRACKERS, FlowTracker, Tracker
from hrpose_rt.types import Detections

FPS = 25.0
each = pytest.mark.parametrize("name", TRACKERS)


def crowd(frame: int, order: np.ndarray) -> Detections:
    """Six people who walk to the right, in any order."""
    x = 100.0 * order + 3 * frame
    boxes = np.stack([x, np.full(6, 50.0), x + 40, np.full(6, 150.0)], axis=1)
    return Detections.found(boxes.astype(np.float32), np.full(6, 0.9, np.float32))


def follow(tracker: Tracker, frames: int, seed: int = 0) -> dict[int, int]:
    """The track of each person, who must not change it."""
    rng, known = np.random.default_rng(seed), {}
    tracks, boxes = np.zeros(0, np.int64), np.zeros((0, 4), np.float32)
    for frame in range(frames):
        order = rng.permutation(6)
        found = crowd(frame, order)
        tracks, boxes = tracker.update(found, frame / FPS, tracks, boxes), found.boxes
        for person, number in zip(order.tolist(), tracks.tolist(), strict=True):
            assert known.setdefault(person, number) == number
    return known


@each
def test_tracks_follow_the_person_whatever_the_order(name: str) -> None:
    assert sorted(follow(TRACKERS[name](FPS, 0.3), 12).values()) == [0, 1, 2, 3, 4, 5]


@each
def test_two_trackers_share_nothing(name: str) -> None:
    for _ in range(2):
        assert sorted(follow(TRACKERS[name](FPS, 0.3), 3).values()) == [0, 1, 2, 3, 4, 5]


@each
def test_time_may_stand_still_or_jump(name: str) -> None:
    tracker, found = TRACKERS[name](FPS, 0.3), crowd(0, np.arange(6))
    tracks = np.zeros(0, np.int64)
    for time_s in (0.0, 0.0, 0.0, 7.0, 1.0):
        tracks = tracker.update(found, time_s, tracks, found.boxes[: len(tracks)])
        assert len(np.unique(tracks)) == 6


@each
def test_nobody(name: str) -> None:
    nobody = Detections.found(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    assert TRACKERS[name](FPS, 0.3).update(
        nobody, 0.0, np.array([3]), np.ones((1, 4), np.float32)
    ).shape == (0,)


def test_boxes_are_paired_off_so_that_all_overlap_most() -> None:
    boxes = np.array([[0, 0, 40, 100], [20, 0, 60, 100]], np.float32)  # where they were carried to
    found = Detections.found(boxes[::-1] + np.float32([10, 0, 10, 0]), np.full(2, 0.9, np.float32))
    numbers = FlowTracker(FPS, 0.3).update(found, 0.0, np.array([7, 4]), boxes)
    assert numbers.tolist() == [4, 7]  # the second overlaps both, the first only one of them


def test_who_overlaps_nobody_is_new() -> None:
    tracker, found = FlowTracker(FPS, 0.3), crowd(0, np.arange(6))
    assert tracker.update(found, 0.0, np.array([9]), found.boxes[:1] + 30).tolist() == [0, 1, 2, 3, 4, 5]
    near = tracker.update(found, 0.0, np.array([9]), found.boxes[:1] + 3)
    assert near.tolist() == [9, *range(6, 11)]


def test_pairs_that_overlap_too_little_do_not_part_those_that_do_not() -> None:
    boxes = np.array([[0, 0, 100, 100], [0, 62, 100, 162]], np.float32)
    found = Detections.found(
        np.array([[0, -38, 100, 62], [0, 0, 100, 62]], np.float32), np.full(2, 0.9, np.float32)
    )
    assert FlowTracker(FPS, 0.3).update(found, 0.0, np.array([7, 4]), boxes).tolist() == [0, 7]
