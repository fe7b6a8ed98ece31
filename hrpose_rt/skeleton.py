"""The joints of a pose: names, limbs, mirrored pairs and annotation spreads."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from hrpose_rt.errors import BadInput
from hrpose_rt.structures import decode

SKELETON_SUFFIXES = (".toml", ".json")


class Side(IntEnum):
    """The side of the body of a joint or limb, from the person's own view."""

    MIDDLE = 0
    LEFT = 1
    RIGHT = 2


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A set of joints.

    >>> from hrpose_rt import COCO17, Skeleton
    >>> COCO17.joints.index("left_wrist")
    9
    >>> joints = ("nose", "left_ear", "right_ear")
    >>> head = Skeleton("head", joints, edges=((0, 1), (0, 2)), flip_pairs=((1, 2),))
    >>> head.flip_order()
    [0, 2, 1]

    Attributes:
        name: Its name in files and engines.
        joints: K names, in the order of the heatmaps. Names of joints on one side begin with `left_` or
            `right_`.
        edges: Pairs of joint indices to draw as limbs.
        flip_pairs: Pairs of joint indices that a mirrored image swaps.
        sigmas: K annotation spreads for OKS (fractions of the square root of a person's area); empty if
            unknown.

    Raises:
        BadInput: Two joints have one name, a pair is not of two joints, a joint is in two `flip_pairs`, or
            there are not K `sigmas`.
    """

    name: str
    joints: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]
    flip_pairs: tuple[tuple[int, int], ...]
    sigmas: tuple[float, ...] = ()
    _edge_sides: tuple[Side, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        k = len(self.joints)
        if len(set(self.joints)) < k:
            raise BadInput("joints are different names")
        if self.sigmas and len(self.sigmas) != k:
            raise BadInput(f"sigmas are {k} numbers, one a joint")
        for kind, pairs in (("edges", self.edges), ("flip_pairs", self.flip_pairs)):
            for pair in pairs:
                if len(pair) != 2 or pair[0] == pair[1] or not {*pair} <= {*range(k)}:
                    raise BadInput(f"{kind} are pairs of two joints from 0 to {k - 1}, not {list(pair)}")
        if len({*chain(*self.flip_pairs)}) < 2 * len(self.flip_pairs):
            raise BadInput("a joint is in two flip_pairs")
        sides = [_side(name) for name in self.joints]
        edge_sides = (sides[a] if sides[a] == sides[b] else Side.MIDDLE for a, b in self.edges)
        object.__setattr__(self, "_edge_sides", tuple(edge_sides))  # the dataclass is frozen

    def flip_order(self) -> list[int]:
        """The K indices that put the channels of a mirrored image back in order."""
        order = list(range(len(self.joints)))
        for left, right in self.flip_pairs:
            order[left], order[right] = right, left
        return order

    def edge_sides(self) -> tuple[Side, ...]:
        """The side of each limb: that of its joints if they share one, otherwise the middle."""
        return self._edge_sides

    def is_upper(self) -> list[bool]:
        """Whether each joint belongs to the upper half of the body."""
        return [not any(part in name for part in _LOWER_BODY) for name in self.joints]


_LOWER_BODY = ("hip", "knee", "ankle", "pelvis", "toe", "heel")


def _side(joint: str) -> Side:
    if joint.startswith("left_"):
        return Side.LEFT
    return Side.RIGHT if joint.startswith("right_") else Side.MIDDLE


COCO17 = Skeleton(
    name="coco17",
    joints=(
        "nose",
        "left_eye",
        "right_eye",
        "left_ear",
        "right_ear",
        "left_shoulder",
        "right_shoulder",
        "left_elbow",
        "right_elbow",
        "left_wrist",
        "right_wrist",
        "left_hip",
        "right_hip",
        "left_knee",
        "right_knee",
        "left_ankle",
        "right_ankle",
    ),
    edges=(
        *((0, 1), (0, 2), (1, 3), (2, 4)),  # face
        *((5, 6), (5, 11), (6, 12), (11, 12)),  # torso
        *((5, 7), (7, 9), (6, 8), (8, 10)),  # arms
        *((11, 13), (13, 15), (12, 14), (14, 16)),  # legs
    ),
    flip_pairs=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)),
    # COCO's published keypoint spreads.
    sigmas=(
        *(0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072),
        *(0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
    ),
)

MPII16 = Skeleton(
    name="mpii16",
    joints=(
        "right_ankle",
        "right_knee",
        "right_hip",
        "left_hip",
        "left_knee",
        "left_ankle",
        "pelvis",
        "thorax",
        "neck",
        "head",
        "right_wrist",
        "right_elbow",
        "right_shoulder",
        "left_shoulder",
        "left_elbow",
        "left_wrist",
    ),
    edges=(
        *((0, 1), (1, 2), (3, 4), (4, 5)),  # legs
        *((2, 6), (3, 6), (6, 7), (7, 8), (8, 9)),  # spine
        *((10, 11), (11, 12), (13, 14), (14, 15)),  # arms
        *((12, 7), (13, 7)),  # shoulders
    ),
    flip_pairs=((0, 5), (1, 4), (2, 3), (10, 15), (11, 14), (12, 13)),
)

SKELETONS = {s.name: s for s in (COCO17, MPII16)}
BUILT_IN = Path(__file__).parent / "skeletons"  # the other built-in ones, as files


def name_of(skeleton: Skeleton) -> str:
    """Register a skeleton for `find_skeleton` and return its name; raise BadInput if the name is taken."""
    if SKELETONS.setdefault(skeleton.name, skeleton) != skeleton:
        raise BadInput(f"another skeleton is called {skeleton.name}: give this one a name of its own")
    return skeleton.name


@lru_cache
def find_skeleton(name: str) -> Skeleton:
    """The built-in skeleton of that name, or the one in a .toml or .json file.

    A file has `joints`, K names. It may have `edges` and `flip_pairs`, pairs of those names, and `sigmas`,
    K numbers.

    Raises:
        BadInput: There is no such skeleton, or the file is invalid; the message says why.
    """
    if name in SKELETONS:
        return SKELETONS[name]
    built_in = {path.stem: path for path in sorted(BUILT_IN.glob("*.toml"))}
    path = built_in.get(name, Path(name))
    if path.suffix not in SKELETON_SUFFIXES:
        raise BadInput(
            f"there is no `skeleton` {name!r}: choose {', '.join([*SKELETONS, *built_in])}, or give the "
            f"path of a {' or '.join(SKELETON_SUFFIXES)} file"
        )
    try:
        return _described(path.stem, decode(path.read_bytes(), _File, toml=path.suffix == ".toml"))
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): check the path") from error
    except ValueError as error:
        raise BadInput(f"{path} describes no skeleton ({error}): docs/models.md has an example") from error


_Name = Annotated[str, Meta(min_length=1)]


@dataclass(frozen=True, slots=True)
class _File:
    """The content of a skeleton file; see `find_skeleton`."""

    joints: Annotated[tuple[_Name, ...], Meta(min_length=1)]
    name: str = ""
    edges: tuple[tuple[_Name, _Name], ...] = ()
    flip_pairs: tuple[tuple[_Name, _Name], ...] = ()
    sigmas: tuple[Annotated[float, Meta(gt=0, lt=10)], ...] = ()


def _described(name: str, file: _File) -> Skeleton:
    edges = _pairs(file.joints, "edges", file.edges)
    flip_pairs = _pairs(file.joints, "flip_pairs", file.flip_pairs)
    return Skeleton(file.name or name, file.joints, edges, flip_pairs, file.sigmas)


def _pairs(
    joints: Sequence[str], field: str, pairs: Sequence[Sequence[str]]
) -> tuple[tuple[int, int], ...]:
    rows = []
    for pair in pairs:
        if strange := next((joint for joint in pair if joint not in joints), None):
            raise ValueError(f"{field} has {strange!r}, which is no joint")
        if pair[0] == pair[1]:
            raise ValueError(f"{field} are pairs of two joints, not {list(pair)}")
        rows.append((joints.index(pair[0]), joints.index(pair[1])))
    return tuple(rows)
