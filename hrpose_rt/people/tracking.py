"""Who is who from frame to frame."""

import math
from typing import Protocol

import numpy as np

from hrpose_rt.types import I64, Detections

UNCONFIRMED = -1
_TICK_S = 1e-3
LOST_S = 1.0  # seconds that a lost person's id is kept for


class Tracker(Protocol):
    """Gives people ids."""

    def update(self, detections: Detections, time_s: float) -> I64:
        """Ids (N,) of the detections of the frame at `time_s`, in their order; -1 until confirmed."""


class Strangers:
    """No tracker at all: for pictures that have nothing to do with each other."""

    def update(self, detections: Detections, time_s: float) -> I64:
        """Nobody is known."""
        return np.full(len(detections), UNCONFIRMED, np.int64)


class ByteTracker:
    """ByteTrack (Zhang et al., ECCV 2022) as the `trackers` library implements it.

    Args:
        fps: Frames a second that are usual; the motion between two frames is scaled by their times.
        min_score: The detector's threshold, in 0..1: what is above it may begin a track.
    """

    def __init__(self, fps: float, min_score: float) -> None:
        from trackers import ByteTrackTracker

        self._tracker = ByteTrackTracker(
            # The library counts this in frames at 30 a second and scales it by the rate.
            lost_track_buffer=round(30 * LOST_S),
            frame_rate=fps,
            track_activation_threshold=min_score,
            high_conf_det_threshold=min_score,
        )
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
