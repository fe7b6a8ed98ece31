"""What is known of each person of a stream, as arrays."""

from dataclasses import dataclass, fields

import numpy as np

from hrpose_rt.geometry import middles
from hrpose_rt.tracking.appearance import LENGTH
from hrpose_rt.types import F32, F64, I64, NO_ID, Bools

NEVER = -1  # the age of a pose that there is none of
# What a person keeps when a new detection is found; the rest comes with it.
CARRIED = ("ids", "points", "drift", "sure", "posed_s", "age", "usual", "looks", "speed", "met_s", "sights")


@dataclass(slots=True)
class People:
    """Row i is person i of the frame.

    Attributes:
        ids: (N,) ours, -1 until known.
        track: (N,) the tracker's.
        box: (N, 4) now, pixels; it may reach out of the frame.
        found: (N, 4) at `seen_s`.
        speed: (N, 2) pixels a second.
        seen_s, met_s: (N,) when detected last and first.
        sights: (N,) detections so far.
        told: (N,) whether the pictures told how they went, ever since `seen_s`.
        score: (N,) of the last detection.
        origin: (N,) of `box`.
        points, drift: (N, K, 2) keypoints now, and the filter's idea of their speed, in pixels a second.
        sure: (N, K) their scores.
        posed_s: (N,) when posed last, -inf for never.
        age: (N,) frames since then.
        usual: (N,) mean score of the joints, as it usually is.
        looks: (N, D) see `looks`.
    """

    ids: I64
    track: I64
    box: F32
    found: F32
    speed: F32
    seen_s: F64
    met_s: F64
    sights: I64
    told: Bools
    score: F32
    origin: I64
    points: F32
    drift: F32
    sure: F32
    posed_s: F64
    age: I64
    usual: F32
    looks: F32

    @classmethod
    def nobody(cls, n: int, joints: int) -> "People":
        """`n` people of whom nothing is known."""

        def zeros(*shape: int) -> F32:
            return np.zeros((n, *shape), np.float32)

        unknown = np.full(n, NO_ID, np.int64)
        return cls(
            ids=unknown,
            track=unknown.copy(),
            box=zeros(4),
            found=zeros(4),
            speed=zeros(2),
            seen_s=np.zeros(n),
            met_s=np.zeros(n),
            sights=np.zeros(n, np.int64),
            told=np.ones(n, np.bool_),
            score=zeros(),
            origin=np.zeros(n, np.int64),
            points=zeros(joints, 2),
            drift=zeros(joints, 2),
            sure=zeros(joints),
            posed_s=np.full(n, -np.inf),
            age=np.full(n, NEVER, np.int64),
            usual=zeros(),
            looks=zeros(LENGTH),
        )

    @property
    def heights(self) -> F32:
        """(N,) of the boxes in pixels, at least 1."""
        return np.asarray(np.maximum(self.box[:, 3] - self.box[:, 1], 1), np.float32)

    def shapes(self, rows: I64) -> F32:
        """Keypoints (N, K, 2) in body heights around the middle of the box; NaN of the never posed."""
        shapes = (self.points[rows] - middles(self.box[rows])[:, None]) / self.heights[rows, None, None]
        shapes[self.age[rows] < 0] = np.nan
        return np.asarray(shapes, np.float32)

    def take(self, rows: I64 | Bools) -> "People":
        """Those of these rows."""
        return People(*(getattr(self, field.name)[rows] for field in fields(self)))

    def join(self, other: "People") -> "People":
        """These, then the others."""
        return People(
            *(np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self))
        )

    def carry(self, rows: I64, other: "People", others: I64) -> None:
        """What `rows` keep of themselves, who were the others' rows `others`."""
        for name in CARRIED:
            getattr(self, name)[rows] = getattr(other, name)[others]
