"""Everybody who is followed: found, predicted, posed, told apart."""

import time

import cv2
import numpy as np
import pytest

from hrpose_rt.skeleton import COCO17
from hrpose_rt.tracking.library_trackers import TRACKERS
from hrpose_rt.tracking.person_tracker import Crowd
from hrpose_rt.tracking.reid import Memory
from hrpose_rt.types import Detections, Origin, Poses

FPS = 25.0
HW = (720, 1280)
IMAGE = np.random.default_rng(0).integers(0, 256, (*HW, 3), np.uint8)


CLOTHES = np.random.default_rng(1).integers(0, 256, (12, 100, 40, 3), np.uint8)


def crowd(tracker: str = "flow", **options) -> Crowd:
    return Crowd(TRACKERS[tracker](FPS, 0.3), COCO17, Memory(2.0), **options)


def walkers(t: float, n: int = 3) -> Detections:
    """People 40 x 100 pixels who walk to the right at 100 pixels a second."""
    x = 150.0 * np.arange(n) + 100 * t
    boxes = np.stack([x, np.full(n, 50.0), x + 40, np.full(n, 150.0)], axis=1).astype(np.float32)
    return Detections.found(boxes, np.full(n, 0.9, np.float32))


def picture(t: float, n: int = 3) -> np.ndarray:
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


def follow(people: Crowd, frames: range, look_every: int = 1, n: int = 3) -> None:
    for i in frames:
        t = i / FPS
        people.advance(picture(t, n), t)
        if i % look_every == 0:
            people.detected(walkers(t, n), picture(t, n))
            people.posed(np.arange(len(people)), poses_in(people.boxes))
        else:
            people.undetected()
        people.identify()


def test_between_looks_boxes_and_joints_go_where_the_pictures_show() -> None:
    people = crowd()
    follow(people, range(9), look_every=5)  # seen twice, and three frames without a look
    t = 8 / FPS
    assert np.abs(people.boxes - walkers(t).boxes).max() < 1
    poses = people.poses()
    assert np.abs(poses.keypoints - poses_in(walkers(t).boxes).keypoints).max() < 2
    assert not poses.fresh.any() and (poses.age == 3).all()
    assert (people.detections().origin == Origin.TRACKED).all()


@pytest.mark.parametrize("tracker", TRACKERS)
def test_ids_come_with_the_second_look_and_are_kept(tracker: str) -> None:
    people = crowd(tracker)
    follow(people, range(1))
    assert people.ids.tolist() == [-1, -1, -1]
    for last in (2, 8):
        follow(people, range(1, last))
        assert people.ids.tolist() == [0, 1, 2]


def test_people_who_stop_are_not_carried_past() -> None:
    people = crowd()
    follow(people, range(6))
    stopped = picture(5 / FPS)
    for i in range(6, 12):
        people.advance(stopped, i / FPS)
        people.undetected()
    assert np.abs(people.boxes - walkers(5 / FPS).boxes).max() < 1


def test_a_prediction_never_confirms_itself() -> None:
    people = crowd(max_age_s=0.5)
    follow(people, range(10))
    ended = None
    for i in range(10, 40):
        people.advance(picture(9 / FPS), i / FPS)
        people.undetected()
        people.posed(np.arange(len(people)), poses_in(people.boxes))  # however sure the poses are
        if not len(people) and ended is None:
            ended = i
    assert ended is not None and (ended - 9) / FPS == pytest.approx(0.54, abs=0.05)


def test_whom_a_look_could_not_have_found_stays() -> None:
    people = crowd()
    follow(people, range(6))
    t = 6 / FPS
    people.advance(picture(t), t)
    people.detected(walkers(t, 1), IMAGE, looked=np.array([True, True, False]))
    assert len(people) == 2  # the second was looked for and is gone
    assert people.detections().origin.tolist() == [Origin.DETECTED, Origin.TRACKED]


def test_somebody_hidden_gets_the_id_back() -> None:
    people = crowd()
    image = IMAGE.copy()
    for i, colour in enumerate([(30, 30, 220), (220, 60, 30), (40, 200, 40)]):
        image[50:150, 150 * i : 150 * i + 120] = colour
    ids = {}
    for i in [*range(8), *range(20, 50)]:
        t = i / FPS
        people.advance(image, t)
        people.detected(walkers(0.0, 3), image)
        people.posed(np.arange(3), poses_in(people.boxes))
        people.identify()
        ids[i] = people.ids.tolist()
        if i == 7:
            people.advance(image, 8 / FPS)
            people.detected(walkers(0.0, 0), image)
            assert len(people) == 0
    assert ids[7] == ids[49] == [0, 1, 2]


def test_two_rows_on_one_person_become_one() -> None:
    people = crowd()
    follow(people, range(6))
    t = 6 / FPS
    found = walkers(t)
    boxes = np.concatenate([found.boxes, found.boxes[:1] + 4])
    people.advance(picture(t), t)
    people.detected(Detections.found(boxes, np.full(4, 0.9, np.float32)), IMAGE)
    people.posed(np.arange(4), poses_in(boxes[[0, 1, 2, 0]]))
    people.identify()
    people.part_doubles()
    assert len(people) == 3 and 0 in people.ids.tolist()


def test_somebody_never_posed_has_a_box_and_no_pose() -> None:
    people = crowd()
    people.advance(IMAGE, 0.0)
    people.detected(walkers(0.0), IMAGE)
    poses = people.poses()
    assert (poses.age == -1).all() and not poses.fresh.any()


@pytest.mark.parametrize("tracker", TRACKERS)
def test_anything_may_come(tracker: str) -> None:
    people = crowd(tracker)
    rng = np.random.default_rng(0)
    spent, seen = 0.0, 0
    for i, n in enumerate([0, 1, 500, 0, 500, 500, 3, 1, 0, 500] * 3):
        low = rng.uniform(0, 1000, (n, 2))
        boxes = np.concatenate([low, low + rng.uniform(20, 200, (n, 2))], axis=1).astype(np.float32)
        boxes[: n // 50] = np.nan
        boxes[n // 50 : n // 25] = boxes[n // 25 : n // 25 + 1]  # the same again and again
        image = IMAGE if i % 7 else IMAGE[:360, ::-1]  # another scene, of another size
        begin = time.process_time()
        people.advance(image, i / FPS)
        people.detected(Detections.found(boxes, rng.uniform(0.3, 1, n).astype(np.float32)), image)
        people.posed(np.arange(len(people)), poses_in(people.boxes))
        people.identify()
        people.part_doubles()
        assert len(np.unique(people.ids[people.ids >= 0])) == (people.ids >= 0).sum()
        people.advance(image, i / FPS + 0.01)
        people.undetected()
        assert np.isfinite(people.poses().keypoints).all()
        spent, seen = spent + time.process_time() - begin, seen + n
    assert len(people.memory) <= 500 * 30
    print(f"{1e3 * spent / seen:.3f} ms a person")


def test_what_was_given_out_stays_as_it_was() -> None:
    people = crowd()
    follow(people, range(4))
    given = people.detections(), people.poses()
    copies = [given[0].boxes.copy(), given[0].origin.copy(), given[1].keypoints.copy(), given[1].age.copy()]
    follow(people, range(4, 7), look_every=5)
    for array, copy in zip(
        [given[0].boxes, given[0].origin, given[1].keypoints, given[1].age], copies, strict=True
    ):
        assert np.array_equal(array, copy)


def test_a_frame_from_before_begins_another_film() -> None:
    people = crowd()
    follow(people, range(20, 26))
    follow(people, range(3))
    assert people.ids.tolist() == [3, 4, 5] and len(people.memory) == 0


def test_where_the_pictures_tell_nothing_people_go_on_as_before() -> None:
    people, dark = crowd(), np.zeros_like(IMAGE)
    for i in range(8):
        people.advance(dark, i / FPS)
        people.detected(walkers(i / FPS), dark)
    people.advance(dark, 8 / FPS)
    assert np.abs(people.boxes - walkers(8 / FPS).boxes).max() < 1


def test_who_leaves_the_frame_is_gone() -> None:
    people = crowd()
    follow(people, range(4))
    people.advance(picture(0)[:, :60], 4 / FPS)  # the picture is narrower now: two of three are outside
    assert len(people) == 1 and people.boxes[:, 2].max() <= 60
