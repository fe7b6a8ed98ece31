"""The tracks of one stream as arrays, one row per person."""

from dataclasses import dataclass, fields

import numpy as np

from hrpose_rt.tracking.appearance import DESCRIPTOR_SIZE
from hrpose_rt.tracking.reid import LostTrack
from hrpose_rt.types import F32, F64, I64, NO_ID, Bools

NEVER = -1  # pose age of a person whose pose was never estimated
# The fields a track keeps when a new detection matches it. The detection sets the others.
KEPT_FIELDS = (
    *("track_ids", "keypoints", "filter_velocity", "keypoint_scores", "last_posed_s", "pose_age"),
    *("mean_score", "appearance", "velocity", "first_seen_s", "hits"),
)


@dataclass(slots=True)
class Tracks:
    """N tracks; row i is one person of the current frame.

    Attributes:
        track_ids: (N,) ids in the results, -1 until confirmed.
        track_number: (N,) the associator's number.
        box: (N, 4) current box, xyxy pixels; it may extend beyond the frame.
        detected_box: (N, 4) box of the last detection.
        velocity: (N, 2) pixels per second.
        last_seen_s, first_seen_s: (N,) times of the last and the first detection.
        hits: (N,) number of detections.
        flow_valid: (N,) whether optical flow propagated the box in every frame since the last detection.
        score: (N,) score of the last detection.
        origin: (N,) `Origin` of the box.
        keypoints: (N, K, 2) current keypoints, pixels.
        filter_velocity: (N, K, 2) state of the One-Euro filter, pixels per second.
        keypoint_scores: (N, K).
        last_posed_s: (N,) time of the last estimated pose, -inf if there is none.
        pose_age: (N,) frames since then, `NEVER` if there is none.
        mean_score: (N,) moving average of the mean keypoint score.
        appearance: (N, D) see `appearance.colour_histograms`.
    """

    track_ids: I64
    track_number: I64
    box: F32
    detected_box: F32
    velocity: F32
    last_seen_s: F64
    first_seen_s: F64
    hits: I64
    flow_valid: Bools
    score: F32
    origin: I64
    keypoints: F32
    filter_velocity: F32
    keypoint_scores: F32
    last_posed_s: F64
    pose_age: I64
    mean_score: F32
    appearance: F32

    @classmethod
    def empty(cls, n: int, joints: int) -> "Tracks":
        """`n` tracks without data."""
        unknown = np.full(n, NO_ID, np.int64)
        return cls(
            track_ids=unknown,
            track_number=unknown.copy(),
            box=np.zeros((n, 4), np.float32),
            detected_box=np.zeros((n, 4), np.float32),
            velocity=np.zeros((n, 2), np.float32),
            last_seen_s=np.zeros(n),
            first_seen_s=np.zeros(n),
            hits=np.zeros(n, np.int64),
            flow_valid=np.ones(n, np.bool_),
            score=np.zeros(n, np.float32),
            origin=np.zeros(n, np.int64),
            keypoints=np.zeros((n, joints, 2), np.float32),
            filter_velocity=np.zeros((n, joints, 2), np.float32),
            keypoint_scores=np.zeros((n, joints), np.float32),
            last_posed_s=np.full(n, -np.inf),
            pose_age=np.full(n, NEVER, np.int64),
            mean_score=np.zeros(n, np.float32),
            appearance=np.zeros((n, DESCRIPTOR_SIZE), np.float32),
        )

    @property
    def heights(self) -> F32:
        """(N,) box heights in pixels, at least 1."""
        return np.asarray(np.maximum(self.box[:, 3] - self.box[:, 1], 1), np.float32)

    def lost(self, rows: I64) -> list[LostTrack]:
        """Copies of `rows` for re-identification."""
        tracks = self.select(rows)
        return [
            LostTrack(
                track_id=int(tracks.track_ids[i]),
                box=tracks.detected_box[i],
                velocity=tracks.velocity[i],
                appearance=tracks.appearance[i],
                last_seen_s=float(tracks.last_seen_s[i]),
            )
            for i in range(len(rows))
        ]

    def select(self, rows: I64 | Bools) -> "Tracks":
        """A copy of some rows, by index or by mask."""
        return Tracks(*(getattr(self, field.name)[rows] for field in fields(self)))

    def concat(self, other: "Tracks") -> "Tracks":
        """The rows of both, those of `other` last."""
        return Tracks(
            *(np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self))
        )

    def copy_from(self, rows: I64, other: "Tracks", other_rows: I64) -> None:
        """Copy `KEPT_FIELDS` from the rows `other_rows` of `other` into `rows`."""
        for name in KEPT_FIELDS:
            getattr(self, name)[rows] = getattr(other, name)[other_rows]
