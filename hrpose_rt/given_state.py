"""The state of a stream whose boxes and ids are given: nothing is tracked, keypoints are filtered."""

import numpy as np

from hrpose_rt.detection.base import Detector
from hrpose_rt.detection.box_file import NOBODY
from hrpose_rt.detection.given import GivenBoxes
from hrpose_rt.timing import StageClock
from hrpose_rt.tracking.one_euro import one_euro
from hrpose_rt.types import F32, I64, NO_ID, Frame, Poses, TrackedPeople


class GivenState:
    """Boxes and ids come from a file, and all people get a new pose.

    Args:
        boxes: The file.
        smooth: Filter the keypoints of a person from frame to frame.
    """

    max_tiles, over_budget = 0, False

    def __init__(self, boxes: GivenBoxes, smooth: bool) -> None:
        self._given, self._smooth = boxes, smooth
        self._people = NOBODY
        self._frames, self._time_s, self._step_s = 0, 0.0, 0.0
        # The people of the frame before, for the filter.
        self._ids = NOBODY.track_ids
        self._keypoints = self._velocity = np.zeros((0, 0, 2), np.float32)

    @property
    def boxes(self) -> F32:
        """See `StreamState.boxes`."""
        return self._people.detections.boxes

    def begin_frame(self, frame: Frame, detector: Detector, clock: StageClock) -> I64:
        """See `StreamState.begin_frame`. The file stands in for the detector."""
        with clock.stage("detect"):
            self._people = self._given.people_of(frame)
        self._frames += 1
        self._step_s, self._time_s = frame.time_s - self._time_s, frame.time_s
        return np.arange(len(self._people.track_ids))

    def finish_frame(self, rows: I64, poses: Poses, clock: StageClock) -> TrackedPeople:
        """See `StreamState.finish_frame`."""
        if self._smooth:
            with clock.stage("track"):
                poses = self._filtered(poses)
        return TrackedPeople(self._people.detections, self._people.track_ids, poses)

    def _filtered(self, poses: Poses) -> Poses:
        """Filter the keypoints of the people who were in the frame before, too."""
        ids, keypoints, velocity = self._people.track_ids, poses.keypoints, np.zeros_like(poses.keypoints)
        _, now, before = np.intersect1d(ids, self._ids, return_indices=True)
        known = ids[now] != NO_ID
        now, before = now[known], before[known]
        if len(now):
            boxes = self.boxes[now]
            keypoints = keypoints.copy()
            keypoints[now], velocity[now] = one_euro(
                keypoints=self._keypoints[before],
                filter_velocity=self._velocity[before],
                measured=poses.keypoints[now],
                dt_s=np.full(len(now), max(self._step_s, 1e-3), np.float32),
                heights=boxes[:, 3] - boxes[:, 1],
            )
        self._ids, self._keypoints, self._velocity = ids, keypoints, velocity
        return Poses.estimated(keypoints, poses.scores)

    def stats(self) -> dict[str, float]:
        """The number of frames."""
        return {"frames": self._frames}

    def close(self) -> None:
        """See `StreamState.close`."""
