"""Who is who from frame to frame."""

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from hrpose_rt.types import I64, Detections

UNCONFIRMED = -1
_TICK_S = 1e-3
LOST_S = 0.3  # seconds that the library goes on looking for somebody; for longer, see `memory`


class Tracker(Protocol):
    """Gives people ids."""

    def update(self, detections: Detections, time_s: float) -> I64:
        """Ids (N,) of the detections of the frame at `time_s`, in their order; -1 until confirmed."""


class _LibraryTracker:
    """A tracker of the `trackers` library at our seam."""

    def __init__(self, tracker: Any) -> None:
        self._tracker = tracker
        self._last_s = -math.inf

    def update(self, detections: Detections, time_s: float) -> I64:
        """See `Tracker.update`."""
        import supervision as sv

        n = len(detections)
        rows = sv.Detections(
            xyxy=detections.boxes.astype(np.float64),
            confidence=detections.scores,
            data={"row": np.arange(n)},
        )
        self._last_s = max(time_s, self._last_s + _TICK_S)  # it refuses to stand still
        tracked = self._tracker.update(rows, timestamp=self._last_s)
        ids = np.full(n, UNCONFIRMED, np.int64)
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


TRACKERS: dict[str, Callable[[float, float], Tracker]] = {"bytetrack": ByteTracker, "ocsort": OcSortTracker}
