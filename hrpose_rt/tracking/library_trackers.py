"""ByteTrack and OC-SORT of the trackers library, behind the same seam as ours."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from hrpose_rt.tracking.association import FlowTracker, Tracker, _continue, _number_rest
from hrpose_rt.tracking.tracks import People
from hrpose_rt.types import F32, I64, NO_ID, Detections

_TICK_S = 1e-3


LOST_S = 0.3  # seconds that the library goes on looking for somebody; for longer, see `memory`


class _LibraryTracker:
    """A tracker of the `trackers` library at our seam.

    It sees nothing but detections, and gives somebody an id with the second one; until then, people are
    told by overlap and looks.
    """

    def __init__(self, tracker: Any) -> None:
        self._tracker = tracker
        self._last_s = -math.inf
        self._next = itertools.count()
        self._numbers: dict[int, int] = {}  # ours, by the library's ids

    def update(self, detections: Detections, looks: F32, time_s: float, people: People) -> I64:
        """See `Tracker.update`."""
        ids = self._library_ids(detections, time_s).tolist()
        numbers = np.array([self._numbers.get(i, NO_ID) for i in ids], np.int64)
        free = ~np.isin(people.track, list(self._numbers.values()))
        _continue(numbers, detections.boxes, looks, people.take(free))
        _number_rest(numbers, self._next)
        here = {*people.track.tolist(), *numbers.tolist()}
        self._numbers |= {i: n for i, n in zip(ids, numbers.tolist(), strict=True) if i != NO_ID}
        self._numbers = {i: n for i, n in self._numbers.items() if n in here}
        return numbers

    def _library_ids(self, detections: Detections, time_s: float) -> I64:
        import supervision as sv

        n = len(detections)
        rows = sv.Detections(
            xyxy=detections.boxes.astype(np.float64),
            confidence=detections.scores,
            data={"row": np.arange(n)},
        )
        self._last_s = max(time_s, self._last_s + _TICK_S)  # it refuses to stand still
        tracked = self._tracker.update(rows, timestamp=self._last_s)
        ids = np.full(n, NO_ID, np.int64)
        if len(tracked):  # its rows come back in an order of its own
            ids[tracked.data["row"]] = tracked.tracker_id
        return ids


class ByteTracker(_LibraryTracker):
    """ByteTrack (Zhang et al., ECCV 2022) as the `trackers` library implements it.

    Args:
        fps: Frames a second that are usual; the motion between two frames is scaled by their times.
        min_score: The detector's threshold, in 0..1: what is above it may begin a track.
    """

    def __init__(self, fps: float, min_score: float) -> None:
        from trackers import ByteTrackTracker

        super().__init__(
            ByteTrackTracker(
                # The library counts this in frames at 30 a second and scales it by the rate.
                lost_track_buffer=round(30 * LOST_S),
                frame_rate=fps,
                track_activation_threshold=min_score,
                high_conf_det_threshold=min_score,
            )
        )


class OcSortTracker(_LibraryTracker):
    """OC-SORT (Cao et al., CVPR 2023) as the `trackers` library implements it.

    Args:
        fps, min_score: See `ByteTracker`.
    """

    def __init__(self, fps: float, min_score: float) -> None:
        from trackers import OCSORTTracker

        super().__init__(
            OCSORTTracker(
                lost_track_buffer=round(30 * LOST_S),
                frame_rate=fps,
                minimum_consecutive_frames=2,
                high_conf_det_threshold=min_score,
            )
        )


TRACKERS: dict[str, Callable[[float, float], Tracker]] = {
    "flow": FlowTracker,
    "ocsort": OcSortTracker,
    "bytetrack": ByteTracker,
}
