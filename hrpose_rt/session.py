"""What is remembered of a stream from frame to frame, and what is done on the next one."""

import math
import time
from collections.abc import Sequence

import numpy as np

from hrpose_rt.budget import Costs, Now, Scheduler
from hrpose_rt.config import Settings
from hrpose_rt.detection.base import Detector
from hrpose_rt.detection.tiling import Region, Tiling, parse_tiles
from hrpose_rt.errors import BadInput
from hrpose_rt.skeleton import Skeleton
from hrpose_rt.timing import StageClock
from hrpose_rt.tracking.library_trackers import TRACKERS
from hrpose_rt.tracking.person_tracker import Crowd
from hrpose_rt.tracking.reid import Memory
from hrpose_rt.types import F32, I64, NO_ID, Detections, Frame, Poses, SourceInfo

TILES_SHARE = 0.5  # of the budget, which looking closer may take


class Following:
    """One stream's people: looked for or carried on, posed or not, always with ids.

    Args:
        settings: How.
        info: Of the stream; pictures that are no film have nothing to do with each other.
        detector: Tells the size of its input.
        skeleton: Of the poses.
        costs: Of this machine.
        now: A clock, in seconds.
    """

    def __init__(
        self,
        settings: Settings,
        info: SourceInfo,
        detector: Detector,
        skeleton: Skeleton,
        costs: Costs,
        now: Now = time.perf_counter,
    ) -> None:
        check(settings)
        self._now, self._costs, self._budget_ms = now, costs, settings.budget_ms
        self._tiles_mode, self._frame_hw = settings.tiles, (info.height, info.width)
        self._tiling = Tiling(settings.tiles, self._frame_hw, detector.input_for(self._frame_hw))
        self._crowd = self._scheduler = None
        if info.film:
            every = settings.detect_every
            if every is None:
                every = 0 if settings.budget_ms else 1
            self._scheduler = Scheduler(
                *(info.fps, every, settings.budget_ms, settings.max_pose_age, costs)
            )
            tracker = TRACKERS[settings.tracker](info.fps, settings.det_score)
            memory = Memory(settings.memory_s)
            self._crowd = Crowd(tracker, skeleton, memory, settings.max_age_s, settings.smooth)
        self._found: Detections | None = None
        self._tiles = self._added = 0
        self._tiles_ms = 0.0

    @property
    def most_tiles(self) -> int:
        """That a frame may be looked at in."""
        return self._tiling.most

    @property
    def cannot_hold(self) -> bool:
        """Whether somebody's pose got older than was asked for, because the budget did not allow more."""
        return self._scheduler is not None and self._scheduler.too_old > 0

    @property
    def boxes(self) -> F32:
        """(N, 4) of the people of the frame."""
        if self._crowd is not None:
            return self._crowd.boxes
        assert self._found is not None
        return self._found.boxes

    def before(self, frame: Frame, detector: Detector, clock: StageClock) -> I64:
        """Look for people or carry them on; gives the rows of those whose pose is wanted."""
        begin = self._now()
        self._tile(frame, detector)
        if self._crowd is None or self._scheduler is None:
            regions = self._tiling.choose(np.zeros((0, 4), np.float32))
            self._found = _look(detector, frame, clock, regions)
            return np.arange(len(self._found))
        crowd, scheduler = self._crowd, self._scheduler
        with clock.stage("track"):
            crowd.advance(frame.image, frame.time_s)
            advanced = self._now()
            look = scheduler.look(frame.image, crowd)
        if look:
            regions = self._tiling.choose(crowd.boxes, self._most_tiles())
            asked = self._now()
            found = _look(detector, frame, clock, regions)
            detect_ms = 1e3 * (self._now() - asked)
            self._tiles, self._added = self._tiles + len(regions), self._added + found.added
            self._tiles_ms += detect_ms * len(regions) / (1 + len(regions))  # of one batch
            with clock.stage("track"):
                looked = ~self._tiling.unseen(crowd.boxes, regions)
                crowd.detected(found, frame.image, looked)
            self._costs.learn("detect", 1e3 * (self._now() - advanced) / (1 + len(regions)))
        else:
            with clock.stage("track"):
                crowd.undetected()
        return scheduler.whom(crowd, 1e3 * (self._now() - begin))

    def after(
        self, frame: Frame, rows: I64, poses: Poses, clock: StageClock
    ) -> tuple[Detections, I64, Poses]:
        """Take the poses of the rows that were wanted; gives everybody's boxes, ids and poses."""
        if self._crowd is None:
            assert self._found is not None
            return self._found, np.full(len(self._found), NO_ID, np.int64), poses
        begin = self._now()
        with clock.stage("track"):
            crowd = self._crowd
            crowd.posed(rows, poses)
            crowd.identify()
            crowd.part_doubles()
            found = crowd.detections(), crowd.ids.copy(), crowd.poses()
        self._costs.learn("rest", 1e3 * (self._now() - begin))
        return found

    def counts(self) -> dict[str, float]:
        """How it went: frames, looks, tiles, their cost and whom they added, frames with poses too old."""
        if self._scheduler is None:
            return {}
        return {
            "frames": self._scheduler.frames,
            "frames_with_detection": self._scheduler.looks,
            "frames_with_poses_too_old": self._scheduler.too_old,
            "tiles": self._tiles,
            "tiles_ms": round(self._tiles_ms, 1),
            "people_added_by_tiles": self._added,
        }

    def _tile(self, frame: Frame, detector: Detector) -> None:
        """Other tiles for a frame of another size."""
        h, w = frame.image.shape[:2]
        if (h, w) != self._frame_hw:
            self._frame_hw = h, w
            self._tiling = Tiling(self._tiles_mode, self._frame_hw, detector.input_for(self._frame_hw))

    def _most_tiles(self) -> int | None:
        if not self._budget_ms:
            return None
        fitting = TILES_SHARE * self._budget_ms / max(self._costs.detect, 1e-3)
        return max(0, math.floor(fitting) - 1)


def _look(detector: Detector, frame: Frame, clock: StageClock, regions: Sequence[Region]) -> Detections:
    """What the detector finds; BadInput if one of somebody's own gives something else."""
    found = detector.detect(frame.image, clock, regions)
    if not isinstance(found, Detections):
        raise BadInput(f"the detector gave {type(found).__name__}, Detections are needed")
    return found


def check(settings: Settings) -> None:
    """Raise BadInput if people cannot be followed so."""
    parse_tiles(settings.tiles)
    if settings.tracker not in TRACKERS:
        raise BadInput(f"there is no `tracker` {settings.tracker}: choose {' or '.join(TRACKERS)}")
