"""Id metrics of a scene: ids kept, ids regained after occlusion, ids swapped between people."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np

from hrpose_rt.bench.scenes import Truth
from hrpose_rt.errors import RuntimeMissing, install_hint
from hrpose_rt.geometry import assign, iou
from hrpose_rt.result import FrameResult
from hrpose_rt.types import F32, I64

ID_MATCH_IOU = 0.5
BACK_WITHIN = 25  # frames after the return within which the person has to be detected and confirmed
FIRST = 5  # frames with an id that decide which id the person has now
BEFORE = 25  # frames before the occlusion that decide which id the person had


@dataclass(slots=True)
class IdMetrics:
    """Records the id of each person of a scene, frame by frame.

    As in the CLEAR metrics (Bernardin and Stiefelhagen, 2008), a person keeps an id as long as its box
    matches. The box often matches the person behind as well, which is not an identity switch.
    """

    def __post_init__(self) -> None:
        if not find_spec("trackers"):  # said before the measurement, which takes minutes
            raise RuntimeMissing(f"HOTA and IDF1 need trackers: {install_hint('tracking')}")

    _last: dict[int, int] = field(default_factory=dict)  # the last id of each person
    _carried: list[I64] = field(default_factory=list)  # (N,) per frame, -1 without a matching box
    _returned: list[tuple[int, int]] = field(default_factory=list)  # frame, person
    _present: list[I64] = field(default_factory=list)
    _tracked: list[I64] = field(default_factory=list)
    _overlaps: list[F32] = field(default_factory=list)

    def add(self, result: FrameResult, truth: Truth) -> None:
        """Add the next frame."""
        present, known = truth.present, np.flatnonzero(result.track_ids >= 0)
        overlap = iou(truth.boxes[present], result.detections.boxes[known])
        ids = result.track_ids[known]
        last = np.array([self._last.get(person, -1) for person in present.tolist()], np.int64)
        kept = (last[:, None] == ids) & (overlap >= ID_MATCH_IOU)
        a, b = assign(-overlap - len(overlap) * kept)  # kept ids outweigh any sum of overlaps
        fits = overlap[a, b] >= ID_MATCH_IOU
        carried = np.full(len(truth.boxes), -1, np.int64)
        carried[present[a[fits]]] = ids[b[fits]]
        self._last.update(zip(present[a[fits]].tolist(), ids[b[fits]].tolist(), strict=True))
        self._returned += [(len(self._carried), int(i)) for i in np.flatnonzero(truth.returned)]
        self._carried.append(carried)
        self._present.append(present)
        self._tracked.append(ids)
        self._overlaps.append(overlap)

    @property
    def carried(self) -> I64:
        """(F, N) the id that each person of the scene has on each frame so far; -1 without one."""
        return np.stack(self._carried)

    def reid_outcomes(self) -> tuple[int, int, int, int]:
        """Counts of the people who came back, and of those with their id, another person's, or a new one.

        A person counts who had an id before the occlusion and has one soon after the return. The id before
        is the most frequent one; the id after is the most frequent one of the first frames. HOTA and IDF1
        also cover later switches.
        """
        count = own = wrong = new = 0
        carried = self.carried
        for frame, person in self._returned:
            ids_before = carried[max(0, frame - BEFORE) : frame, person]
            ids_after = carried[frame : frame + BACK_WITHIN, person]
            ids_before, ids_after = ids_before[ids_before >= 0], ids_after[ids_after >= 0]
            if not len(ids_before) or not len(ids_after):
                continue
            count += 1
            earlier = carried[:frame]
            others = np.delete(earlier, person, axis=1)
            old_id, current_id = _most_frequent(ids_before), _most_frequent(ids_after[:FIRST])
            if current_id == old_id:
                own += 1
            elif (others == current_id).sum() > (earlier[:, person] == current_id).sum():
                wrong += 1
            else:
                new += 1
        return count, own, wrong, new

    def scores(self) -> dict[str, Any]:
        """HOTA and IDF1 in 0..1 as `trackers.eval` computes them, and the shares of `reid_outcomes`."""
        from trackers.eval import compute_hota_metrics, compute_identity_metrics

        truth, tracked = _dense(self._present), _dense(self._tracked)
        hota = compute_hota_metrics(truth, tracked, list(self._overlaps))
        identity = compute_identity_metrics(truth, tracked, list(self._overlaps))
        count, own, wrong, new = self.reid_outcomes()
        return {
            "hota": round(float(np.mean(hota["HOTA"])), 3),
            "association": round(float(np.mean(hota["AssA"])), 3),
            "idf1": round(float(identity["IDF1"]), 3),
            "ids": len(np.unique(np.concatenate(self._tracked))),
            "people": len(np.unique(np.concatenate(self._present))),
            "came_back": count,
            "own_id": round(own / max(count, 1), 3),
            "wrong_id": round(wrong / max(count, 1), 3),
            "new_id": round(new / max(count, 1), 3),
        }


def _most_frequent(ids: I64) -> int:
    """The most frequent id."""
    known, counts = np.unique(ids, return_counts=True)
    return int(known[counts.argmax()])


def _dense(frames: Sequence[I64]) -> list[I64]:
    """Ids renumbered from 0."""
    known = np.unique(np.concatenate(frames))
    return [np.searchsorted(known, ids) for ids in frames]
