"""Ids across a cut, by hand."""

from pathlib import Path

import numpy as np

from hrpose_rt.batch.join import joined
from hrpose_rt.batch.split import PartWriter, StoredPart
from hrpose_rt.result import FrameResult
from hrpose_rt.skeleton import COCO17
from hrpose_rt.types import Detections, Frame, Poses, StageTimes


def part(path: Path, frames: dict[int, dict[int, float]]) -> StoredPart:
    """A part whose frames have people, by id, in a box at this x."""
    writer = PartWriter()
    for number, people in frames.items():
        boxes = np.array([[x, 0, x + 10, 40] for x in people.values()], np.float32).reshape(-1, 4)
        n = len(people)
        writer.write(
            FrameResult(
                Frame(number, np.zeros((48, 64, 3), np.uint8), number / 10, 0.0),
                Detections.found(boxes, np.ones(n, np.float32)),
                np.array(list(people), np.int64),
                Poses.estimated(np.zeros((n, 17, 2), np.float32), np.ones((n, 17), np.float32)),
                StageTimes(total=1.0),
                COCO17,
            )
        )
    writer.save(path, {"seconds": 1})
    return StoredPart(path)


def test_people_keep_ids_across_cut_and_new_ones_get_new_ids(tmp_path) -> None:
    one = part(tmp_path / "1.npz", {0: {0: 0, 1: 30}, 1: {0: 0, 1: 30}, 2: {0: 0, 1: 30}})
    two = part(tmp_path / "2.npz", {1: {0: 30, 1: 0}, 2: {-1: 30, 1: 0}, 3: {0: 30, 1: 0, 2: 50}})
    results = list(joined([one, two], COCO17))
    assert [r.frame.index for r in results] == [0, 1, 2, 3]
    assert [r.track_ids.tolist() for r in results] == [[0, 1], [0, 1], [0, 1], [1, 0, 2]]
    assert results[0].frame.image.shape == (48, 64, 3)
    assert two.facts == {"seconds": 1}


def test_later_frames_before_cut_count_more(tmp_path) -> None:
    """The part before swaps two ids on the last frame; the ids at the cut count."""
    one = part(tmp_path / "1.npz", {0: {5: 0, 6: 30}, 1: {6: 0, 5: 30}})
    two = part(tmp_path / "2.npz", {0: {0: 0, 1: 30}, 1: {0: 0, 1: 30}, 2: {0: 0, 1: 30}})
    ids = [r.track_ids.tolist() for r in joined([one, two], COCO17)]
    assert ids[2] == ids[1]


def test_parts_without_people_join(tmp_path) -> None:
    one, two = part(tmp_path / "1.npz", {0: {}}), part(tmp_path / "2.npz", {1: {}, 2: {3: 5}})
    assert [r.track_ids.tolist() for r in joined([one, two], COCO17)] == [[], [], [0]]
