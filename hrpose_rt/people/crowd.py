"""Everybody who is followed in one stream: where they are now, whether they were looked at or not.

The library's tracker sees detections alone, so no box that was predicted ever confirms itself; between
detections, boxes go on with their speed and with the poses found meanwhile.
"""

from dataclasses import dataclass, field

import numpy as np

from hrpose_rt.geometry import iou, joint_similarity
from hrpose_rt.people.looks import looks
from hrpose_rt.people.memory import MAYBE, Lost, Memory
from hrpose_rt.people.rows import People
from hrpose_rt.people.smoothing import one_euro
from hrpose_rt.people.tracking import UNCONFIRMED, Tracker
from hrpose_rt.skeleton import Skeleton
from hrpose_rt.types import F32, I64, U8, Bools, Detections, Origin, Poses

SAME_IOU = 0.3  # of somebody not confirmed yet, from one detection to the next
FASTEST = 3.0  # body heights a second; what is faster is another person
AHEAD_S = 0.4  # a pose is carried on for no longer
DOUBLE_IOU, DOUBLE_OKS = 0.5, 0.85  # above both, two rows are one person
FEWEST_JOINTS = 5  # that tell a body's speed
LIMBS = 0.5  # of what a joint does besides going along with the body
SURE = 0.3  # of a keypoint that tells where somebody is
ALONE_IOU = 0.15  # with nobody else's box
WAIT_S = 0.6  # for a clearer sight, before somebody who may be known gets a new id
LOOKS_SHARE = 0.2  # of the newest sight in what somebody looks like


@dataclass(slots=True)
class Crowd:
    """The people of a stream from frame to frame.

    Attributes:
        tracker: The library's ids, from detections alone.
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
    _next_id: int = 0
    _sigmas: F32 = field(init=False)

    def __post_init__(self) -> None:
        self._people = People.nobody(0, len(self.skeleton.joints))
        self._sigmas = np.array(self.skeleton.sigmas, np.float32)

    def __len__(self) -> int:
        return len(self._people.ids)

    @property
    def boxes(self) -> F32:
        """(N, 4) where people are now."""
        return self._people.box

    @property
    def ids(self) -> I64:
        """(N,) theirs; -1 until confirmed."""
        return self._people.ids

    @property
    def confirmed(self) -> Bools:
        """(N,) who was detected more than once."""
        return np.asarray(self._people.track != UNCONFIRMED, np.bool_)

    @property
    def age(self) -> I64:
        """(N,) frames since their pose was estimated; -1 never."""
        return self._people.age

    @property
    def heights(self) -> F32:
        """(N,) of their boxes in pixels, at least 1."""
        return np.asarray(np.maximum(self._people.box[:, 3] - self._people.box[:, 1], 1), np.float32)

    @property
    def speeds(self) -> F32:
        """(N,) body heights a second."""
        speed = (self._people.speed[:, :2] + self._people.speed[:, 2:]) / 2
        return np.asarray(np.linalg.norm(speed, axis=1) / self.heights, np.float32)

    @property
    def doubt(self) -> F32:
        """(N,) how far the joints' scores fell below what is usual for the person, in 0..1."""
        people = self._people
        now = people.sure.mean(axis=1) if len(self) else people.usual
        return np.asarray(np.clip(1 - now / np.maximum(people.usual, 1e-3), 0, 1), np.float32)

    def detections(self) -> Detections:
        """The people as detections, found or predicted."""
        return Detections(self._people.box, self._people.score, self._people.origin)

    def predict(self, time_s: float, frame_hw: tuple[int, int]) -> None:
        """Move everybody on to `time_s`, without a look; who was not detected for too long is gone."""
        people = self._people
        here = (time_s - people.seen_s <= self.max_age_s) & (people.track != UNCONFIRMED)
        here |= (time_s - people.seen_s <= self.max_age_s / 2) & (people.track == UNCONFIRMED)
        self._leave(~here)
        people = self._people = people.take(here)
        self._move(time_s)
        h, w = frame_hw
        inside = people.box.clip(0, np.array([w, h, w, h], np.float32))
        there = ((inside[:, 2:] - inside[:, :2]) >= 2).all(axis=1)
        people.box, people.origin = inside, np.full(len(people.ids), Origin.TRACKED, np.int64)
        self._leave(~there)
        self._people = people.take(there)
        self._people.age[self._people.age >= 0] += 1

    def detected(self, found: Detections, time_s: float, image: U8, looked: Bools | None = None) -> None:
        """Take what a detector found.

        Args:
            found: The detections.
            time_s: Of the frame.
            image: The frame, (H, W, 3).
            looked: (N,) whom of those known it would have found; all if None. The others stay.
        """
        found = _finite(found)
        track = self.tracker.update(found, time_s)
        self._move(time_s)
        old = self._people
        source = self._continued(found, track)
        stay = np.ones(len(old.ids), np.bool_)
        stay[source[source >= 0]] = False
        gone = stay if looked is None else stay & looked
        stay = stay & ~gone & (time_s - old.seen_s <= self.max_age_s)
        self._leave(gone)
        kept = old.take(stay)
        kept.origin[:] = Origin.TRACKED
        people = People.nobody(len(found), len(self.skeleton.joints))
        people.met_s[:] = time_s
        known = source >= 0
        people.carry(np.flatnonzero(known), old, source[known])
        people.track, people.box, people.found = track, found.boxes.copy(), found.boxes.copy()
        people.score, people.origin = found.scores, found.origin
        people.seen_s[:] = time_s
        self._learn_speed(people, old, source, time_s)
        seen = looks(image, found.boxes)
        crowded = (iou(found.boxes, found.boxes) > ALONE_IOU).sum(axis=1) > 1
        share = np.where(crowded, 0, LOOKS_SHARE)[known, None]  # somebody else is in the box, too
        seen[known] = share * seen[known] + (1 - share) * people.looks[known]
        people.looks = seen / np.maximum(np.linalg.norm(seen, axis=1, keepdims=True), 1e-6)
        self._people = people.join(kept)
        self._people.age[self._people.age >= 0] += 1

    def posed(self, rows: I64, poses: Poses, time_s: float) -> None:
        """Take the poses of some of the people, row i of `poses` being that of `rows[i]`."""
        people = self._people
        before = np.isfinite(people.posed_s[rows])
        dt = np.where(before, time_s - people.posed_s[rows], 1).astype(np.float32).clip(1e-3)
        measured = poses.keypoints
        if self.smooth and len(rows):
            filtered, drift = one_euro(
                people.points[rows], people.drift[rows], measured, dt, self.heights[rows]
            )
            measured = np.where(before[:, None, None], filtered, measured).astype(np.float32)
            people.drift[rows] = np.where(before[:, None, None], drift, 0)
        elif len(rows):
            moved = (measured - people.points[rows]) / dt[:, None, None]
            people.drift[rows] = np.where(before[:, None, None], moved, 0)
        self._follow(rows, measured, poses.scores, before, dt)
        self._learn_from_joints(rows, poses.scores, before, time_s)
        people.points[rows], people.sure[rows] = measured, poses.scores
        people.posed_s[rows], people.age[rows] = time_s, 0
        mean = poses.scores.mean(axis=1) if len(rows) else people.usual[rows]
        people.usual[rows] = np.where(before, 0.9 * people.usual[rows] + 0.1 * mean, mean)

    def identify(self, time_s: float) -> None:
        """Give ids to those who are confirmed and have none: their own again, if they were known."""
        people = self._people
        new = np.flatnonzero((people.ids == UNCONFIRMED) & (people.track != UNCONFIRMED))
        if not len(new):
            return
        ids = self.memory.back(people.box[new], self._shapes(new), people.looks[new], time_s)
        wait = (ids == MAYBE) & (time_s - people.met_s[new] < WAIT_S)
        ids, new = ids[~wait], new[~wait]
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

    def poses(self, time_s: float) -> Poses:
        """Everybody's pose now: fresh, or carried on from the last one at constant speed."""
        people = self._people
        ahead = np.where(people.age > 0, time_s - people.posed_s, 0).clip(0, AHEAD_S).astype(np.float32)
        points = people.points + people.drift * ahead[:, None, None]
        return Poses(points.astype(np.float32), people.sure.copy(), people.age == 0, people.age.copy())

    def _move(self, time_s: float) -> None:
        people = self._people
        ahead = (time_s - people.seen_s).clip(0, self.max_age_s).astype(np.float32)
        people.box = people.found + people.speed * ahead[:, None]

    def _follow(self, rows: I64, points: F32, scores: F32, before: Bools, dt: F32) -> None:
        """Boxes that were predicted go where the pose has gone."""
        people = self._people
        sure = (scores >= SURE) & (people.sure[rows] >= SURE)
        count = sure.sum(axis=1)
        moved = ((points - people.points[rows]) * sure[..., None]).sum(axis=1)
        moved /= np.maximum(count, 1)[:, None]
        speed = (people.speed[rows, :2] + people.speed[rows, 2:]) / 2
        predicted = (people.origin[rows] == Origin.TRACKED) & before & (count >= 4)
        error = np.where(predicted[:, None], 0.5 * (moved - speed * dt[:, None]), 0)
        error = error.clip(-0.2 * self.heights[rows, None], 0.2 * self.heights[rows, None])
        shift = np.concatenate([error, error], axis=1).astype(np.float32)
        people.box[rows] += shift
        people.found[rows] += shift

    def _learn_from_joints(self, rows: I64, scores: F32, before: Bools, time_s: float) -> None:
        """The body's speed is that of most of its joints; a joint's own is doubtful, and counts in part."""
        people = self._people
        sure = (scores >= SURE) & (people.sure[rows] >= SURE)
        known = before & (sure.sum(axis=1) >= FEWEST_JOINTS)
        chosen = rows[known]
        if not len(chosen):
            return
        drift = people.drift[chosen]
        body = np.nanmedian(np.where(sure[known][..., None], drift, np.nan), axis=1)
        people.drift[chosen] = body[:, None] + LIMBS * (drift - body[:, None])
        most = FASTEST * self.heights[chosen, None]
        people.speed[chosen] = np.concatenate([body, body], axis=1).clip(-most, most)
        # The box stays where it is now: only what comes goes by the new speed.
        ahead = (time_s - people.seen_s[chosen]).clip(0, self.max_age_s)[:, None]
        people.found[chosen] = people.box[chosen] - people.speed[chosen] * ahead

    def _continued(self, found: Detections, track: I64) -> I64:
        """Which row each detection goes on from, -1 for none."""
        old = self._people
        by_track = {int(t): i for i, t in enumerate(old.track.tolist()) if t != UNCONFIRMED}
        source = np.array([by_track.pop(t, -1) for t in track.tolist()], np.int64).reshape(len(found))
        free = np.flatnonzero(old.track == UNCONFIRMED)
        new = np.flatnonzero(source < 0)
        overlap = iou(found.boxes[new], old.box[free])
        for _ in range(min(overlap.shape)):
            i, j = np.unravel_index(overlap.argmax(), overlap.shape)
            if overlap[i, j] < SAME_IOU:
                break
            source[new[i]] = free[j]
            overlap[i], overlap[:, j] = 0, 0
        return source

    def _learn_speed(self, people: People, old: People, source: I64, time_s: float) -> None:
        known = np.flatnonzero(source >= 0)
        before = source[known]
        gap = (time_s - old.seen_s[before]).clip(1e-3)[:, None]
        measured = (people.box[known] - old.found[before]) / gap
        most = FASTEST * np.maximum(people.box[known, 3] - people.box[known, 1], 1)[:, None]
        share = np.where((old.speed[before] == 0).all(axis=1), 1.0, np.minimum(0.5, 5 * gap[:, 0]))[:, None]
        speed = old.speed[before] + share * (measured - old.speed[before])
        people.speed[known] = speed.clip(-most, most)

    def _leave(self, gone: Bools) -> None:
        people = self._people
        rows = np.flatnonzero(gone & (people.ids != UNCONFIRMED))
        shapes = self._shapes(rows)
        self.memory.remember(
            [
                Lost(
                    *(int(people.ids[i]), people.found[i], people.speed[i], shapes[n], people.looks[i]),
                    time_s=float(people.seen_s[i]),
                )
                for n, i in enumerate(rows.tolist())
            ]
        )

    def _shapes(self, rows: I64) -> F32:
        """Keypoints (N, K, 2) in body heights around the middle of the box; NaN of the never posed."""
        people = self._people
        box = people.box[rows]
        middle, height = (box[:, :2] + box[:, 2:]) / 2, np.maximum(box[:, 3] - box[:, 1], 1)
        shapes = (people.points[rows] - middle[:, None]) / height[:, None, None]
        shapes[people.age[rows] < 0] = np.nan
        return np.asarray(shapes, np.float32)


def _finite(found: Detections) -> Detections:
    """Without boxes that are none."""
    rows = np.isfinite(found.boxes).all(axis=1) & (found.boxes[:, 2:] > found.boxes[:, :2]).all(axis=1)
    if rows.all():
        return found
    return Detections(found.boxes[rows], found.scores[rows], found.origin[rows])
