"""ByteTrack and OC-SORT of the `trackers` library as associators, and the table of all associators."""

import itertools
import math
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from hrpose_rt.errors import RuntimeMissing, install_hint
from hrpose_rt.tracking.association import Associator, FlowAssociator, match_unmatched, number_unmatched
from hrpose_rt.tracking.tracks import Tracks
from hrpose_rt.types import F32, I64, NO_ID, Detections

LOST_S = 0.3  # seconds the library keeps a lost track; `reid` takes over after that
MIN_STEP_S = 1e-3  # between two frames: the library refuses equal timestamps


def check_installed(tracker: str) -> None:
    """Raise RuntimeMissing if the library of a tracker (a key of `ASSOCIATORS`) is not installed."""
    if tracker != "flow" and not find_spec("trackers"):
        raise RuntimeMissing(f"`tracker` {tracker} needs trackers: {install_hint('tracking')}")


class LibraryAssociator:
    """A tracker of the `trackers` library behind `Associator`.

    The library sees only detections and assigns an id at the second one. Until then, tracks are matched by
    IoU and appearance.
    """

    def __init__(self, tracker: Any) -> None:
        self._tracker = tracker
        self._last_s = -math.inf
        self._next = itertools.count()
        self._numbers: dict[int, int] = {}  # track numbers by the library's ids

    def match(self, detections: Detections, appearance: F32, time_s: float, tracks: Tracks) -> I64:
        """See `Associator.match`."""
        ids = self._library_ids(detections, time_s).tolist()
        numbers = np.array([self._numbers.get(i, NO_ID) for i in ids], np.int64)
        free = ~np.isin(tracks.track_number, list(self._numbers.values()))
        match_unmatched(numbers, detections.boxes, appearance, tracks.select(free))
        number_unmatched(numbers, self._next)
        alive = {*tracks.track_number.tolist(), *numbers.tolist()}
        self._numbers |= {i: n for i, n in zip(ids, numbers.tolist(), strict=True) if i != NO_ID}
        self._numbers = {i: n for i, n in self._numbers.items() if n in alive}
        return numbers

    def _library_ids(self, detections: Detections, time_s: float) -> I64:
        import supervision as sv

        n = len(detections)
        rows = sv.Detections(
            xyxy=detections.boxes.astype(np.float64),
            confidence=detections.scores,
            data={"row": np.arange(n)},
        )
        self._last_s = max(time_s, self._last_s + MIN_STEP_S)
        tracked = self._tracker.update(rows, timestamp=self._last_s)
        ids = np.full(n, NO_ID, np.int64)
        if len(tracked):  # the library returns its rows in another order
            ids[tracked.data["row"]] = tracked.tracker_id
        return ids


class ByteTrackAssociator(LibraryAssociator):
    """ByteTrack (Zhang et al., ECCV 2022) as the `trackers` library implements it.

    Args:
        fps: Nominal frames per second; the library scales motion by the real times.
        min_score: Detector threshold, 0..1; a detection above it may start a track.
    """

    def __init__(self, fps: float, min_score: float) -> None:
        from trackers import ByteTrackTracker

        super().__init__(
            ByteTrackTracker(
                # In frames at 30 fps; the library scales it by the rate.
                lost_track_buffer=round(30 * LOST_S),
                frame_rate=fps,
                track_activation_threshold=min_score,
                high_conf_det_threshold=min_score,
            )
        )


class OcSortAssociator(LibraryAssociator):
    """OC-SORT (Cao et al., CVPR 2023) as the `trackers` library implements it.

    Args:
        fps, min_score: See `ByteTrackAssociator`.
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


ASSOCIATORS: dict[str, Callable[[float, float], Associator]] = {
    "flow": FlowAssociator,
    "ocsort": OcSortAssociator,
    "bytetrack": ByteTrackAssociator,
}
