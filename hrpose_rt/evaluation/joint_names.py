"""Recognise a skeleton by the joint names of a category."""

import re
from collections.abc import Sequence

from hrpose_rt.skeleton import COCO17, MPII16, Skeleton

_SIDES = {"l": "left", "r": "right"}
_OTHER_NAMES = {"head_top": "head", "upper_neck": "neck"}  # MPII's names


def plain_name(name: str) -> str:
    """A joint's name as in skeletons: "Left Shoulder", "leftShoulder" and "l-shoulder" give the same."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.strip())
    parts = [part for part in re.split(r"[^a-z0-9]+", words.lower()) if part]
    plain = "_".join(_SIDES.get(part, part) for part in parts)
    return _OTHER_NAMES.get(plain, plain)


def joint_order(names: Sequence[str]) -> tuple[Skeleton, list[int]] | None:
    """The skeleton whose joints all occur in `names`, and the index of each; None if there is none."""
    plain = [plain_name(name) for name in names]
    for skeleton in (COCO17, MPII16):
        if all(plain.count(joint) == 1 for joint in skeleton.joints):
            return skeleton, [plain.index(joint) for joint in skeleton.joints]
    return None
