"""Joint and segment angles in the plane of the picture.

The definitions and signs are those of Sports2D (Pagnon and Kim, Journal of Open Source Software 9(101),
2024). They hold for a person who faces right. A person who faces left is mirrored first, so that flexion
has the same sign. docs/movement.md draws the angles.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from hrpose_rt.errors import BadInput
from hrpose_rt.skeleton import Skeleton
from hrpose_rt.types import F64, I64

MIN_SCORE = 0.3  # default lowest score of a keypoint that is used
RIGHT, LEFT = 1, -1  # where a person faces, in the picture
HALF_TURN, FULL_TURN = 180, 360

Segment = tuple[str, str]  # from one point to another
# Points that a skeleton may lack, and the two joints whose middle stands in.
MIDDLES = {
    "hip": ("left_hip", "right_hip"),
    "neck": ("left_shoulder", "right_shoulder"),
    "shoulders": ("left_shoulder", "right_shoulder"),
    "ankles": ("left_ankle", "right_ankle"),
}


@dataclass(frozen=True, slots=True)
class Angle:
    """How an angle is measured: a turn in the picture, clockwise, times `sign`, plus `offset`.

    >>> from hrpose_rt.kinematics.angles import Angle
    >>> shank = Angle("left_shank", segment=("left_knee", "left_ankle"))
    >>> shank.base is None
    True

    Attributes:
        name: Its column.
        segment: The segment that the turn ends at.
        base: The segment that the turn begins at; None for the horizontal, to the right.
        sign: 1 or -1.
        offset: Degrees.
        period: 360, or 180 for a line between two sides of the body.
    """

    name: str
    segment: Segment
    base: Segment | None = None
    sign: int = -1
    offset: float = 0.0
    period: int = FULL_TURN


def _angles_of(side: str) -> list[Angle]:
    toe, heel, ankle, knee, hip, shoulder, elbow, wrist, finger = (
        f"{side}_{name}" for name in "big_toe heel ankle knee hip shoulder elbow wrist forefinger1".split()
    )
    trunk = ("hip", "neck")
    return [
        Angle(ankle, (knee, ankle), (toe, heel), sign=1, offset=90),
        Angle(knee, (knee, ankle), (hip, knee), sign=1),
        Angle(hip, (knee, hip), trunk),
        Angle(shoulder, (elbow, shoulder), trunk),
        Angle(elbow, (elbow, wrist), (shoulder, elbow)),
        Angle(wrist, (wrist, finger), (elbow, wrist)),
        Angle(f"{side}_foot", (heel, toe)),
        Angle(f"{side}_shank", (knee, ankle)),
        Angle(f"{side}_thigh", (hip, knee)),
        Angle(f"{side}_arm", (shoulder, elbow)),
        Angle(f"{side}_forearm", (elbow, wrist)),
        Angle(f"{side}_hand", (wrist, finger)),
    ]


ANGLES = (
    *_angles_of("left"),
    *_angles_of("right"),
    Angle("pelvis", ("right_hip", "left_hip"), period=HALF_TURN),
    Angle("shoulders", ("right_shoulder", "left_shoulder"), period=HALF_TURN),
    Angle("trunk", ("hip", "neck")),
    Angle("head", ("neck", "head")),
)


def angle_names(skeleton: Skeleton) -> tuple[str, ...]:
    """The names of the A angles that `joint_angles` returns for this skeleton, in its order.

    >>> from hrpose_rt import COCO17, angle_names
    >>> angle_names(COCO17)[:3]
    ('left_knee', 'left_hip', 'left_shoulder')
    """
    return tuple(angle.name for angle in _plan(skeleton).angles)


def joint_angles(
    keypoints: ArrayLike,
    scores: ArrayLike,
    skeleton: Skeleton,
    facing: ArrayLike | None = None,
    min_score: float = MIN_SCORE,
) -> F64:
    """Angles (N, A) of N people in degrees; `angle_names` names the columns.

    A knee that is bent at a right angle, of a person who faces right:

    >>> import numpy as np
    >>> from hrpose_rt import COCO17, angle_names, joint_angles
    >>> keypoints = np.zeros((1, 17, 2))
    >>> for joint, xy in {"left_hip": (50, 50), "left_knee": (80, 50), "left_ankle": (80, 80)}.items():
    ...     keypoints[0, COCO17.joints.index(joint)] = xy
    >>> angles = joint_angles(keypoints, np.ones((1, 17)), COCO17, facing=[1])
    >>> float(angles[0, angle_names(COCO17).index("left_knee")])
    90.0

    Args:
        keypoints: (N, K, 2) pixels, y downwards.
        scores: (N, K).
        skeleton: The names of the K joints.
        facing: (N,) 1 for a person who faces right in the picture and -1 for one who faces left; None
            to decide by the feet, or without feet by the nose, and 1 where it is unknown.
        min_score: An angle is NaN if one of its keypoints scores less.

    Returns:
        (N, A) float64, -180 up to but not including 180; -90 to 90 for `pelvis` and `shoulders`. NaN where
        a keypoint is missing.

    Raises:
        BadInput: The arrays have other shapes.
    """
    known = known_keypoints(keypoints, scores, skeleton, min_score)
    signs = np.where(forward(known, skeleton) < 0, LEFT, RIGHT) if facing is None else np.asarray(facing)
    if signs.shape != (len(known),):
        raise BadInput(f"facing has shape {signs.shape}, ({len(known)},) was wanted")
    plan = _plan(skeleton)
    points = _with_middles(known, skeleton) * np.stack([signs, np.ones_like(signs)], axis=-1)[:, None]
    segment = points[:, plan.segment[1]] - points[:, plan.segment[0]]  # (N, A, 2)
    base = np.where(plan.horizontal[:, None], (1.0, 0.0), points[:, plan.base[1]] - points[:, plan.base[0]])
    cross = base[..., 0] * segment[..., 1] - base[..., 1] * segment[..., 0]
    turn = np.degrees(np.arctan2(cross, (base * segment).sum(axis=2)))
    degrees = plan.sign * turn + plan.offset
    wrapped = (degrees + plan.period / 2) % plan.period - plan.period / 2
    no_length = (segment == 0).all(axis=2) | (base == 0).all(axis=2)
    return np.where(no_length, np.nan, wrapped)


def known_keypoints(keypoints: ArrayLike, scores: ArrayLike, skeleton: Skeleton, min_score: float) -> F64:
    """A copy of the keypoints (N, K, 2), NaN where the score (N, K) is below `min_score` or NaN."""
    xy, score = np.asarray(keypoints, np.float64), np.asarray(scores, np.float64)
    wanted = (*score.shape[:1], len(skeleton.joints))
    if score.shape != wanted or xy.shape != (*wanted, 2):
        raise BadInput(
            f"keypoints (N, {wanted[-1]}, 2) and scores (N, {wanted[-1]}) of {skeleton.name} were wanted, "
            f"these are {xy.shape} and {score.shape}"
        )
    return np.where((score >= min_score)[..., None], xy, np.nan)


def point(known: F64, skeleton: Skeleton, name: str) -> F64:
    """The joint of that name, or a point of `MIDDLES`, as (N, 2) pixels; NaN if the skeleton has neither.

    Args:
        known: (N, K, 2) pixels, NaN where unknown.
        skeleton: The names of the K joints.
        name: A joint, hip, neck, shoulders or ankles.
    """
    if name in skeleton.joints:
        return known[:, skeleton.joints.index(name)]
    return _middle(known, skeleton, name) if name in MIDDLES else np.full((len(known), 2), np.nan)


def forward(known: F64, skeleton: Skeleton) -> F64:
    """How far (N,) in pixels a person points to the right; below 0 to the left, NaN if unknown.

    Feet decide, as in Sports2D: heel to big toe, both sides added. Otherwise the nose decides, by its
    distance from the ears.

    Args:
        known: (N, K, 2) pixels, NaN where unknown.
        skeleton: The names of the K joints.
    """
    x = {name: known[:, i, 0] for i, name in enumerate(skeleton.joints)}
    nothing = np.full(len(known), np.nan)
    feet = np.stack(
        [x.get(f"{side}_big_toe", nothing) - x.get(f"{side}_heel", nothing) for side in ("left", "right")]
    )
    face = np.stack([x.get("nose", nothing) - x.get(f"{side}_ear", nothing) for side in ("left", "right")])
    feet_known, face_known = ~np.isnan(feet).all(axis=0), ~np.isnan(face).all(axis=0)
    by_face = np.where(face_known, np.nansum(face, axis=0), np.nan)
    return np.where(feet_known, np.nansum(feet, axis=0), by_face)


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """The A angles of a skeleton as arrays: indices (2, A) of points, and the rest as in `Angle`, (A,)."""

    angles: tuple[Angle, ...]
    segment: I64
    base: I64
    horizontal: np.ndarray[tuple[int], np.dtype[np.bool_]]
    sign: F64
    offset: F64
    period: F64


@lru_cache
def _plan(skeleton: Skeleton) -> _Plan:
    index = {name: i for i, name in enumerate(skeleton.joints)}
    for i, (name, parts) in enumerate(MIDDLES.items()):
        if name not in index and all(part in index for part in parts):
            index[name] = len(skeleton.joints) + i
    angles = tuple(a for a in ANGLES if all(point in index for point in (*a.segment, *(a.base or ()))))
    return _Plan(
        angles,
        np.array([[index[p] for p in a.segment] for a in angles], np.int64).reshape(-1, 2).T,
        np.array([[index[p] for p in a.base or a.segment] for a in angles], np.int64).reshape(-1, 2).T,
        np.array([a.base is None for a in angles], np.bool_),
        *(
            np.array([getattr(a, name) for a in angles], np.float64)
            for name in ("sign", "offset", "period")
        ),
    )


def _with_middles(known: F64, skeleton: Skeleton) -> F64:
    """The keypoints (N, K, 2), and after them the points of `MIDDLES`."""
    middles = [_middle(known, skeleton, name) for name in MIDDLES]
    return np.concatenate([known, np.stack(middles, axis=1)], axis=1)


def _middle(known: F64, skeleton: Skeleton, name: str) -> F64:
    left, right = (point(known, skeleton, joint) for joint in MIDDLES[name])
    return (left + right) / 2
