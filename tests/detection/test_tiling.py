"""Tiles of a frame, and the boxes found in them."""

import numpy as np
import pytest

from hrpose_rt.config import parse_tiles
from hrpose_rt.detection.tiling import Tiling, grid, merge_tiles, not_cut
from hrpose_rt.detection.yolo import DetectionFilter, YoloDetector
from hrpose_rt.errors import BadInput
from hrpose_rt.timing import StageClock
from tests.fakes import FakeRuntime


def boxes(*rows: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


def test_tile_grid_covers_frame_and_overlaps() -> None:
    regions = grid((720, 1280), 2, 3)
    covered = np.zeros((720, 1280), np.uint8)
    for x1, y1, x2, y2 in regions:
        assert 0 <= x1 < x2 <= 1280 and 0 <= y1 < y2 <= 720
        covered[y1:y2, x1:x2] += 1
    assert covered.min() == 1 and covered.max() == 4


def test_tile_box_cut_by_inner_edge_is_dropped() -> None:
    region = (0, 0, 400, 720)
    detections = boxes((0, 10, 50, 100), (380, 10, 400, 100), (300, 10, 350, 719.5))
    assert not_cut(detections, region, (720, 1280)).tolist() == [True, False, True]


def test_tile_merge_removes_duplicates_across_seams() -> None:
    two = (10, 10, 50, 110), (11, 10, 51, 112)
    detections = boxes(*two, (10, 10, 50, 60), (12, 12, 48, 58), (200, 0, 220, 50))
    scores = np.array([0.9, 0.8, 0.7, 0.65, 0.6], np.float32)
    source = np.array([0, 1, 1, 0, 2])
    # The same in a tile; half a person in a tile; somebody small in front of another stays in one look.
    assert merge_tiles(detections, scores, source, 0.6).tolist() == [0, 3, 4]


def test_tiles_auto_are_chosen_only_where_people_are_small() -> None:
    tiling = Tiling("auto", (720, 1280), (384, 640))
    assert tiling.max_tiles == 4
    assert tiling.choose(boxes()) == []
    assert tiling.choose(boxes((100, 100, 200, 500))) == []
    assert tiling.choose(boxes((100, 100, 120, 160))) == [grid((720, 1280), 2, 2)[0]]
    assert Tiling("off", (720, 1280), (384, 640)).choose(boxes((1, 1, 9, 20))) == []
    assert len(Tiling("2x3", (720, 1280), (384, 640)).choose(boxes())) == 6


def test_tiles_take_turns_when_limit_is_below_grid_size() -> None:
    tiling = Tiling("2x2", (720, 1280), (384, 640))
    tiles = [tiling.choose(boxes(), 1)[0] for _ in range(4)]
    assert sorted(tiles) == sorted(grid((720, 1280), 2, 2))
    assert tiling.choose(boxes(), 0) == []
    small = boxes((100, 100, 120, 160), (1200, 600, 1220, 660), (100, 100, 300, 600))
    assert tiling.not_searched(small, tiles[:1]).tolist() == [False, True, False]


def test_tiles_option_is_parsed() -> None:
    assert parse_tiles("2x3") == (2, 3)
    with pytest.raises(BadInput, match="`tiles` is auto, off, or rows and columns such as 2x3, not many"):
        parse_tiles("many")


def test_tile_boxes_map_back_to_frame_coordinates() -> None:
    """What is too small in the whole frame is found in a tile."""

    def answer(batch: np.ndarray) -> np.ndarray:
        out = np.zeros((len(batch), 5, 1), np.float32)
        for i, canvas in enumerate(batch):
            rows, columns = np.nonzero(canvas[..., 0] > 200)
            if len(rows) and np.ptp(rows) >= 16:
                middle = (columns.min() + columns.max()) / 2, (rows.min() + rows.max()) / 2
                out[i, :, 0] = (*middle, np.ptp(columns), np.ptp(rows), 0.9)
        return out

    detector = YoloDetector(FakeRuntime(answer), ((64, 64),), DetectionFilter(0.5))
    image = np.zeros((256, 256, 3), np.uint8)
    image[150:200, 30:60] = 255
    assert len(detector.detect(image, StageClock())) == 0
    detections = detector.detect(image, StageClock(), grid((256, 256), 2, 2))
    assert len(detections) == 1 and detections.added == 1
    assert detections.boxes[0] == pytest.approx([30, 150, 60, 200], abs=4)
