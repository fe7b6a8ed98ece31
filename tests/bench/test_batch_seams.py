"""Outcomes at a cut, by hand."""

import numpy as np

from benchmarks.batch_seams import SECOND, join, outcomes
from hrpose_rt.bench.scenes import Truth
from hrpose_rt.result import FrameResult
from hrpose_rt.skeleton import COCO17
from hrpose_rt.types import Detections, Frame, Poses, StageTimes

PLACES = np.array([[100 * i, 0, 100 * i + 40, 100] for i in range(4)], np.float32)


def result(index: int, ids: list[int | None]) -> FrameResult:
    """A frame with these ids from left to right; None where nobody is found."""
    rows = [i for i, one in enumerate(ids) if one is not None]
    n = len(rows)
    return FrameResult(
        Frame(index, np.zeros((100, 400, 3), np.uint8), index / 25, 0.0),
        Detections.found(PLACES[rows], np.ones(n, np.float32)),
        np.array([ids[i] for i in rows], np.int64),
        Poses.estimated(np.zeros((n, 17, 2), np.float32), np.ones((n, 17), np.float32)),
        StageTimes(total=1.0),
        COCO17,
    )


def truths(count: int) -> list[Truth]:
    return [Truth(PLACES, np.ones(4, np.float32), np.zeros(4, np.bool_))] * count


def test_ids_after_the_cut_are_own_wrong_new_or_do_not_count() -> None:
    cut = 2 * SECOND
    before = [result(i, [0, 1, 2, None]) for i in range(cut)]
    after = [result(i, [0, 2, 7, 8]) for i in range(cut, cut + 10)]
    counts = outcomes([*before, *after], truths(cut + 10), cut)
    assert dict(counts) == {"own": 1, "wrong": 1, "new": 1}


def test_parts_are_joined_with_their_ids() -> None:
    one = [result(i, [0, 1, None, None]) for i in range(10)]
    two = [result(i, [1, 0, None, None]) for i in range(5, 15)]
    frames = join(one, two, COCO17)
    assert [frame.frame.index for frame in frames] == list(range(15))
    assert frames[-1].track_ids.tolist() == frames[0].track_ids.tolist()
