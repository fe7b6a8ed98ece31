"""Who is who."""

import numpy as np
import pytest

from hrpose_rt.config import Settings
from hrpose_rt.errors import RuntimeMissing
from hrpose_rt.pipeline import PosePipeline
from hrpose_rt.tracking.appearance import DESCRIPTOR_SIZE
from hrpose_rt.tracking.association import (
    MATCH_INTERCEPT,
    MATCH_MIN_LOG_ODDS,
    MATCH_W_APPEARANCE,
    MATCH_W_IOU,
    Associator,
    FlowAssociator,
)
from hrpose_rt.tracking.library_trackers import ASSOCIATORS, check_installed
from hrpose_rt.tracking.tracks import Tracks
from hrpose_rt.types import Detections

FPS = 25.0
each = pytest.mark.parametrize("name", ASSOCIATORS)
RED, BLUE = np.eye(DESCRIPTOR_SIZE, dtype=np.float32)[:2]
NO_TRACKS = Tracks.empty(0, 17)


def dressed(n: int) -> np.ndarray:
    """Appearance of people in the same clothes."""
    return np.tile(RED, (n, 1))


def known(numbers: list[int], boxes: np.ndarray, appearance: np.ndarray | None = None) -> Tracks:
    """Tracks with these numbers, propagated to these boxes."""
    tracks = Tracks.empty(len(numbers), 17)
    tracks.track_number, tracks.box = np.array(numbers, np.int64), boxes
    tracks.appearance = dressed(len(numbers)) if appearance is None else appearance
    return tracks


def match(associator: Associator, detections: Detections, tracks: Tracks, time_s: float = 0.0) -> list[int]:
    return associator.match(detections, dressed(len(detections)), time_s, tracks).tolist()


def walkers(frame: int, order: np.ndarray) -> Detections:
    """Six people who walk to the right, in any order."""
    x = 100.0 * order + 3 * frame
    boxes = np.stack([x, np.full(6, 50.0), x + 40, np.full(6, 150.0)], axis=1)
    return Detections.found(boxes.astype(np.float32), np.full(6, 0.9, np.float32))


def track_all(associator: Associator, frames: int, seed: int = 0) -> dict[int, int]:
    """The track of each person, who must not change it."""
    rng, track_of, tracks = np.random.default_rng(seed), {}, NO_TRACKS
    for frame in range(frames):
        order = rng.permutation(6)
        detections = walkers(frame, order)
        numbers = match(associator, detections, tracks, frame / FPS)
        tracks = known(numbers, detections.boxes)
        for person, number in zip(order.tolist(), numbers, strict=True):
            assert track_of.setdefault(person, number) == number
    return track_of


@each
def test_association_is_independent_of_detection_order(name: str) -> None:
    assert sorted(track_all(ASSOCIATORS[name](FPS, 0.3), 12).values()) == [0, 1, 2, 3, 4, 5]


@each
def test_association_state_is_not_shared_between_trackers(name: str) -> None:
    for _ in range(2):
        assert sorted(track_all(ASSOCIATORS[name](FPS, 0.3), 3).values()) == [0, 1, 2, 3, 4, 5]


@each
def test_association_accepts_repeated_and_jumping_timestamps(name: str) -> None:
    associator, detections = ASSOCIATORS[name](FPS, 0.3), walkers(0, np.arange(6))
    numbers: list[int] = []
    for time_s in (0.0, 0.0, 0.0, 7.0, 1.0):
        tracks = known(numbers, detections.boxes[: len(numbers)])
        numbers = match(associator, detections, tracks, time_s)
        assert len(set(numbers)) == 6


@each
def test_association_without_detections_is_empty(name: str) -> None:
    empty = Detections.found(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    assert match(ASSOCIATORS[name](FPS, 0.3), empty, known([3], np.ones((1, 4), np.float32))) == []


def test_flow_association_maximises_total_iou() -> None:
    boxes = np.array([[0, 0, 40, 100], [20, 0, 60, 100]], np.float32)  # where they were carried to
    detections = Detections.found(boxes[::-1] + np.float32([10, 0, 10, 0]), np.full(2, 0.9, np.float32))
    # The second overlaps both, the first only one of them.
    assert match(FlowAssociator(FPS, 0.3), detections, known([7, 4], boxes)) == [4, 7]


def test_flow_association_low_iou_starts_new_track() -> None:
    associator, detections = FlowAssociator(FPS, 0.3), walkers(0, np.arange(6))
    assert match(associator, detections, known([9], detections.boxes[:1] + 30)) == [0, 1, 2, 3, 4, 5]
    assert match(associator, detections, known([9], detections.boxes[:1] + 3)) == [9, *range(6, 11)]


def test_flow_association_unlikely_pair_does_not_break_good_match() -> None:
    boxes = np.array([[0, 0, 40, 100], [200, 0, 240, 100]], np.float32)
    detections = Detections.found(
        np.array([[12, 0, 52, 100], [230, 0, 270, 100]], np.float32), np.full(2, 0.9, np.float32)
    )
    # The second is of nobody, and speaks so much against being anybody that both crosswise would be better.
    assert match(FlowAssociator(FPS, 0.3), detections, known([7, 4], boxes)) == [7, 0]


def test_flow_association_rejects_overlap_with_other_appearance() -> None:
    detections = Detections.found(np.array([[10, 0, 50, 100]], np.float32), np.full(1, 0.9, np.float32))
    box = np.array([[0, 0, 40, 100]], np.float32)  # three fifths of what both cover
    assert match(FlowAssociator(FPS, 0.3), detections, known([7], box, RED[None])) == [7]
    assert match(FlowAssociator(FPS, 0.3), detections, known([7], box, BLUE[None])) == [0]


def test_flow_association_matches_iou_above_log_odds_threshold() -> None:
    def margin(overlap: float) -> float:
        return (
            MATCH_W_IOU * overlap + MATCH_W_APPEARANCE * np.log(0.05) + MATCH_INTERCEPT - MATCH_MIN_LOG_ODDS
        )  # dressed the same

    detections = Detections.found(np.array([[0, 0, 40, 100]], np.float32), np.full(1, 0.9, np.float32))
    for aside in (5, 10, 15, 20, 25, 30):
        tracks = known([7], detections.boxes + np.float32([aside, 0, aside, 0]))
        same = margin((40 - aside) / (40 + aside)) > 0
        assert match(FlowAssociator(FPS, 0.3), detections, tracks) == [7 if same else 0]


@each
def test_tracker_without_its_library_names_what_to_install(name: str, monkeypatch) -> None:
    check_installed(name)
    monkeypatch.setattr("hrpose_rt.tracking.library_trackers.find_spec", lambda library: None)
    if name == "flow":
        check_installed(name)
        return
    words = f"`tracker` {name} needs trackers: pip install .*tracking"
    with pytest.raises(RuntimeMissing, match=words):
        check_installed(name)
    with pytest.raises(RuntimeMissing, match=words):
        PosePipeline(Settings(tracker=name))
