"""Tracks from frame to frame: predicted, updated, finished."""

import time

import cv2
import numpy as np
import pytest

from hrpose_rt.skeleton import COCO17
from hrpose_rt.tracking.library_trackers import ASSOCIATORS
from hrpose_rt.tracking.person_tracker import PersonTracker
from hrpose_rt.tracking.reid import LostTracks
from hrpose_rt.types import Detections, Origin, Poses, TrackedPeople

FPS = 25.0
HW = (720, 1280)
IMAGE = np.random.default_rng(0).integers(0, 256, (*HW, 3), np.uint8)


CLOTHES = np.random.default_rng(1).integers(0, 256, (12, 100, 40, 3), np.uint8)


def person_tracker(name: str = "flow", **options) -> PersonTracker:
    return PersonTracker(ASSOCIATORS[name](FPS, 0.3), COCO17, LostTracks(2.0), **options)


def walkers(t: float, n: int = 3) -> Detections:
    """People 40 x 100 pixels who walk to the right at 100 pixels a second."""
    x = 150.0 * np.arange(n) + 100 * t
    boxes = np.stack([x, np.full(n, 50.0), x + 40, np.full(n, 150.0)], axis=1).astype(np.float32)
    return Detections.found(boxes, np.full(n, 0.9, np.float32))


def frame_at(t: float, n: int = 3) -> np.ndarray:
    """What the walkers look like: each in clothes of their own."""
    image = cv2.GaussianBlur(IMAGE, (0, 0), 3)
    for i, (x1, y1, x2, y2) in enumerate(walkers(t, n).boxes.round().astype(int)):
        image[y1:y2, x1:x2] = cv2.GaussianBlur(CLOTHES[i], (0, 0), 2)
    return image


def poses_in(boxes: np.ndarray) -> Poses:
    """Joints down the middle of each box."""
    down = np.linspace(0.1, 0.9, 17)
    x = boxes[:, None, [0, 2]].mean(axis=2).repeat(17, axis=1)
    y = boxes[:, 1:2] + (boxes[:, 3:4] - boxes[:, 1:2]) * down
    return Poses.estimated(
        np.stack([x, y], axis=2).astype(np.float32), np.full((len(boxes), 17), 0.8, np.float32)
    )


def propagated(tracker: PersonTracker) -> TrackedPeople:
    """The people of a frame on which no pose is estimated."""
    return tracker.finish(np.arange(0), poses_in(np.zeros((0, 4), np.float32)))


def track(tracker: PersonTracker, frames: range, detect_every: int = 1, n: int = 3) -> TrackedPeople:
    for i in frames:
        t = i / FPS
        tracker.predict(frame_at(t, n), t)
        if i % detect_every == 0:
            tracker.update(walkers(t, n))
            people = tracker.finish(np.arange(len(tracker)), poses_in(tracker.boxes))
        else:
            tracker.update(None)
            people = propagated(tracker)
    return people


def test_flow_moves_boxes_and_joints_between_detections() -> None:
    tracker = person_tracker()
    people = track(tracker, range(9), detect_every=5)  # two detections, then three frames without one
    t = 8 / FPS
    assert np.abs(tracker.boxes - walkers(t).boxes).max() < 1
    poses = people.poses
    assert np.abs(poses.keypoints - poses_in(walkers(t).boxes).keypoints).max() < 2
    assert not poses.fresh.any() and (poses.age == 3).all()
    assert (people.detections.origin == Origin.TRACKED).all()


@pytest.mark.parametrize("name", ASSOCIATORS)
def test_track_ids_start_at_second_detection_and_are_kept(name: str) -> None:
    tracker = person_tracker(name)
    track(tracker, range(1))
    assert tracker.track_ids.tolist() == [-1, -1, -1]
    for last in (2, 8):
        track(tracker, range(1, last))
        assert tracker.track_ids.tolist() == [0, 1, 2]


def test_flow_stops_boxes_when_people_stop() -> None:
    tracker = person_tracker()
    track(tracker, range(6))
    stopped = frame_at(5 / FPS)
    for i in range(6, 12):
        tracker.predict(stopped, i / FPS)
        tracker.update(None)
    assert np.abs(tracker.boxes - walkers(5 / FPS).boxes).max() < 1


def test_track_without_detection_ends_after_max_age() -> None:
    tracker = person_tracker(max_age_s=0.5)
    track(tracker, range(10))
    ended = None
    for i in range(10, 40):
        tracker.predict(frame_at(9 / FPS), i / FPS)
        tracker.update(None)
        tracker.finish(np.arange(len(tracker)), poses_in(tracker.boxes))  # however high the scores are
        if not len(tracker) and ended is None:
            ended = i
    assert ended is not None and (ended - 9) / FPS == pytest.approx(0.54, abs=0.05)


def test_track_not_searched_by_detector_is_kept() -> None:
    tracker = person_tracker()
    track(tracker, range(6))
    t = 6 / FPS
    tracker.predict(frame_at(t), t)
    tracker.update(walkers(t, 1), searched=np.array([True, True, False]))
    assert len(tracker) == 2  # the second was looked for and is gone
    assert propagated(tracker).detections.origin.tolist() == [Origin.DETECTED, Origin.TRACKED]


def test_reid_returns_old_id_after_occlusion() -> None:
    tracker = person_tracker()
    image = IMAGE.copy()
    for i, colour in enumerate([(30, 30, 220), (220, 60, 30), (40, 200, 40)]):
        image[50:150, 150 * i : 150 * i + 120] = colour
    ids = {}
    for i in [*range(8), *range(20, 50)]:
        t = i / FPS
        tracker.predict(image, t)
        tracker.update(walkers(0.0, 3))
        tracker.finish(np.arange(3), poses_in(tracker.boxes))
        ids[i] = tracker.track_ids.tolist()
        if i == 7:
            tracker.predict(image, 8 / FPS)
            tracker.update(walkers(0.0, 0))
            assert len(tracker) == 0
    assert ids[7] == ids[49] == [0, 1, 2]


def test_track_duplicate_on_one_person_is_removed_by_iou_and_oks() -> None:
    tracker = person_tracker()
    track(tracker, range(6))
    t = 6 / FPS
    detections = walkers(t)
    boxes = np.concatenate([detections.boxes, detections.boxes[:1] + 4])
    tracker.predict(frame_at(t), t)
    tracker.update(Detections.found(boxes, np.full(4, 0.9, np.float32)))
    tracker.finish(np.arange(4), poses_in(boxes[[0, 1, 2, 0]]))
    assert len(tracker) == 3 and 0 in tracker.track_ids.tolist()


def test_track_never_posed_has_pose_age_minus_one() -> None:
    tracker = person_tracker()
    tracker.predict(IMAGE, 0.0)
    tracker.update(walkers(0.0))
    poses = propagated(tracker).poses
    assert (poses.age == -1).all() and not poses.fresh.any()


@pytest.mark.parametrize("name", ASSOCIATORS)
def test_track_ids_stay_unique_with_random_nan_and_duplicate_boxes(name: str) -> None:
    tracker = person_tracker(name)
    rng = np.random.default_rng(0)
    spent, seen = 0.0, 0
    for i, n in enumerate([0, 1, 500, 0, 500, 500, 3, 1, 0, 500] * 3):
        low = rng.uniform(0, 1000, (n, 2))
        boxes = np.concatenate([low, low + rng.uniform(20, 200, (n, 2))], axis=1).astype(np.float32)
        boxes[: n // 50] = np.nan
        boxes[n // 50 : n // 25] = boxes[n // 25 : n // 25 + 1]  # the same again and again
        image = IMAGE if i % 7 else IMAGE[:360, ::-1]  # another scene, of another size
        begin = time.process_time()
        tracker.predict(image, i / FPS)
        tracker.update(Detections.found(boxes, rng.uniform(0.3, 1, n).astype(np.float32)))
        tracker.finish(np.arange(len(tracker)), poses_in(tracker.boxes))
        assert len(np.unique(tracker.track_ids[tracker.track_ids >= 0])) == (tracker.track_ids >= 0).sum()
        tracker.predict(image, i / FPS + 0.01)
        tracker.update(None)
        assert np.isfinite(propagated(tracker).poses.keypoints).all()
        spent, seen = spent + time.process_time() - begin, seen + n
    assert len(tracker.lost) <= 500 * 30
    print(f"{1e3 * spent / seen:.3f} ms a person")


def test_tracked_people_are_not_changed_by_later_frames() -> None:
    tracker = person_tracker()
    track(tracker, range(4))
    given = propagated(tracker)
    arrays = given.detections.boxes, given.detections.origin, given.poses.keypoints, given.poses.age
    copies = [array.copy() for array in arrays]
    track(tracker, range(4, 7), detect_every=5)
    for array, copy in zip(arrays, copies, strict=True):
        assert np.array_equal(array, copy)


def test_tracker_resets_when_time_goes_backwards() -> None:
    tracker = person_tracker()
    track(tracker, range(20, 26))
    track(tracker, range(3))
    assert tracker.track_ids.tolist() == [3, 4, 5] and len(tracker.lost) == 0


def test_flow_without_texture_continues_at_last_velocity() -> None:
    tracker, dark = person_tracker(), np.zeros_like(IMAGE)
    for i in range(8):
        tracker.predict(dark, i / FPS)
        tracker.update(walkers(i / FPS))
    tracker.predict(dark, 8 / FPS)
    assert np.abs(tracker.boxes - walkers(8 / FPS).boxes).max() < 1


def test_track_outside_frame_is_removed() -> None:
    tracker = person_tracker()
    track(tracker, range(4))
    tracker.predict(frame_at(0)[:, :60], 4 / FPS)  # the frame is narrower now: two of three are outside
    assert len(tracker) == 1 and tracker.boxes[:, 2].max() <= 60
