"""Who is who."""

import numpy as np

from hrpose_rt.people.tracking import ByteTracker
from hrpose_rt.types import Detections

FPS = 25.0


def crowd(frame: int, order: np.ndarray) -> Detections:
    """Six people who walk to the right, in any order."""
    x = 100.0 * order + 3 * frame
    boxes = np.stack([x, np.full(6, 50.0), x + 40, np.full(6, 150.0)], axis=1)
    return Detections.found(boxes.astype(np.float32), np.full(6, 0.9, np.float32))


def test_ids_follow_the_person_whatever_the_order() -> None:
    tracker, rng, known = ByteTracker(FPS, 0.3), np.random.default_rng(0), {}
    for frame in range(12):
        order = rng.permutation(6)
        ids = tracker.update(crowd(frame, order), frame / FPS)
        for person, i in zip(order.tolist(), ids.tolist(), strict=True):
            if i >= 0:
                assert known.setdefault(person, i) == i
    assert sorted(known.values()) == [0, 1, 2, 3, 4, 5]


def test_an_id_comes_with_the_second_sight() -> None:
    tracker = ByteTracker(FPS, 0.3)
    assert tracker.update(crowd(0, np.arange(6)), 0.0).tolist() == [-1] * 6
    assert (tracker.update(crowd(1, np.arange(6)), 0.04) >= 0).all()


def test_two_trackers_share_nothing() -> None:
    for _ in range(2):
        tracker = ByteTracker(FPS, 0.3)
        for frame in range(3):
            ids = tracker.update(crowd(frame, np.arange(6)), frame / FPS)
        assert sorted(ids.tolist()) == [0, 1, 2, 3, 4, 5]


def test_time_may_stand_still_or_jump() -> None:
    tracker = ByteTracker(FPS, 0.3)
    for time_s in (0.0, 0.0, 0.0, 7.0, 1.0):
        assert len(tracker.update(crowd(0, np.arange(6)), time_s)) == 6


def test_nobody() -> None:
    assert ByteTracker(FPS, 0.3).update(nobody(), 0.0).shape == (0,)


def nobody() -> Detections:
    return Detections.found(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
