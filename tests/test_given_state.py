"""Boxes and ids that are given: they come back unchanged, and only poses are estimated."""

from dataclasses import replace

import numpy as np
import pytest

from hrpose_rt.config import Settings
from hrpose_rt.detection.box_file import BoxFile
from hrpose_rt.detection.given import GivenBoxes
from hrpose_rt.detection.region import RegionFilter
from hrpose_rt.errors import BadInput
from hrpose_rt.given_state import GivenState
from hrpose_rt.pipeline import PosePipeline
from hrpose_rt.regions import Region
from hrpose_rt.tracking.one_euro import one_euro
from hrpose_rt.types import Frame, Poses, SourceInfo
from tests.fakes import fake_networks

INFO = SourceInfo("clip.mp4", "clip", 64, 48, 25.0, None, is_video=True, is_live=False)
MOT = "1,8,1,1,10,40,.9\n1,9,31,1,10,40,.2\n2,9,31,1,10,40,.9\n2,8,2,1,10,40,.8\n2,7,200,1,10,40,.8\n"


def given(tmp_path, text: str = MOT, **filters) -> GivenBoxes:
    (tmp_path / "boxes.txt").write_text(text)
    region = Region.parse(filters["region"]) if "region" in filters else None
    kept = RegionFilter(region, None, filters.get("max_people", 0))
    return GivenBoxes(BoxFile(tmp_path / "boxes.txt"), 0.3, kept)


def frame(index: int) -> Frame:
    return Frame(index, np.zeros((48, 64, 3), np.uint8), index / 25, 0.0)


def results(boxes: GivenBoxes, frames: int = 3, info: SourceInfo = INFO):
    networks = fake_networks()
    networks.detector = boxes
    with PosePipeline(Settings(), networks) as pipeline, pipeline.begin(info) as session:
        return [session.process(frame(i)) for i in range(frames)]


def test_ids_and_boxes_are_those_of_the_file_and_outside_or_unsure_ones_are_left_out(tmp_path) -> None:
    first, second, third = results(given(tmp_path))
    assert first.track_ids.tolist() == [7]
    assert first.detections.boxes.tolist() == [[0, 0, 10, 40]]
    assert second.track_ids.tolist() == [8, 7]  # best score first
    assert second.poses.fresh.all() and len(third) == 0


def test_region_and_number_of_people_apply(tmp_path) -> None:
    assert results(given(tmp_path, region="20,0,64,48"))[1].track_ids.tolist() == [8]
    assert results(given(tmp_path, max_people=1))[1].track_ids.tolist() == [8]


def test_boxes_without_ids_are_tracked(tmp_path) -> None:
    text = "".join(f"{i},-1,5,5,20,40,.9\n" for i in range(1, 6))
    ids = [result.track_ids.tolist() for result in results(given(tmp_path, text), frames=5)]
    assert ids[0] == [-1] and ids[-1] == [0]


def test_keypoints_are_filtered_by_id(tmp_path) -> None:
    state, clock = (
        GivenState(given(tmp_path), smooth=True),
        PosePipeline(Settings(), fake_networks())._clock,
    )
    measured = np.array([[[5, 5]], [[30, 9]]], np.float32)
    state.begin_frame(frame(0), None, clock())
    before = state.finish_frame(np.arange(1), Poses.estimated(measured[:1], np.ones((1, 1), "f4")), clock())
    assert before.poses.keypoints.tolist() == [[[5, 5]]]
    state.begin_frame(frame(1), None, clock())
    moved = measured[::-1] + 4  # id 8 first, it is new; then id 7
    after = state.finish_frame(np.arange(2), Poses.estimated(moved, np.ones((2, 1), "f4")), clock())
    keypoints, _ = one_euro(
        measured[:1], np.zeros((1, 1, 2), "f4"), moved[1:], np.array([0.04], "f4"), np.array([40], "f4")
    )
    assert after.poses.keypoints[0].tolist() == [[34, 13]]
    np.testing.assert_allclose(after.poses.keypoints[1], keypoints[0])
    assert 5 < keypoints[0, 0, 0] < 9


def test_live_source_and_file_of_another_source_are_named(tmp_path, capsys) -> None:
    with pytest.raises(BadInput, match=r"boxes.*clip.mp4 is live"):
        results(given(tmp_path), info=replace(INFO, is_live=True))
    boxes = given(tmp_path, "90,1,1,1,8,8,1\n")
    results(boxes)
    assert "no frame has boxes in the file" in capsys.readouterr().err


def test_tiles_need_a_detector() -> None:
    with pytest.raises(BadInput, match=r"`tiles` are searched by a detector"):
        Settings(boxes="boxes.txt", tiles="auto")
