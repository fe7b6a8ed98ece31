"""Everybody who is followed in one stream: where they are now, whether they were looked at or not.

Only detections keep somebody in it: no box that was carried on ever confirms itself. Between detections,
boxes and joints go where the pictures show them going.
"""

from dataclasses import dataclass, field

import numpy as np

from hrpose_rt.geometry import iou, joint_similarity, middles
from hrpose_rt.skeleton import Skeleton
from hrpose_rt.tracking.appearance import looks
from hrpose_rt.tracking.association import Tracker
from hrpose_rt.tracking.one_euro import one_euro
from hrpose_rt.tracking.optical_flow import Motion, lattice, middle_of
from hrpose_rt.tracking.reid import FASTEST, MAYBE, Lost, Memory
from hrpose_rt.tracking.tracks import People
from hrpose_rt.types import F32, I64, NO_ID, U8, Bools, Detections, Origin, Poses

CONFIRMED = 2  # detections
LEAST = 2.0  # pixels of somebody's box that lie in the frame
DOUBLE_IOU, DOUBLE_OKS = 0.5, 0.85  # above both, two rows are one person
FEWEST_JOINTS = 4  # that tell how a body moves
LIMBS = 0.5  # of what a joint is seen to do besides going along with the body
SURE = 0.3  # of a keypoint that tells where somebody is
ALONE_IOU = 0.15  # with nobody else's box
LOOKS_SHARE = 0.2  # of the newest sight in what somebody looks like


@dataclass(slots=True)
class Crowd:
    """The people of a stream from frame to frame.

    Attributes:
        tracker: Tells whom the detections show.
        skeleton: Of the poses.
        memory: Who went out of sight.
        max_age_s: Without a detection for so long, somebody is gone.
        smooth: Whether keypoints are filtered.
    """

    tracker: Tracker
    skeleton: Skeleton
    memory: Memory
    max_age_s: float = 0.5
    smooth: bool = True
    _people: People = field(init=False)
    _motion: Motion = field(default_factory=Motion)
    _next_id: int = 0
    _time_s: float = 0.0
    _frame_hw: tuple[int, int] = (0, 0)
    _sigmas: F32 = field(init=False)

    def __post_init__(self) -> None:
        self._people = People.nobody(0, len(self.skeleton.joints))
        self._sigmas = np.array(self.skeleton.sigmas, np.float32)

    def __len__(self) -> int:
        return len(self._people.ids)

    @property
    def boxes(self) -> F32:
        """(N, 4) where people are now, in the frame."""
        h, w = self._frame_hw
        return np.asarray(self._people.box.clip(0, (w, h, w, h)), np.float32)

    @property
    def ids(self) -> I64:
        """(N,) theirs; -1 until known."""
        return self._people.ids

    @property
    def confirmed(self) -> Bools:
        """(N,) who was detected more than once."""
        return np.asarray(self._people.sights >= CONFIRMED, np.bool_)

    @property
    def age(self) -> I64:
        """(N,) frames since their pose was estimated; -1 never."""
        return self._people.age

    @property
    def heights(self) -> F32:
        """(N,) of their boxes in pixels, at least 1."""
        return self._people.heights

    @property
    def speeds(self) -> F32:
        """(N,) body heights a second."""
        return np.asarray(np.linalg.norm(self._people.speed, axis=1) / self.heights, np.float32)

    @property
    def doubt(self) -> F32:
        """(N,) how far the joints' scores fell below what is usual for the person, in 0..1."""
        people = self._people
        now = people.sure.mean(axis=1) if len(self) else people.usual
        return np.asarray(np.clip(1 - now / np.maximum(people.usual, 1e-3), 0, 1), np.float32)

    def detections(self) -> Detections:
        """The people as detections, found or carried on."""
        return Detections(self.boxes, self._people.score.copy(), self._people.origin.copy())

    def advance(self, image: U8, time_s: float) -> None:
        """Move everybody on to the next frame, (H, W, 3) at `time_s`; who leaves it is gone.

        A frame from before the last one begins another film.
        """
        if time_s < self._time_s:
            self._people = People.nobody(0, len(self.skeleton.joints))
            self.memory.forget()
        since, self._time_s = time_s - self._time_s, time_s
        self._frame_hw = (image.shape[0], image.shape[1])
        self._motion.see(image)
        people = self._people
        people.age[people.age >= 0] += 1
        sure = people.sure >= SURE
        posed = (people.age >= 0) & (sure.sum(axis=1) >= FEWEST_JOINTS)
        points = np.where(posed[:, None, None], people.points, lattice(people.box, sure.shape[1]))
        moved, told = self._motion.follow(points)
        counted = told & (sure | ~posed[:, None])
        seen = counted.sum(axis=1) >= FEWEST_JOINTS
        as_before = people.speed * min(since, self.max_age_s)
        body = np.where(seen[:, None], middle_of(moved, counted), as_before).astype(np.float32)
        limbs = np.where((told & posed[:, None])[..., None], moved - body[:, None], 0)
        people.points += body[:, None] + LIMBS * limbs
        people.box = people.box + np.tile(body, 2)
        people.told &= seen
        boxes = self.boxes
        there = np.logical_and.reduce((boxes[:, 2:] - boxes[:, :2]) >= LEAST, axis=1)
        self._leave(people.take(~there))
        self._people = people.take(there)

    def scene_changed(self) -> None:
        """The film was cut: nobody is carried on, the memory alone may know somebody again."""
        self._leave(self._people)
        self._people = People.nobody(0, len(self.skeleton.joints))

    def undetected(self) -> None:
        """Go on without a look: who was not detected for too long is gone."""
        people, recent = self._people, self._recent
        people.origin = np.full(len(self), Origin.TRACKED, np.int64)
        self._leave(people.take(~recent))
        self._people = people.take(recent)

    def detected(self, found: Detections, image: U8, looked: Bools | None = None) -> None:
        """Take what a detector found in the frame that `advance` was told of.

        Args:
            found: The detections.
            image: The frame, (H, W, 3).
            looked: (N,) whom of those known it would have found; all if None. The others stay.
        """
        found, time_s = _finite(found), self._time_s
        old = self._people
        seen = looks(image, found.boxes)
        track = self.tracker.update(found, seen, time_s, old)
        row_of = {number: row for row, number in enumerate(old.track.tolist())}
        source = np.array([row_of.get(number, -1) for number in track.tolist()], np.int64)
        left = np.ones(len(old.ids), np.bool_)
        left[source[source >= 0]] = False
        stay = np.zeros_like(left) if looked is None else left & ~looked
        stay &= self._recent
        self._leave(old.take(left & ~stay))
        kept = old.take(stay)
        kept.origin[:] = Origin.TRACKED
        people = People.nobody(len(found), len(self.skeleton.joints))
        people.met_s[:] = time_s
        known = source >= 0
        people.carry(np.flatnonzero(known), old, source[known])
        people.track, people.box, people.found = track, found.boxes.copy(), found.boxes.copy()
        people.score, people.origin = found.scores, found.origin
        people.seen_s[:] = time_s
        people.sights += 1
        self._learn_speed(people, old, source, time_s)
        crowded = (iou(found.boxes, found.boxes) > ALONE_IOU).sum(axis=1) > 1
        share = np.where(crowded, 0, LOOKS_SHARE)[known, None]  # somebody else is in the box, too
        seen[known] = share * seen[known] + (1 - share) * people.looks[known]
        people.looks = seen / np.maximum(np.linalg.norm(seen, axis=1, keepdims=True), 1e-6)
        self._people = people.join(kept)

    def posed(self, rows: I64, poses: Poses) -> None:
        """Take the poses of some of the people, row i of `poses` being that of `rows[i]`."""
        people, time_s = self._people, self._time_s
        before = np.isfinite(people.posed_s[rows])
        dt = np.where(before, time_s - people.posed_s[rows], 1).astype(np.float32).clip(1e-3)
        measured = poses.keypoints
        if self.smooth and len(rows):
            filtered, drift = one_euro(
                people.points[rows], people.drift[rows], measured, dt, self.heights[rows]
            )
            measured = np.where(before[:, None, None], filtered, measured).astype(np.float32)
            people.drift[rows] = np.where(before[:, None, None], drift, 0)
        people.points[rows], people.sure[rows] = measured, poses.scores
        people.posed_s[rows], people.age[rows] = time_s, 0
        mean = poses.scores.mean(axis=1) if len(rows) else people.usual[rows]
        people.usual[rows] = np.where(before, 0.9 * people.usual[rows] + 0.1 * mean, mean)

    def identify(self) -> None:
        """Give ids to those who are confirmed and have none: their own again, if they were known."""
        people, time_s = self._people, self._time_s
        new = np.flatnonzero((people.ids == NO_ID) & self.confirmed)
        if not len(new):
            return
        watched_s = time_s - people.met_s[new]
        ids = self.memory.back(people.box[new], people.shapes(new), people.looks[new], watched_s, time_s)
        decided = ids != MAYBE
        ids, new = ids[decided], new[decided]
        unknown = ids < 0
        ids[unknown] = np.arange(self._next_id, self._next_id + int(unknown.sum()))
        self._next_id += int(unknown.sum())
        people.ids[new] = ids

    def part_doubles(self) -> None:
        """Where two rows are one person, the one that was detected, or known for longer, stays."""
        people = self._people
        if len(people.ids) < 2:
            return
        a, b = np.nonzero(np.triu(iou(people.box, people.box) > DOUBLE_IOU, 1))
        both = (people.age[a] >= 0) & (people.age[b] >= 0)
        a, b = a[both], b[both]
        if not len(a):
            return
        areas = (self.heights[a] * (people.box[a, 2] - people.box[a, 0])).astype(np.float32)
        alike = joint_similarity(people.points[a], people.points[b], areas, self._sigmas).mean(axis=1)
        a, b = a[alike > DOUBLE_OKS], b[alike > DOUBLE_OKS]

        def rank(i: int) -> tuple[bool, bool, int]:  # smaller stays
            known = int(people.ids[i])
            return people.origin[i] != Origin.DETECTED, known < 0, known

        drop = np.zeros(len(people.ids), np.bool_)
        for i, j in zip(a.tolist(), b.tolist(), strict=True):
            if not drop[i] and not drop[j]:
                drop[max(i, j, key=rank)] = True
        self._people = people.take(~drop)

    def poses(self) -> Poses:
        """Everybody's pose now: fresh, or carried on from the last one."""
        people = self._people
        return Poses(people.points.copy(), people.sure.copy(), people.age == 0, people.age.copy())

    @property
    def _recent(self) -> Bools:
        """(N,) who was detected not too long ago."""
        most = np.where(self.confirmed, self.max_age_s, self.max_age_s / 2)
        return np.asarray(self._time_s - self._people.seen_s <= most, np.bool_)

    def _learn_speed(self, people: People, old: People, source: I64, time_s: float) -> None:
        known = np.flatnonzero(source >= 0)
        before = source[known]
        gap = (time_s - old.seen_s[before]).clip(1e-3)[:, None]
        # Boxes that are found jitter; those carried on from the last find tell better where somebody went.
        now = np.where(old.told[before, None], old.box[before], people.box[known])
        measured = (middles(now) - middles(old.found[before])) / gap
        most = FASTEST * people.heights[known, None]
        share = np.where((old.speed[before] == 0).all(axis=1), 1.0, np.minimum(0.5, 5 * gap[:, 0]))[:, None]
        speed = old.speed[before] + share * (measured - old.speed[before])
        people.speed[known] = speed.clip(-most, most)

    def _leave(self, people: People) -> None:
        rows = np.flatnonzero(people.ids != NO_ID)
        shapes = people.shapes(rows)
        self.memory.remember(
            [
                Lost(
                    *(int(people.ids[i]), people.found[i], people.speed[i], shapes[n], people.looks[i]),
                    time_s=float(people.seen_s[i]),
                )
                for n, i in enumerate(rows.tolist())
            ]
        )


def _finite(found: Detections) -> Detections:
    """Without boxes that are none."""
    rows = np.isfinite(found.boxes).all(axis=1) & (found.boxes[:, 2:] > found.boxes[:, :2]).all(axis=1)
    if rows.all():
        return found
    return Detections(found.boxes[rows], found.scores[rows], found.origin[rows])
