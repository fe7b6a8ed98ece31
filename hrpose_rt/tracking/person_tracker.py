"""Track the people of one stream: boxes, poses and ids.

Only detections keep a track alive. A box propagated by optical flow does not.
"""

from dataclasses import dataclass, field

import numpy as np

from hrpose_rt.geometry import centres, iou
from hrpose_rt.skeleton import Skeleton
from hrpose_rt.tracking.appearance import colour_histograms
from hrpose_rt.tracking.association import Associator
from hrpose_rt.tracking.duplicates import duplicates
from hrpose_rt.tracking.one_euro import one_euro
from hrpose_rt.tracking.optical_flow import OpticalFlow, masked_median, torso_grid
from hrpose_rt.tracking.reid import MAX_SPEED_HEIGHTS_S, UNDECIDED, LostTracks
from hrpose_rt.tracking.tracks import Tracks
from hrpose_rt.types import F32, I64, NO_ID, U8, Bools, Detections, Origin, Poses, TrackedPeople

MIN_HITS = 2  # detections that confirm a track
MIN_VISIBLE_PX = 2.0  # side of a box inside the frame, below which the person has left it
MIN_KEYPOINT_SCORE = 0.3  # of a keypoint that is used to locate a person
MIN_FLOW_KEYPOINTS = 4  # keypoints with valid flow that are needed for the motion of a body
LIMB_FLOW_GAIN = 0.5  # share of a keypoint's flow relative to its body that is applied
ISOLATED_IOU = 0.15  # IoU with every other box, below which a box shows only one person
APPEARANCE_EMA = 0.2  # weight of the newest appearance
SCORE_EMA = 0.1  # weight of the newest mean keypoint score
VELOCITY_EMA, VELOCITY_EMA_PER_S = 0.5, 5.0  # weight of the newest velocity: at most, and per second


@dataclass(slots=True)
class PersonTracker:
    """The tracks of one stream. Per frame: `predict`, `update`, then `finish`.

    Attributes:
        associator: Matches detections to tracks.
        skeleton: Skeleton of the poses.
        lost: Tracks that may be re-identified.
        max_age_s: Seconds without a detection after which a track is lost.
        smooth: Whether to filter the keypoints.
    """

    associator: Associator
    skeleton: Skeleton
    lost: LostTracks
    max_age_s: float = 0.5
    smooth: bool = True
    _tracks: Tracks = field(init=False)
    _flow: OpticalFlow = field(default_factory=OpticalFlow)
    _next_id: int = 0
    _time_s: float = 0.0
    _image: U8 = field(init=False)
    _sigmas: F32 = field(init=False)

    def __post_init__(self) -> None:
        self._tracks = self._no_tracks()
        self._image = np.zeros((0, 0, 3), np.uint8)
        self._sigmas = np.array(self.skeleton.sigmas, np.float32)

    def __len__(self) -> int:
        return len(self._tracks.track_ids)

    @property
    def boxes(self) -> F32:
        """(N, 4) current boxes, clipped to the frame."""
        h, w = self._image.shape[:2]
        return np.asarray(self._tracks.box.clip(0, (w, h, w, h)), np.float32)

    @property
    def track_ids(self) -> I64:
        """(N,) ids, -1 until confirmed."""
        return self._tracks.track_ids

    @property
    def confirmed(self) -> Bools:
        """(N,) tracks with at least `MIN_HITS` detections."""
        return np.asarray(self._tracks.hits >= MIN_HITS, np.bool_)

    @property
    def pose_age(self) -> I64:
        """(N,) frames since the last estimated pose; -1 if there is none."""
        return self._tracks.pose_age

    @property
    def speeds(self) -> F32:
        """(N,) body heights per second."""
        speed = np.linalg.norm(self._tracks.velocity, axis=1)
        return np.asarray(speed / self._tracks.heights, np.float32)

    @property
    def score_drop(self) -> F32:
        """(N,) how far keypoint scores fell below the track's mean, as a share of it, in 0..1."""
        tracks = self._tracks
        score = tracks.keypoint_scores.mean(axis=1) if len(self) else tracks.mean_score
        return np.asarray(np.clip(1 - score / np.maximum(tracks.mean_score, 1e-3), 0, 1), np.float32)

    def predict(self, image: U8, time_s: float) -> None:
        """Propagate all tracks to the next frame by optical flow; tracks that leave the frame are lost.

        Where the flow is not valid, a box moves at its last velocity. A time before the last one starts a
        new video without tracks.

        Args:
            image: (H, W, 3) uint8 BGR; in use until the next call.
            time_s: Seconds from the start of the stream.
        """
        if time_s < self._time_s:
            self._tracks = self._no_tracks()
            self.lost.clear()
        dt_s, self._time_s = time_s - self._time_s, time_s
        self._image = image
        self._flow.add_frame(image)
        tracks = self._tracks
        tracks.pose_age[tracks.pose_age >= 0] += 1
        confident = tracks.keypoint_scores >= MIN_KEYPOINT_SCORE
        posed = (tracks.pose_age >= 0) & (confident.sum(axis=1) >= MIN_FLOW_KEYPOINTS)
        grid = torso_grid(tracks.box, confident.shape[1])
        motion, valid = self._flow.displacements(np.where(posed[:, None, None], tracks.keypoints, grid))
        counted = valid & (confident | ~posed[:, None])
        flow_valid = counted.sum(axis=1) >= MIN_FLOW_KEYPOINTS
        at_velocity = tracks.velocity * min(dt_s, self.max_age_s)
        body = np.where(flow_valid[:, None], masked_median(motion, counted), at_velocity).astype(np.float32)
        limbs = np.where((valid & posed[:, None])[..., None], motion - body[:, None], 0)
        tracks.keypoints += body[:, None] + LIMB_FLOW_GAIN * limbs
        tracks.box = tracks.box + np.tile(body, 2)
        tracks.flow_valid &= flow_valid
        boxes = self.boxes
        self._keep(np.logical_and.reduce((boxes[:, 2:] - boxes[:, :2]) >= MIN_VISIBLE_PX, axis=1))

    def scene_changed(self) -> None:
        """Lose all tracks at a scene cut; they may be re-identified."""
        self._keep(np.zeros(len(self), np.bool_))

    def update(self, detections: Detections | None, searched: Bools | None = None) -> None:
        """Match detections to tracks. A track without one is lost, immediately or after `max_age_s`.

        Args:
            detections: Detections of the frame; None if the detector did not run on it.
            searched: (N,) tracks that the detector could have found, None for all. The others stay until
                `max_age_s`.
        """
        if detections is None:
            self._tracks.origin = np.full(len(self), Origin.TRACKED, np.int64)
            self._keep(self._detected_recently)
            return
        detections, old = _valid(detections), self._tracks
        appearance = colour_histograms(self._image, detections.boxes)
        number = self.associator.match(detections, appearance, self._time_s, old)
        row_of = {number: row for row, number in enumerate(old.track_number.tolist())}
        old_rows = np.array([row_of.get(n, -1) for n in number.tolist()], np.int64)
        unmatched = np.ones(len(old.track_ids), np.bool_)
        unmatched[old_rows[old_rows >= 0]] = False
        undetected = self._undetected(unmatched, searched) if unmatched.any() else None
        self._tracks = self._continued(detections, appearance, number, old, old_rows)
        if undetected:
            self._tracks = self._tracks.concat(undetected)

    def finish(self, rows: I64, poses: Poses) -> TrackedPeople:
        """Take new poses, give ids to confirmed tracks and remove duplicates.

        Args:
            rows: (n,) tracks that were posed on this frame.
            poses: Their poses, in the same order.

        Returns:
            All people of the frame, with fresh or propagated poses; their arrays are copies.
        """
        self._take_poses(rows, poses)
        self._assign_ids()
        removed = duplicates(self._tracks, self._sigmas)
        if removed.any():
            self._tracks = self._tracks.select(~removed)
        tracks = self._tracks
        return TrackedPeople(
            Detections(self.boxes, tracks.score.copy(), tracks.origin.copy()),
            tracks.track_ids.copy(),
            Poses(
                keypoints=tracks.keypoints.copy(),
                scores=tracks.keypoint_scores.copy(),
                fresh=tracks.pose_age == 0,
                age=tracks.pose_age.copy(),
            ),
        )

    def _undetected(self, unmatched: Bools, searched: Bools | None) -> Tracks | None:
        """Lose the tracks `unmatched` (N,), but return those that the detector could not have found."""
        kept = np.zeros_like(unmatched) if searched is None else unmatched & ~searched
        kept &= self._detected_recently
        self._lose(self._tracks, unmatched & ~kept)
        if not kept.any():
            return None
        undetected = self._tracks.select(kept)
        undetected.origin[:] = Origin.TRACKED
        return undetected

    def _continued(
        self, detections: Detections, appearance: F32, number: I64, old: Tracks, old_rows: I64
    ) -> Tracks:
        """Turn detections into tracks that keep fields of the old track where `old_rows` (N,) is not -1."""
        tracks = Tracks.empty(len(detections), len(self.skeleton.joints))
        matched = np.flatnonzero(old_rows >= 0)
        tracks.first_seen_s[:] = self._time_s
        tracks.copy_from(matched, old, old_rows[matched])
        tracks.track_number = number
        tracks.box, tracks.detected_box = detections.boxes.copy(), detections.boxes.copy()
        tracks.score, tracks.origin = detections.scores, detections.origin
        tracks.last_seen_s[:] = self._time_s
        tracks.hits += 1
        self._update_velocity(tracks, old, old_rows)
        # If another box overlaps this one, the histogram would mix both people.
        overlapped = (iou(detections.boxes, detections.boxes) > ISOLATED_IOU).sum(axis=1) > 1
        share = np.where(overlapped, 0, APPEARANCE_EMA)[matched, None]
        appearance[matched] = share * appearance[matched] + (1 - share) * tracks.appearance[matched]
        length = np.linalg.norm(appearance, axis=1, keepdims=True)
        tracks.appearance = appearance / np.maximum(length, 1e-6)
        return tracks

    def _update_velocity(self, tracks: Tracks, old: Tracks, old_rows: I64) -> None:
        matched = np.flatnonzero(old_rows >= 0)
        previous = old_rows[matched]
        gap_s = (self._time_s - old.last_seen_s[previous]).clip(1e-3)[:, None]
        # Detected boxes jitter. A box propagated since the last detection shows the motion better.
        current = np.where(old.flow_valid[previous, None], old.box[previous], tracks.box[matched])
        measured = (centres(current) - centres(old.detected_box[previous])) / gap_s
        limit = MAX_SPEED_HEIGHTS_S * tracks.heights[matched, None]
        first = (old.velocity[previous] == 0).all(axis=1)
        share = np.where(first, 1.0, np.minimum(VELOCITY_EMA, VELOCITY_EMA_PER_S * gap_s[:, 0]))[:, None]
        velocity = old.velocity[previous] + share * (measured - old.velocity[previous])
        tracks.velocity[matched] = velocity.clip(-limit, limit)

    def _take_poses(self, rows: I64, poses: Poses) -> None:
        tracks = self._tracks
        posed_before = np.isfinite(tracks.last_posed_s[rows])
        elapsed_s = np.where(posed_before, self._time_s - tracks.last_posed_s[rows], 1)
        dt_s = elapsed_s.astype(np.float32).clip(1e-3)
        keypoints = poses.keypoints
        if self.smooth and len(rows):
            filtered, velocity = one_euro(
                keypoints=tracks.keypoints[rows],
                filter_velocity=tracks.filter_velocity[rows],
                measured=keypoints,
                dt_s=dt_s,
                heights=tracks.heights[rows],
            )
            keypoints = np.where(posed_before[:, None, None], filtered, keypoints).astype(np.float32)
            tracks.filter_velocity[rows] = np.where(posed_before[:, None, None], velocity, 0)
        tracks.keypoints[rows], tracks.keypoint_scores[rows] = keypoints, poses.scores
        tracks.last_posed_s[rows], tracks.pose_age[rows] = self._time_s, 0
        score = poses.scores.mean(axis=1) if len(rows) else tracks.mean_score[rows]
        averaged = (1 - SCORE_EMA) * tracks.mean_score[rows] + SCORE_EMA * score
        tracks.mean_score[rows] = np.where(posed_before, averaged, score)

    def _assign_ids(self) -> None:
        """Give ids to confirmed tracks without one: the old id of a person who returned, or a new one."""
        tracks = self._tracks
        rows = np.flatnonzero((tracks.track_ids == NO_ID) & self.confirmed)
        if not len(rows):
            return
        ids = self.lost.reidentify(
            boxes=tracks.box[rows],
            appearance=tracks.appearance[rows],
            visible_s=self._time_s - tracks.first_seen_s[rows],
            time_s=self._time_s,
        )
        decided = ids != UNDECIDED
        ids, rows = ids[decided], rows[decided]
        new = ids == NO_ID
        ids[new] = np.arange(self._next_id, self._next_id + int(new.sum()))
        self._next_id += int(new.sum())
        tracks.track_ids[rows] = ids

    @property
    def _detected_recently(self) -> Bools:
        """(N,) tracks detected less than `max_age_s` ago, or half of it while unconfirmed."""
        limit_s = np.where(self.confirmed, self.max_age_s, self.max_age_s / 2)
        return np.asarray(self._time_s - self._tracks.last_seen_s <= limit_s, np.bool_)

    def _keep(self, rows: Bools) -> None:
        """Keep these rows and lose all other tracks."""
        if not rows.all():
            self._lose(self._tracks, ~rows)
            self._tracks = self._tracks.select(rows)

    def _lose(self, tracks: Tracks, lost: Bools) -> None:
        """Store the rows `lost` (N,) that have an id, because they may be re-identified."""
        rows = np.flatnonzero(lost & (tracks.track_ids != NO_ID))
        if len(rows):
            self.lost.add(tracks.lost(rows))

    def _no_tracks(self) -> Tracks:
        return Tracks.empty(0, len(self.skeleton.joints))


def _valid(detections: Detections) -> Detections:
    """Remove boxes that are not finite or have no area."""
    boxes = detections.boxes
    rows = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    return detections if rows.all() else detections.select(np.flatnonzero(rows))
