"""Who is who."""

import numpy as np
import pytest

from hrpose_rt.tracking.appearance import LENGTH
from hrpose_rt.tracking.association import ALWAYS, SURE, W_OVERLAP, W_UNLIKE, FlowTracker, Tracker
from hrpose_rt.tracking.library_trackers import TRACKERS
from hrpose_rt.tracking.tracks import People
from hrpose_rt.types import Detections

FPS = 25.0
each = pytest.mark.parametrize("name", TRACKERS)
RED, BLUE = np.eye(LENGTH, dtype=np.float32)[:2]
NOBODY = People.nobody(0, 17)


def dressed(n: int) -> np.ndarray:
    """Looks of people in the same clothes."""
    return np.tile(RED, (n, 1))


def known(tracks: list[int], boxes: np.ndarray, looks: np.ndarray | None = None) -> People:
    """People with these tracks, carried on to these boxes."""
    people = People.nobody(len(tracks), 17)
    people.track, people.box = np.array(tracks, np.int64), boxes
    people.looks = dressed(len(tracks)) if looks is None else looks
    return people


def update(tracker: Tracker, found: Detections, people: People, time_s: float = 0.0) -> list[int]:
    return tracker.update(found, dressed(len(found)), time_s, people).tolist()


def crowd(frame: int, order: np.ndarray) -> Detections:
    """Six people who walk to the right, in any order."""
    x = 100.0 * order + 3 * frame
    boxes = np.stack([x, np.full(6, 50.0), x + 40, np.full(6, 150.0)], axis=1)
    return Detections.found(boxes.astype(np.float32), np.full(6, 0.9, np.float32))


def follow(tracker: Tracker, frames: int, seed: int = 0) -> dict[int, int]:
    """The track of each person, who must not change it."""
    rng, track_of, people = np.random.default_rng(seed), {}, NOBODY
    for frame in range(frames):
        order = rng.permutation(6)
        found = crowd(frame, order)
        tracks = update(tracker, found, people, frame / FPS)
        people = known(tracks, found.boxes)
        for person, number in zip(order.tolist(), tracks, strict=True):
            assert track_of.setdefault(person, number) == number
    return track_of


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
    tracks: list[int] = []
    for time_s in (0.0, 0.0, 0.0, 7.0, 1.0):
        tracks = update(tracker, found, known(tracks, found.boxes[: len(tracks)]), time_s)
        assert len(set(tracks)) == 6


@each
def test_nobody(name: str) -> None:
    nobody = Detections.found(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    assert update(TRACKERS[name](FPS, 0.3), nobody, known([3], np.ones((1, 4), np.float32))) == []


def test_boxes_are_paired_off_so_that_all_overlap_most() -> None:
    boxes = np.array([[0, 0, 40, 100], [20, 0, 60, 100]], np.float32)  # where they were carried to
    found = Detections.found(boxes[::-1] + np.float32([10, 0, 10, 0]), np.full(2, 0.9, np.float32))
    # The second overlaps both, the first only one of them.
    assert update(FlowTracker(FPS, 0.3), found, known([7, 4], boxes)) == [4, 7]


def test_who_overlaps_nobody_is_new() -> None:
    tracker, found = FlowTracker(FPS, 0.3), crowd(0, np.arange(6))
    assert update(tracker, found, known([9], found.boxes[:1] + 30)) == [0, 1, 2, 3, 4, 5]
    assert update(tracker, found, known([9], found.boxes[:1] + 3)) == [9, *range(6, 11)]


def test_pairs_that_do_not_count_do_not_part_those_that_do() -> None:
    boxes = np.array([[0, 0, 40, 100], [200, 0, 240, 100]], np.float32)
    found = Detections.found(
        np.array([[12, 0, 52, 100], [230, 0, 270, 100]], np.float32), np.full(2, 0.9, np.float32)
    )
    # The second is of nobody, and speaks so much against being anybody that both crosswise would be better.
    assert update(FlowTracker(FPS, 0.3), found, known([7, 4], boxes)) == [7, 0]


def test_who_takes_somebodys_place_is_told_by_looks() -> None:
    found = Detections.found(np.array([[10, 0, 50, 100]], np.float32), np.full(1, 0.9, np.float32))
    place = np.array([[0, 0, 40, 100]], np.float32)  # three fifths of what both cover
    assert update(FlowTracker(FPS, 0.3), found, known([7], place, RED[None])) == [7]
    assert update(FlowTracker(FPS, 0.3), found, known([7], place, BLUE[None])) == [0]


def test_the_odds_are_as_by_hand() -> None:
    def surely(overlap: float) -> float:
        return W_OVERLAP * overlap + W_UNLIKE * np.log(0.05) + ALWAYS - SURE  # dressed the same

    found = Detections.found(np.array([[0, 0, 40, 100]], np.float32), np.full(1, 0.9, np.float32))
    for aside in (5, 10, 15, 20, 25, 30):
        people = known([7], found.boxes + np.float32([aside, 0, aside, 0]))
        same = surely((40 - aside) / (40 + aside)) > 0
        assert update(FlowTracker(FPS, 0.3), found, people) == [7 if same else 0]
