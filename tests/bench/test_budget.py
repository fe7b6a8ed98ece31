"""Ids and poses of two runs compared, by hand."""

import io
import json

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from hrpose_rt.bench.budget import likeness
from hrpose_rt.bench.id_metrics import IdMetrics
from hrpose_rt.bench.report_text import id_sentences, return_sentences
from hrpose_rt.bench.scenes import Truth
from hrpose_rt.cli.bench_crowd import as_table
from hrpose_rt.cli.main import build_app
from hrpose_rt.errors import BadInput
from hrpose_rt.result import FrameResult
from hrpose_rt.skeleton import COCO17
from hrpose_rt.types import Detections, Frame, StageTimes
from tests.tracking.test_person_tracker import poses_in

BOXES = np.array([[0, 0, 40, 100], [100, 0, 140, 100]], np.float32)
IMAGE = np.zeros((120, 200, 3), np.uint8)


def result(ids: list[int], boxes=BOXES) -> FrameResult:
    detections = Detections.found(boxes, np.full(len(boxes), 0.9, np.float32))
    frame = Frame(0, IMAGE, 0.0, 0.0)
    return FrameResult(frame, detections, np.array(ids), poses_in(boxes), StageTimes(), COCO17)


def truth(visible: tuple[float, float], returned: tuple[bool, bool] = (False, False)) -> Truth:
    return Truth(BOXES, np.array(visible, np.float32), np.array(returned))


def story(after: list[int]) -> IdMetrics:
    """Two people with ids 0 and 1; the second is hidden, and both carry `after` when it is back."""
    ids = IdMetrics()
    for _ in range(5):
        ids.add(result([0, 1]), truth((1, 1)))
    for _ in range(5):
        ids.add(result([0], BOXES[:1]), truth((1, 0)))
    for i in range(5):
        ids.add(result(after), truth((1, 1), (False, i == 0)))
    return ids


@pytest.mark.parametrize(
    ("after", "counted"), [([0, 1], (1, 1, 0, 0)), ([0, 2], (1, 0, 0, 1)), ([-1, 0], (1, 0, 1, 0))]
)
def test_reid_outcomes_count_own_wrong_and_new_ids(after, counted) -> None:
    assert story(after).reid_outcomes() == counted


def test_id_metrics_keep_box_with_last_owner_over_higher_iou() -> None:
    """The one behind comes back; the box, of id 0 so far, now fits him a little better."""
    behind, ids = BOXES[0] + np.array([8, 0, 8, 0], np.float32), IdMetrics()
    boxes = np.stack([BOXES[0], behind])
    for i, (left, seen) in enumerate([(0, 1.0), (0, 1.0), (0, 0.0), (5, 1.0)]):
        shown = Truth(boxes, np.array([1, seen], np.float32), np.array([False, i == 3]))
        ids.add(result([0, 1][: 1 + (i < 2)], (boxes + left)[: 1 + (i < 2)]), shown)
    assert [carried.tolist() for carried in ids._carried] == [[0, 1], [0, 1], [0, -1], [0, -1]]


def test_perfect_ids_have_idf1_and_hota_of_one() -> None:
    scores = story([0, 1]).scores()
    assert scores["idf1"] == scores["hota"] == 1
    assert (scores["people"], scores["ids"], scores["own_id"]) == (2, 2, 1)


def test_oks_likeness_of_equal_poses_is_one_and_counts_missing_poses() -> None:
    similar, without = likeness(result([0, 1]), result([0, 1]))
    assert similar == pytest.approx([1, 1]) and without == 0
    similar, without = likeness(result([0], BOXES[:1]), result([0, 1]))
    assert len(similar) == 1 and without == 1


def test_cli_bench_bounded_below_40_frames_raises_bad_input() -> None:
    with pytest.raises(BadInput, match="--frames is 40 or more, not 5"):
        CliRunner().invoke(build_app(), ["bench", "bounded", "--frames", "5"], catch_exceptions=False)


def test_cli_bench_bounded_reports_budget_and_lower_filtered_jitter(photos, tmp_path) -> None:
    path = tmp_path / "b.json"
    command = ["bench", "bounded", "--crowd", "6", "--frames", "60", "--output", str(path)]
    done = CliRunner().invoke(build_app(), command)
    assert done.exit_code == 0, done.output
    assert "budget" in done.output and "people who stand still" in done.output
    jitter = json.loads(path.read_text())["jitter"]
    assert 0 < jitter["filtered"]["mean"] < jitter["estimated"]["mean"]


def test_reid_sentence_pools_own_and_wrong_ids_of_all_scenes() -> None:
    rows = [
        {"ids": {"bounded": {"came_back": 3, "own_id": 1.0, "wrong_id": 0.0}, "free": {"came_back": 0}}},
        {"ids": {"bounded": {"came_back": 1, "own_id": 0.0, "wrong_id": 1.0}, "free": {"came_back": 0}}},
        {"scene": "a video"},
    ]
    assert id_sentences(rows) == [
        "Of 4 people who came back from behind a curtain under the budget, 0.750 had their own id again "
        "and 0.250 another person's."
    ]


def test_table_in_80_columns_keeps_all_figures() -> None:
    heads = ["crowd", "found", "free p50", "bounded p50", "p95", "of budget", "OKS", "no pose"]
    figures = ["46.5", "186.7", "134.0", "138.8", "1.05", "0.906", "0.16", "10", "0.84", "0.05"]
    rows = [[*heads, "pose age p95", "own id", "wrong id"], ["2x2 of plaza-29-40 in 1280x720", *figures]]
    console = Console(file=io.StringIO(), width=80)
    console.print(as_table(rows))
    text = console.file.getvalue()
    assert set(figures) <= set(text.split())
    assert "2x2 of" in text
    assert "…" not in text


def test_reappearance_sentence_pools_latency_ratios_of_all_scenes() -> None:
    rows = [{"reappearance": {"frames": 4, "ratio": ratio}} for ratio in (0.9, 1.1, 1.0)]
    assert return_sentences([*rows, {"reappearance": {"frames": 0}}, {}]) == [
        "Frames in which five or more come back (12, scenes: 3) have 0.90 to 1.10 times the p95 of those "
        "right after them, in the middle 1.00."
    ]
    assert return_sentences(rows[:1]) == [
        "Frames in which five or more come back (4, scenes: 1) have 0.90 times the p95 of those right "
        "after them."
    ]
    assert return_sentences([{}]) == []
