"""Regions: what is given, who is inside, and what is drawn."""

import json

import cv2
import numpy as np
import pytest

from hrpose_rt.detection.region import RegionDetector, RegionFilter
from hrpose_rt.errors import BadInput
from hrpose_rt.regions import Region
from hrpose_rt.timing import StageClock
from hrpose_rt.types import Detections

FRAME = np.zeros((100, 200, 3), np.uint8)


class ThreePeople:
    """Finds people whose feet are at x = 20, 100 and 180, at the lower edge of the frame."""

    def detect(self, image, clock, tiles=()):
        boxes = np.array([[x - 10, 20, x + 10, 100] for x in (20, 100, 180)], np.float32)
        return Detections.found(boxes, np.array([0.5, 0.9, 0.7], np.float32))


def found_in(region=None, ignored=None, max_people=0) -> list[float]:
    given = [Region.parse(text) if text else None for text in (region, ignored)]
    detections = RegionDetector(ThreePeople(), RegionFilter(*given, max_people)).detect(FRAME, StageClock())
    return detections.boxes[:, [0, 2]].mean(axis=1).tolist()


def test_rectangle_keeps_people_with_their_feet_in_it() -> None:
    assert found_in("90,50,200,100") == [100, 180]
    assert found_in("0,0,200,60") == []  # their feet are below, though their heads are inside


def test_ignored_region_leaves_out_its_people_and_most_are_counted_after_that() -> None:
    assert found_in(None, "90,50,110,100") == [20, 180]
    assert found_in("0,0,150,100", "0,0,50,100") == [100]
    assert found_in(None, "0,0,50,100", max_people=1) == [100]


@pytest.mark.parametrize(
    "content",
    [
        [[60, 0], [140, 0], [140, 100], [60, 100]],
        [[[60, 0], [140, 0], [100, 100]], [[0, 0], [5, 0], [0, 5]]],
    ],
)
def test_json_file_has_one_polygon_or_several(content, tmp_path) -> None:
    path = tmp_path / "part.json"
    path.write_text(json.dumps(content))
    assert found_in(str(path)) == [100]


def test_mask_is_stretched_to_the_frame(tmp_path) -> None:
    path = tmp_path / "part.png"
    cv2.imwrite(str(path), np.array([[0, 0], [255, 0]], np.uint8))
    assert found_in(str(path)) == [20]
    region = Region.parse(str(path))
    assert region.mask_of((100, 200)).sum() == 50 * 100
    (outline,) = region.outlines((100, 200))
    assert outline.min(axis=0).tolist() == [0, 50] and outline.max(axis=0).tolist() == [99, 99]


def test_region_follows_the_size_of_the_frame() -> None:
    detector = RegionDetector(ThreePeople(), RegionFilter(Region.parse("90,50,110,100"), None))
    for height in (100, 120, 100):
        frame = np.zeros((height, 200, 3), np.uint8)
        assert len(detector.detect(frame, StageClock())) == 1


@pytest.mark.parametrize(
    ("text", "content", "words"),
    [
        ("1,2,3", None, "1,2,3 is no region: give x1,y1,x2,y2 in pixels, or a .json file with a polygon"),
        ("9,0,3,4", None, "9,0,3,4 is no region: give x1,y1,x2,y2 with x1 < x2"),
        ("0,0,nan,4", None, "is no region: give x1,y1,x2,y2 with x1 < x2"),
        ("part.json", b"[[1, 2], [3, 4]]", "part.json holds no polygon .a polygon has three corners"),
        ("part.json", b"[[1, 2], [3, 4", "part.json holds no polygon .it is no JSON"),
        ("[[1, 2], " * 99, None, "is no region: give x1,y1,x2,y2 in pixels, or a .json file"),
        ("caf\udce9.png", b"no image", "has a name that is no UTF-8: rename it"),  # OpenCV would crash
        ("part.png", b"no image", "part.png is no image: give an image that is black outside"),
    ],
)
def test_messages_name_what_is_no_region(text, content, words, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    if content:
        (tmp_path / text).write_bytes(content)
    with pytest.raises(BadInput, match=words):
        Region.parse(text)


def test_black_mask_is_refused(tmp_path) -> None:
    cv2.imwrite(str(tmp_path / "part.png"), np.zeros((4, 4), np.uint8))
    with pytest.raises(BadInput, match=r"part\.png is black everywhere"):
        Region.parse(str(tmp_path / "part.png"))
