"""The forms a result can take."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import hrpose_rt
from hrpose_rt.drawing.style import DrawStyle
from hrpose_rt.errors import BadInput, RuntimeMissing
from hrpose_rt.result import FrameResult
from hrpose_rt.skeleton import COCO17
from hrpose_rt.types import Detections, Frame, Poses, StageTimes


def result(n: int = 2, never_posed: int | None = None) -> FrameResult:
    boxes = np.array([[10 * i, 0, 10 * i + 8.126, 30] for i in range(n)], np.float32).reshape(-1, 4)
    keypoints = np.full((n, 17, 2), 4.5, np.float32)
    scores = np.full((n, 17), 1.3, np.float32)  # a raw peak may be above 1
    scores[:, 1] = -0.2
    age = np.zeros(n, np.int64)
    if never_posed is not None:
        age[never_posed], keypoints[never_posed] = -1, np.nan
    return FrameResult(
        Frame(7, np.zeros((40, 60, 3), np.uint8), 0.28, 0.0, dropped=2),
        Detections.found(boxes, np.full(n, 0.75, np.float32)),
        np.arange(n) - 1,
        Poses(keypoints, scores, age == 0, age),
        StageTimes(detect=1.23456, total=2.0),
        COCO17,
    )


def test_result_to_dict_is_json_schema_1() -> None:
    line = result().to_dict()
    assert list(line) == ["frame", "time_s", "people", "latency_ms", "dropped"]
    assert (line["frame"], line["time_s"], line["dropped"]) == (7, 0.28, 2)
    assert line["latency_ms"]["detect"] == 1.235
    first = line["people"][0]
    assert list(first) == ["id", "box", "score", "from", "fresh", "age", "keypoints"]
    assert (first["id"], first["score"], first["from"]) == (-1, 0.75, "detected")
    assert (first["fresh"], first["age"]) == (True, 0)
    assert first["box"] == [0.0, 0.0, 8.13, 30.0]
    assert len(first["keypoints"]) == 17
    assert first["keypoints"][0] == [4.5, 4.5, 1.0]  # clipped for files
    assert first["keypoints"][1] == [4.5, 4.5, 0.0]


def test_draw_without_the_video_takes_frames_of_any_layout() -> None:
    frame = replace(result().frame, image=np.asfortranarray(result().frame.image))
    assert replace(result(), frame=frame).draw(style=DrawStyle(canvas="black")).flags.c_contiguous


@pytest.mark.parametrize("style", [None, "person", {}, DrawStyle])
def test_draw_refuses_what_is_no_style(style) -> None:
    with pytest.raises(BadInput, match="`style` is a DrawStyle, not "):
        result().draw(style=style)


def test_result_to_dict_marks_shared_latency() -> None:
    line = replace(result(), shared=True).to_dict()
    assert list(line) == ["frame", "time_s", "people", "latency_share_ms", "dropped"]
    assert line["latency_share_ms"]["total"] == 2


def test_result_to_dict_has_no_nan_for_person_without_pose() -> None:
    line = result(never_posed=1).to_dict()
    assert line["people"][1]["keypoints"] is None
    assert (line["people"][1]["fresh"], line["people"][1]["age"]) == (False, -1)
    assert "NaN" not in json.dumps(line, allow_nan=False)


def test_result_to_dict_of_zero_people_is_empty_list() -> None:
    assert result(0).to_dict()["people"] == []


def test_result_draw_keeps_frame_and_fills_given_canvas() -> None:
    r = result()
    picture = r.draw(style=DrawStyle(panel=True))
    assert r.frame.image.max() == 0
    assert picture.max() > 0
    canvas = np.zeros((40, 60, 3), np.uint8)
    assert r.draw(canvas) is canvas
    assert canvas.max() > 0


@pytest.mark.parametrize(
    ("canvas", "words"),
    [
        (np.zeros((40, 60, 3), np.float32), r"\(H, W, 3\) uint8 BGR .*, this one is \(40, 60, 3\) float32"),
        (np.zeros((40, 60), np.uint8), r"this one is \(40, 60\) uint8"),
        (np.zeros((40, 60, 4), np.uint8), r"this one is \(40, 60, 4\) uint8"),
        ([[0]], "an image is a NumPy array, this one is list"),
        (
            np.zeros((40, 60, 3), np.uint8)[..., ::-1],
            "is laid out otherwise in memory: give a copy",
        ),
        (np.asfortranarray(np.zeros((40, 60, 3), np.uint8)), "this one is laid out otherwise in memory"),
        (np.broadcast_to(np.uint8(0), (40, 60, 3)), "this one is read-only: give a copy"),
    ],
)
def test_result_draw_rejects_invalid_canvas(canvas, words) -> None:
    with pytest.raises(BadInput, match=words):
        result().draw(canvas)


NEVER = np.zeros(2, np.bool_), np.full(2, -1)  # fresh, age


def test_result_to_supervision_hides_person_without_pose() -> None:
    import supervision as sv

    _, keypoints = result(never_posed=1).to_supervision()
    assert keypoints.visible.tolist() == [[True] * 17, [False] * 17]
    poses = Poses(np.full((2, 17, 2), 9, np.float32), np.zeros((2, 17), np.float32), *NEVER)
    _, nobody = replace(result(), poses=poses).to_supervision()
    picture = np.zeros((40, 60, 3), np.uint8)
    assert not sv.VertexAnnotator().annotate(picture.copy(), nobody).any()


def test_result_to_supervision_keeps_ids_boxes_and_keypoints() -> None:
    boxes, keypoints = result().to_supervision()
    assert boxes.tracker_id.tolist() == [-1, 0]
    assert boxes.xyxy.shape == (2, 4)
    assert keypoints.xy.shape == (2, 17, 2)
    nobody, none = result(0).to_supervision()
    assert (len(nobody), len(none)) == (0, 0)


def test_result_to_supervision_names_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(RuntimeMissing, match=r"`to_supervision` needs supervision: pip install .*tracking"):
        result().to_supervision()


def test_result_repr_is_one_short_line() -> None:
    assert repr(result()) == "<FrameResult frame=7 people=2 ids=[-1, 0] ms=2.0>"


def test_result_to_df_has_one_row_per_person() -> None:
    pytest.importorskip("polars", reason="polars is not installed")
    table = result(3, never_posed=1).to_df()
    assert table.shape == (3, 3 + 4 + 1 + 3 * 17)
    columns = list(table.columns)
    assert columns[:9] == ["frame", "time_s", "id", "x1", "y1", "x2", "y2", "score", "nose_x"]
    assert columns[-1] == "right_ankle_score"
    assert list(table["id"]) == [-1, 0, 1]
    assert list(table["nose_x"])[::2] == [4.5, 4.5]
    assert np.isnan(list(table["nose_x"])[1])
    assert list(table["nose_score"])[::2] == [1, 1]  # peaks above 1 are clipped, as in the files
    assert result(0).to_df().shape == (0, 3 + 4 + 1 + 3 * 17)


def test_result_to_df_of_files_has_their_names_and_joins_photos_without_people() -> None:
    polars = pytest.importorskip("polars", reason="polars is not installed")
    results = [result(0), result(2)]
    named = [replace(r, frame=replace(r.frame, file_name=f"{len(r)}.jpg")) for r in results]
    table = polars.concat([r.to_df() for r in named])
    assert table.columns[:4] == ["frame", "time_s", "file_name", "id"]
    assert table["file_name"].to_list() == ["2.jpg", "2.jpg"]


def test_result_to_df_takes_pandas_if_it_is_there(monkeypatch) -> None:
    monkeypatch.setattr("hrpose_rt.result.find_spec", lambda name: name == "pandas")
    pandas = SimpleNamespace(DataFrame=dict)
    monkeypatch.setattr("hrpose_rt.result.import_module", {"pandas": pandas}.__getitem__)
    assert result().to_df()["frame"].tolist() == [7, 7]


def test_result_to_df_names_what_to_install(monkeypatch) -> None:
    monkeypatch.setattr("hrpose_rt.result.find_spec", lambda name: None)
    with pytest.raises(RuntimeMissing, match="`to_df` needs pandas or polars: pip install pandas"):
        result().to_df()


@pytest.mark.parametrize(("way", "crossings"), [((200, 420), (0, 1)), ((420, 200), (1, 0))])
def test_docs_example_of_lines_and_zones_counts_people(monkeypatch, way, crossings) -> None:
    """A person walks over the line at y = 300, downwards or upwards, and stays in the zone."""
    pytest.importorskip("supervision")
    page = (Path(__file__).parents[1] / "docs" / "python.md").read_text()
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", page, re.S) if "LineZone" in block]
    walk = []
    for y in np.linspace(*way, 12):
        one = result(1)
        boxes = np.array([[400, y - 150, 460, y]], np.float32)
        found = Detections.found(boxes, one.detections.scores)
        walk.append(replace(one, detections=found, track_ids=np.array([3])))
    monkeypatch.setattr(hrpose_rt, "stream", lambda _: iter(walk), raising=False)
    names: dict = {"hrpose_rt": hrpose_rt}
    exec(code, names)
    assert (names["crossings"], names["most"]) == (crossings, 1)
