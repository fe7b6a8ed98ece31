"""From pixels to metres: by the height of a person, or by points of the ground."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from msgspec import Meta

from hrpose_rt.errors import BadInput
from hrpose_rt.kinematics.angles import point
from hrpose_rt.skeleton import Skeleton
from hrpose_rt.structures import decode
from hrpose_rt.types import F64

# Sports2D's factors. Limbs are seldom parallel to the picture, so their lengths in it are too short by a
# little; the head ends above the nose or the centre of the head.
FORESHORTENING = 1.063
NOSE_TO_TOP, HEAD_TO_TOP = 1.5, 1.008
ANKLE_HEIGHT = 0.039  # of the body height (Winter, Biomechanics and Motor Control, 4th edition, 2009)
MIN_HEIGHT_M, MAX_HEIGHT_M = 0.3, 3.0


@dataclass(frozen=True, slots=True)
class Height:
    """A person's height gives the metres of a pixel, in the plane in which this person moves.

    >>> from hrpose_rt.kinematics.scale import Height
    >>> Height(1.8).metres
    1.8
    """

    metres: float


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """Points of the ground give the place of every pixel of it, in metres.

    >>> from hrpose_rt.kinematics.scale import Ground
    >>> square = [[0, 0], [100, 0], [100, 100], [0, 100]]
    >>> ground = Ground.from_points(square, [[0, 0], [5, 0], [5, 5], [0, 5]])
    >>> ground.place([[40, 20]]).round(3).tolist()
    [[2.0, 1.0]]

    Attributes:
        homography: (3, 3) from pixels to metres.
    """

    homography: F64

    @classmethod
    def from_points(cls, pixels: object, metres: object) -> "Ground":
        """The ground plane through four or more points, (P, 2) pixels and (P, 2) metres.

        Raises:
            BadInput: There are fewer points, or they are on a line.
        """
        import cv2

        seen, real = np.array(pixels, np.float64), np.array(metres, np.float64)
        if seen.shape != real.shape or seen.ndim != 2 or len(seen) < 4:
            raise BadInput(
                f"a ground has four or more points, (P, 2) pixels and (P, 2) metres: {seen.shape}"
            )
        homography, _ = cv2.findHomography(seen, real)
        if homography is None or not np.isfinite(homography).all() or np.linalg.matrix_rank(homography) < 3:
            raise BadInput("these points of the ground are on a line: give the corners of an area")
        return cls(np.asarray(homography, np.float64))

    def place(self, pixels: object) -> F64:
        """Where on the ground (..., 2) pixels are, in metres; NaN stays NaN."""
        xy = np.asarray(pixels, np.float64)
        mapped = np.concatenate([xy, np.ones((*xy.shape[:-1], 1))], axis=-1) @ self.homography.T
        return np.asarray(mapped[..., :2] / mapped[..., 2:], np.float64)


_Pair = tuple[float, float]
_Pairs = Annotated[list[_Pair], Meta(min_length=4)]


@dataclass(frozen=True, slots=True)
class _Points:
    pixels: _Pairs
    metres: _Pairs


def parse_scale(text: str) -> Height | Ground:
    """A scale as the command line has it: height=1.80, or a .json file with points of the ground.

    Raises:
        BadInput: It is neither.
    """
    name, equals, value = text.partition("=")
    if equals and name == "height":
        try:
            metres = float(value)
        except ValueError:
            metres = float("nan")
        if not MIN_HEIGHT_M <= metres <= MAX_HEIGHT_M:
            raise BadInput(
                f"`scale` {text}: give {MIN_HEIGHT_M:g} to {MAX_HEIGHT_M:g} metres, such as height=1.80"
            )
        return Height(metres)
    if not text.endswith(".json"):
        raise BadInput(f"`scale` {text}: give height=METRES, or a .json file with points of the ground")
    try:
        points = decode(Path(text).read_bytes(), _Points)
    except OSError as error:
        raise BadInput(f"{text} cannot be read ({error.strerror}): check the path") from error
    except ValueError as error:
        raise BadInput(
            f"{text} has no points of the ground ({error}): give pixels and metres, four pairs or more each"
        ) from error
    if len(points.pixels) != len(points.metres):
        raise BadInput(f"{text} has {len(points.pixels)} pixels and {len(points.metres)} metres: pair them")
    return Ground.from_points(points.pixels, points.metres)


def body_height_px(keypoints: F64, skeleton: Skeleton) -> float:
    """The height of a person in pixels: the median, over time, of the sum of the segments.

    The sum has shank, thigh, flank (hip to shoulder) and head, as in Sports2D; of both sides the mean of
    those known. The head is 1.5 times the way from the middle of the shoulders to the nose, or 1.008 times
    the way to the head. The sum is divided by .961 for what is below the ankle, and multiplied by 1.063.

    Args:
        keypoints: (T, K, 2) pixels of one person; NaN where unknown.
        skeleton: The names of the K joints.

    Returns:
        Pixels; NaN if there is no frame that has every segment.
    """

    def length(a: str, b: str) -> F64:
        return np.asarray(
            np.linalg.norm(point(keypoints, skeleton, a) - point(keypoints, skeleton, b), axis=1)
        )

    def both(a: str, b: str) -> F64:
        left, right = length(f"left_{a}", f"left_{b}"), length(f"right_{a}", f"right_{b}")
        return np.where(np.isnan(left), right, np.where(np.isnan(right), left, (left + right) / 2))

    head = HEAD_TO_TOP * length("shoulders", "head")
    head = np.where(np.isnan(head), NOSE_TO_TOP * length("shoulders", "nose"), head)
    sums = both("ankle", "knee") + both("knee", "hip") + both("hip", "shoulder") + head
    known = sums[~np.isnan(sums)]
    return float(np.median(known)) / (1 - ANKLE_HEIGHT) * FORESHORTENING if len(known) else float("nan")


def speeds(positions: F64, times_s: F64) -> F64:
    """Speeds (T, ...) of positions (T, ..., 2), in their unit per second, by central differences.

    NaN beside gaps, and for a single frame.
    """
    if len(positions) < 2:
        return np.full(positions.shape[:-1], np.nan)
    return np.asarray(np.linalg.norm(np.gradient(positions, times_s, axis=0), axis=-1))
