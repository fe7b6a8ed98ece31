"""Labels say what they should, and none covers another."""

import numpy as np
import pytest

from hrpose_rt.drawing.labels import GREY, ID_COLOURS, draw_labels, place_labels
from hrpose_rt.types import Detections


def places(boxes, width=30, height=10, frame_hw=(100, 200)) -> list[list[int]]:
    array = np.array(boxes, np.float32).reshape(-1, 4)
    return place_labels(array, np.full(len(array), width), height, frame_hw).tolist()


def test_label_is_above_its_box() -> None:
    assert places([[50, 40, 90, 80]]) == [[50, 30, 80, 40]]


def test_second_label_moves_to_the_right_then_inside_then_below_then_is_left_out() -> None:
    same = [[50, 40, 110, 80]] * 5
    assert places(same) == [
        [50, 30, 80, 40],  # above, left
        [80, 30, 110, 40],  # above, right
        [50, 40, 80, 50],  # inside
        [50, 80, 80, 90],  # below
        [0, 0, 0, 0],
    ]


def test_label_stays_inside_the_frame() -> None:
    assert places([[190, -5, 230, 50]]) == [[170, 0, 200, 10]]
    assert places([[-20, 95, 10, 130]]) == [[0, 85, 30, 95]]


def test_labels_of_a_crowd_never_overlap() -> None:
    corners = np.random.default_rng(0).uniform(0, (1200, 600), (200, 2))
    boxes = np.concatenate([corners, corners + np.array([40, 120])], axis=1).astype(np.float32)
    found = place_labels(boxes, np.full(200, 60), 14, (720, 1280))
    covered = np.zeros((720, 1280), int)
    shown = [place for place in found.tolist() if place[2]]
    for x1, y1, x2, y2 in shown:
        covered[y1:y2, x1:x2] += 1
    assert covered.max() == 1 and len(shown) > 100


def test_no_people_have_no_labels() -> None:
    assert places([]) == []


def drawn(parts, track_id=7, crowd=1) -> np.ndarray:
    """The colours of a label, and how wide it is."""
    image = np.zeros((400, 400, 3), np.uint8)
    boxes = np.repeat(np.array([[100, 100, 300, 300]], np.float32), crowd, axis=0)
    detections = Detections.found(boxes, np.full(crowd, 0.5, np.float32))
    draw_labels(image, detections, np.full(crowd, track_id), parts)
    return image


@pytest.mark.parametrize(
    ("parts", "track_id", "colour"),
    [
        (("id", "score"), 7, ID_COLOURS[7]),
        (("id",), 7, ID_COLOURS[7]),
        (("score",), 7, ID_COLOURS[7]),
        (("id", "score"), -1, GREY),
    ],
)
def test_label_fits_its_text(parts, track_id, colour) -> None:
    image = drawn(parts, track_id)
    label = np.flatnonzero((image == colour).all(axis=2).any(axis=0))
    text = np.flatnonzero((image.any(axis=2) & (image.max(axis=2) < 130)).any(axis=0))  # dark letters
    assert label[0] == 100 and 0 < text[0] - label[0] <= 5 and 0 <= label[-1] - text[-1] <= 8


def test_label_has_the_chosen_parts() -> None:
    both, score = drawn(("id", "score")), drawn(("score",))
    assert np.count_nonzero(both.any(axis=2)) > np.count_nonzero(score.any(axis=2)) > 0
    without_id = drawn(("id", "score"), -1)  # says the score alone
    assert ((without_id == GREY).all(axis=2) == (score == ID_COLOURS[7]).all(axis=2)).all()
    assert not drawn(("id",), -1).any() and not drawn(()).any()


def test_lowest_id_chooses_first() -> None:
    image = np.zeros((400, 400, 3), np.uint8)
    boxes = np.repeat(np.array([[100, 100, 300, 300]], np.float32), 3, axis=0)
    draw_labels(image, Detections.found(boxes, np.ones(3, np.float32)), np.array([-1, 5, 2]), ("id",))
    assert tuple(image[90, 101]) == ID_COLOURS[2]
    assert tuple(image[90, 299]) == ID_COLOURS[5]
