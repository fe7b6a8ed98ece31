"""The parts of a video as one: people keep their ids across the cuts."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from hrpose_rt.batch.split import StoredPart
from hrpose_rt.geometry import assign, iou
from hrpose_rt.result import FrameResult
from hrpose_rt.skeleton import Skeleton
from hrpose_rt.sources.base import Source
from hrpose_rt.types import I64, NO_ID

MIN_IOU = 0.5  # of the boxes that two parts have of a person on the same frame
_Boxes = dict[int, tuple[np.ndarray, I64]]  # by frame number: boxes (N, 4) and ids (N,)


class IdJoiner:
    """Gives the people of one part after the other the ids that they have in the parts before.

    Both sides of a cut have the frames shortly before it. A pair of ids gets the IoU of its boxes on each
    of them, and more on the later ones: the id at the cut counts. Pairs are then chosen one to one.
    """

    def __init__(self) -> None:
        self._before: _Boxes = {}
        self._next = 0

    def join(self, part: StoredPart) -> None:
        """Replace the ids of the next part. Ids that no one had before the cut become new ones."""
        local = np.unique(part.ids[part.ids != NO_ID])
        pairs = self._pairs(part)
        new = dict(pairs)
        for one in local.tolist():
            if one not in new:
                new[one] = self._next
                self._next += 1
        if len(local):
            numbers = np.array([new[one] for one in local.tolist()], np.int64)
            rows = np.searchsorted(local, part.ids.clip(local[0]))
            part.ids = np.where(part.ids == NO_ID, NO_ID, numbers[rows])
        self._before = {
            int(number): (part.boxes_of(i), part.ids[part.rows(i)]) for i, number in enumerate(part.index)
        }

    def _pairs(self, part: StoredPart) -> dict[int, int]:
        """The ids of the parts before, by the ids of this part."""
        votes: defaultdict[tuple[int, int], float] = defaultdict(float)
        for i, number in enumerate(part.index.tolist()):
            if number not in self._before:
                continue
            boxes, ids = self._before[number]
            here, there = part.ids[part.rows(i)], np.flatnonzero(ids != NO_ID)
            mine = np.flatnonzero(here != NO_ID)
            overlap = iou(part.boxes_of(i)[mine], boxes[there])
            for a, b in np.argwhere(overlap >= MIN_IOU).tolist():
                votes[int(here[mine[a]]), int(ids[there[b]])] += (i + 1) * float(overlap[a, b])
        local, known = (sorted(set(ids)) for ids in zip(*votes, strict=True)) if votes else ([], [])
        table = np.zeros((len(local), len(known)), np.float32)
        for (one, other), vote in votes.items():
            table[local.index(one), known.index(other)] = vote
        rows, columns = assign(-table)
        return {local[a]: known[b] for a, b in zip(rows, columns, strict=True) if table[a, b] > 0}


def joined(parts: Iterable[StoredPart], skeleton: Skeleton) -> Iterator[FrameResult]:
    """The results of all frames of a video from its parts, in order, each frame once, without pictures."""
    joiner = IdJoiner()
    last = -1
    for part in parts:
        joiner.join(part)
        yield from part.results(skeleton, np.flatnonzero(part.index > last).tolist())
        if len(part.index):
            last = int(part.index[-1])


def with_pictures(results: Iterator[FrameResult], source: Source) -> Iterator[FrameResult]:
    """The results with the pictures of the video, which is read again for them."""
    result = next(results, None)
    for frame in source:
        while result is not None and result.frame.index < frame.index:
            result = next(results, None)
        if result is None:
            return
        if result.frame.index == frame.index:
            yield replace(result, frame=frame)
