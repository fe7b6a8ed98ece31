"""The state of one stream between frames: tracks and a budget for a video, nothing for images."""

import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np

from hrpose_rt.budget import Clock, FrameBudget, LatencyModel
from hrpose_rt.config import Settings
from hrpose_rt.detection.base import Detector
from hrpose_rt.detection.given import GivenBoxes
from hrpose_rt.detection.tiling import Region, Tiling
from hrpose_rt.errors import BadInput
from hrpose_rt.given_state import GivenState
from hrpose_rt.skeleton import Skeleton
from hrpose_rt.timing import StageClock
from hrpose_rt.tracking.appearance import warm_up
from hrpose_rt.tracking.library_trackers import ASSOCIATORS
from hrpose_rt.tracking.person_tracker import PersonTracker
from hrpose_rt.tracking.reid import LostTracks
from hrpose_rt.types import F32, I64, NO_ID, Detections, Frame, Poses, SourceInfo, TrackedPeople

TILES_BUDGET_SHARE = 0.5  # share of the budget for tiles


class StreamState(Protocol):
    """One stream. Per frame: `begin_frame`, then `finish_frame` with the poses of the rows it asked for."""

    @property
    def max_tiles(self) -> int:
        """The largest number of tiles in a frame."""

    @property
    def over_budget(self) -> bool:
        """Whether a pose got older than `max_pose_age` because the budget is too small."""

    @property
    def boxes(self) -> F32:
        """(N, 4) boxes of the people in the frame, xyxy pixels."""

    def begin_frame(self, frame: Frame, detector: Detector, clock: StageClock) -> I64:
        """Find the people of the next frame; returns the rows that need a pose."""

    def finish_frame(self, rows: I64, poses: Poses, clock: StageClock) -> TrackedPeople:
        """Take the poses of these rows; returns all people of the frame."""

    def stats(self) -> dict[str, float]:
        """Counts since the start, by name."""

    def close(self) -> None:
        """End its threads after the last frame."""


class ImageState:
    """Unrelated images: the detector runs on each, and all people get a new pose.

    Args:
        settings: See `Settings`.
        info: Of the source.
        detector: Its input size decides the tiles.
    """

    max_tiles, over_budget = 0, False

    def __init__(self, settings: Settings, info: SourceInfo, detector: Detector) -> None:
        self._tiles = _Tiles(settings, info, detector)
        self.max_tiles = self._tiles.tiling.max_tiles
        self._detections = Detections.found(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))

    @property
    def boxes(self) -> F32:
        """See `StreamState.boxes`."""
        return self._detections.boxes

    def begin_frame(self, frame: Frame, detector: Detector, clock: StageClock) -> I64:
        """See `StreamState.begin_frame`."""
        tiles = self._tiles.tiling_of(frame, detector).choose(np.zeros((0, 4), np.float32))
        self._detections = _detect(detector, frame, clock, tiles)
        return np.arange(len(self._detections))

    def finish_frame(self, rows: I64, poses: Poses, clock: StageClock) -> TrackedPeople:
        """See `StreamState.finish_frame`."""
        return TrackedPeople(self._detections, np.full(len(self._detections), NO_ID, np.int64), poses)

    def stats(self) -> dict[str, float]:
        """Nothing is counted."""
        return {}

    def close(self) -> None:
        """See `StreamState.close`."""


class VideoState:
    """A video: tracks, and a budget that decides what to do in each frame.

    Args:
        settings: See `Settings`.
        info: Of the source.
        detector: Its input size decides the tiles.
        skeleton: Skeleton of the poses.
        latency: Latency model of this machine.
        now: A clock, in seconds.
    """

    def __init__(
        self,
        settings: Settings,
        info: SourceInfo,
        detector: Detector,
        skeleton: Skeleton,
        latency: LatencyModel,
        now: Clock = time.perf_counter,
    ) -> None:
        self._now, self._latency, self._budget_ms = now, latency, settings.budget_ms
        self._tiles = _Tiles(settings, info, detector)
        every = settings.detect_every
        if every is None:
            every = 0 if settings.budget_ms else 1
        self._budget = FrameBudget(info.fps, every, settings.budget_ms, settings.max_pose_age, latency)
        associator = ASSOCIATORS[settings.tracker](info.fps, settings.det_score)
        lost = LostTracks(settings.memory_s)
        self._tracker = PersonTracker(associator, skeleton, lost, settings.max_age_s, settings.smooth)
        self._helper = ThreadPoolExecutor(1, "predict")
        self._helper.submit(warm_up)  # beside the detector's
        self._tiles_searched = self._only_in_tile = 0
        self._tiles_ms = 0.0

    @property
    def max_tiles(self) -> int:
        """See `StreamState.max_tiles`."""
        return self._tiles.tiling.max_tiles

    @property
    def over_budget(self) -> bool:
        """See `StreamState.over_budget`."""
        return self._budget.stale_pose_frames > 0

    @property
    def boxes(self) -> F32:
        """See `StreamState.boxes`."""
        return self._tracker.boxes

    def begin_frame(self, frame: Frame, detector: Detector, clock: StageClock) -> I64:
        """See `StreamState.begin_frame`. Where the detector does not run, tracks are propagated."""
        begin = self._now()
        tiling = self._tiles.tiling_of(frame, detector)
        if self._budget.detects_every_frame and not tiling.max_tiles:
            self._search_beside_prediction(frame, detector, clock)
        elif self._predict(frame, clock):
            self._search(frame, detector, clock, tiling)
        else:
            with clock.stage("track"):
                self._tracker.update(None)
        return self._budget.rows_to_pose(self._tracker, 1e3 * (self._now() - begin))

    def _predict(self, frame: Frame, clock: StageClock) -> bool:
        """Propagate the tracks to this frame; returns whether the detector should run on it."""
        with clock.stage("track"):
            self._tracker.predict(frame.image, frame.time_s)
            return self._budget.should_detect(frame.image, self._tracker)

    def _search_beside_prediction(self, frame: Frame, detector: Detector, clock: StageClock) -> None:
        """Propagate the tracks in a second thread while the detector runs; the two are independent."""
        begin = self._now()
        prediction = self._helper.submit(self._predict, frame, StageClock())
        try:
            detections = _detect(detector, frame, clock, ())
        finally:
            with clock.stage("track"):
                prediction.result()
        with clock.stage("track"):
            self._tracker.update(detections)
        self._latency.update_detect(1e3 * (self._now() - begin))

    def _search(self, frame: Frame, detector: Detector, clock: StageClock, tiling: Tiling) -> None:
        """Run the detector on the frame and on tiles, and update the tracks."""
        predicted_s = self._now()
        boxes = self._tracker.boxes
        tiles = tiling.choose(boxes, self._affordable_tiles())
        begin = self._now()
        detections = _detect(detector, frame, clock, tiles)
        detect_ms = 1e3 * (self._now() - begin)
        self._tiles_searched += len(tiles)
        self._only_in_tile += detections.added
        self._tiles_ms += detect_ms * len(tiles) / (1 + len(tiles))  # frame and tiles are one batch
        with clock.stage("track"):
            self._tracker.update(detections, ~tiling.not_searched(boxes, tiles))
        self._latency.update_detect(1e3 * (self._now() - predicted_s) / (1 + len(tiles)))

    def finish_frame(self, rows: I64, poses: Poses, clock: StageClock) -> TrackedPeople:
        """See `StreamState.finish_frame`."""
        begin = self._now()
        with clock.stage("track"):
            people = self._tracker.finish(rows, poses)
        self._latency.update_other(1e3 * (self._now() - begin))
        return people

    def stats(self) -> dict[str, float]:
        """Frames, detections, frames with stale poses, tiles, their cost, and the people they added."""
        return {
            "frames": self._budget.frames,
            "frames_with_detection": self._budget.detections,
            "frames_with_poses_too_old": self._budget.stale_pose_frames,
            "tiles": self._tiles_searched,
            "tiles_ms": round(self._tiles_ms, 1),
            "people_added_by_tiles": self._only_in_tile,
        }

    def close(self) -> None:
        """See `StreamState.close`."""
        self._helper.shutdown()

    def _affordable_tiles(self) -> int | None:
        """The number of tiles that fits into the budget; None without a budget."""
        if not self._budget_ms:
            return None
        searches = TILES_BUDGET_SHARE * self._budget_ms / max(self._latency.detect_ms, 1e-3)
        return max(0, math.floor(searches) - 1)


class _Tiles:
    """The tiling for the frame size; updated when the size changes."""

    def __init__(self, settings: Settings, info: SourceInfo, detector: Detector) -> None:
        self._mode = settings.tiles
        self._set_size((info.height, info.width), detector)

    def tiling_of(self, frame: Frame, detector: Detector) -> Tiling:
        h, w = frame.image.shape[:2]
        if (h, w) != self._frame_hw:
            self._set_size((h, w), detector)
        return self.tiling

    def _set_size(self, frame_hw: tuple[int, int], detector: Detector) -> None:
        self._frame_hw = frame_hw
        self.tiling = Tiling(self._mode, frame_hw, detector.input_hw_for(frame_hw))


def open_stream_state(
    settings: Settings,
    info: SourceInfo,
    detector: Detector,
    skeleton: Skeleton,
    latency: LatencyModel,
    now: Clock = time.perf_counter,
) -> StreamState:
    """Create the state for a source: a video, images, or either with boxes and ids that are given."""
    if isinstance(detector, GivenBoxes) and info.is_live:
        raise BadInput(f"`boxes` belong to the frames of a file, and {info.name} is live: leave them out")
    if isinstance(detector, GivenBoxes) and detector.has_ids:
        return GivenState(detector, settings.smooth and info.is_video)
    if info.is_video:
        return VideoState(settings, info, detector, skeleton, latency, now)
    return ImageState(settings, info, detector)


def _detect(detector: Detector, frame: Frame, clock: StageClock, tiles: Sequence[Region]) -> Detections:
    """Run the detector; BadInput if it is an external one and does not return Detections."""
    if isinstance(detector, GivenBoxes):
        return detector.people_of(frame).detections
    detections = detector.detect(frame.image, clock, tiles)
    if not isinstance(detections, Detections):
        raise BadInput(f"the detector gave {type(detections).__name__}, Detections are needed")
    return detections
