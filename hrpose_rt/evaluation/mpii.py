"""MPII's PCKh by the official formula.

Source: the evaluation script of the MPII Human Pose data set (Andriluka et al., CVPR 2014), as the
original HRNet code has it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hrpose_rt.errors import BadInput, RuntimeMissing
from hrpose_rt.skeleton import MPII16
from hrpose_rt.types import F32, Bools

HEAD_SCALE = 0.6  # SC_BIAS of the official script: a head box's diagonal in head lengths
COLUMNS = {
    "Head": ("head",),
    **{
        name: (f"left_{name.lower()}", f"right_{name.lower()}")
        for name in ("Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle")
    },
}
NOT_COUNTED = ("pelvis", "thorax")  # in the mean
THRESHOLDS = (0.5, 0.10, 0.11)
_FILE_NAMES = {"r": "right", "l": "left"}
_FILE_JOINTS = {
    "ank": "ankle",
    "kne": "knee",
    "hip": "hip",
    "wri": "wrist",
    "elb": "elbow",
    "sho": "shoulder",
}
_MIDDLE = {"pelv": "pelvis", "thor": "thorax", "thorax": "thorax", "neck": "neck", "head": "head"}


@dataclass(frozen=True, slots=True)
class MpiiTruth:
    """MPII's validation people, in the order of its files; pixels count from 1.

    Attributes:
        joints: (N, 16, 2) x before y, in `MPII16`'s order.
        visible: (N, 16) whether a joint counts.
        heads: (N,) length of the head, pixels.
    """

    joints: F32
    visible: Bools
    heads: F32


def load_truth(path: Path) -> MpiiTruth:
    """A `gt_valid.mat`: `pos_gt_src`, `jnt_missing`, `headboxes_src`, `dataset_joints`."""
    content = _load(path)
    for name in ("pos_gt_src", "jnt_missing", "headboxes_src"):
        if name not in content:
            raise BadInput(f"{path} has no {name}: it is not MPII's ground truth")
    order = _order(content)
    boxes = np.asarray(content["headboxes_src"], np.float64)  # (2 corners, 2, N)
    return MpiiTruth(
        joints=np.asarray(content["pos_gt_src"], np.float32).transpose(2, 0, 1)[:, order],
        visible=(np.asarray(content["jnt_missing"]).T == 0)[:, order],
        heads=np.asarray(HEAD_SCALE * np.linalg.norm(boxes[1] - boxes[0], axis=0), np.float32),
    )


def load_predictions(path: Path, people: int) -> F32:
    """Predicted joints (N, 16, 2), pixels from 1: `pos_pred_src` (16, 2, N) or `preds` (N, 16, 2)."""
    content = _load(path)
    if "pos_pred_src" in content:
        joints = np.asarray(content["pos_pred_src"], np.float32).transpose(2, 0, 1)[:, _order(content)]
    elif "preds" in content:
        joints = np.asarray(content["preds"], np.float32)[..., :2]
    else:
        raise BadInput(f"{path} has neither pos_pred_src nor preds: it holds no predictions")
    if joints.shape != (people, len(MPII16.joints), 2):
        raise BadInput(
            f"{path} has predictions {joints.shape}, the ground truth is of {people} people with "
            f"{len(MPII16.joints)} joints"
        )
    return joints


def pckh(predictions: F32, truth: MpiiTruth, threshold: float) -> dict[str, float]:
    """Percent of visible joints within `threshold` head lengths, by `COLUMNS`, and their `Mean`.

    The mean is over joints, weighted by how often each is visible; the neck counts in it, although it
    has no column.
    """
    far = np.linalg.norm(predictions - truth.joints, axis=2) / truth.heads[:, None]
    hits = ((far <= threshold) & truth.visible).sum(axis=0)
    counts = truth.visible.sum(axis=0)
    with np.errstate(invalid="ignore"):
        joints = 100 * hits / counts
    at = MPII16.joints.index
    row = {name: float(np.mean([joints[at(joint)] for joint in parts])) for name, parts in COLUMNS.items()}
    counted = [at(joint) for joint in MPII16.joints if joint not in NOT_COUNTED]
    return row | {"Mean": float(100 * hits[counted].sum() / counts[counted].sum())}


def _load(path: Path) -> dict[str, Any]:
    try:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError
    except ImportError as error:
        raise RuntimeMissing(f"{path.name} needs scipy: pip install 'hrpose-rt[train]'") from error
    try:
        content: dict[str, Any] = loadmat(str(path))
    except FileNotFoundError as error:
        raise BadInput(f"{path} does not exist: check the path") from error
    except (MatReadError, ValueError, TypeError, IndexError, NotImplementedError, OSError) as error:
        raise BadInput(f"{path} is no MATLAB file that can be read ({error})") from error
    return content


def _order(content: dict[str, Any]) -> list[int]:
    """Where each joint of `MPII16` is in the file, by the names it gives."""
    if "dataset_joints" not in content:
        return list(range(len(MPII16.joints)))
    names = [_joint(str(np.asarray(name).item())) for name in np.asarray(content["dataset_joints"]).ravel()]
    return [names.index(joint) for joint in MPII16.joints]


def _joint(name: str) -> str:
    """Our name of a joint that the file calls "rank" or "lsho"."""
    name = name.strip().lower()
    if name in _MIDDLE:
        return _MIDDLE[name]
    return f"{_FILE_NAMES.get(name[:1], '')}_{_FILE_JOINTS.get(name[1:4], name)}"
