"""MPII's PCKh by the official formula.

Source: the evaluation script of the MPII Human Pose data set (Andriluka et al., CVPR 2014), as in the
original HRNet code.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hrpose_rt.errors import BadInput, RuntimeMissing, install_hint, last_line
from hrpose_rt.skeleton import MPII16
from hrpose_rt.types import F32, Bools

HEAD_SCALE = 0.6  # SC_BIAS in the official script: head length as a share of the head box's diagonal
JOINT_GROUPS = {
    "Head": ("head",),
    **{
        name: (f"left_{name.lower()}", f"right_{name.lower()}")
        for name in ("Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle")
    },
}
NOT_COUNTED = ("pelvis", "thorax")  # joints that the mean leaves out
PCKH_THRESHOLDS = (0.5, 0.10, 0.11)
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
    """MPII's validation people, in the order of its files; pixel coordinates start at 1.

    Attributes:
        joints: (N, 16, 2) x before y, in `MPII16`'s order.
        visible: (N, 16) whether a joint counts.
        heads: (N,) head lengths, pixels.
    """

    joints: F32
    visible: Bools
    heads: F32


def load_truth(path: Path) -> MpiiTruth:
    """Read a `gt_valid.mat` with `pos_gt_src`, `jnt_missing`, `headboxes_src` and `dataset_joints`."""
    content = _load(path)
    for name in ("pos_gt_src", "jnt_missing", "headboxes_src"):
        if name not in content:
            raise BadInput(f"{path} has no {name}: it is not MPII's ground truth")
    order, k = _order(content, path), len(MPII16.joints)
    joints = _numbers(content, "pos_gt_src", path, (k, 2, None))
    n = joints.shape[2]
    visible = _numbers(content, "jnt_missing", path, (k, n)) == 0
    corners = _numbers(content, "headboxes_src", path, (2, 2, n))
    heads = HEAD_SCALE * np.linalg.norm(corners[1] - corners[0], axis=0)
    if not visible.any():
        raise BadInput(f"{path} has no visible joint in jnt_missing: there is nothing to score")
    if not heads.all():
        raise BadInput(
            f"{path} has a head of no size in headboxes_src, that of person {heads.argmin() + 1}: "
            "distances are counted in heads"
        )
    return MpiiTruth(
        joints=np.asarray(joints.transpose(2, 0, 1)[:, order], np.float32),
        visible=np.asarray(visible.T[:, order]),
        heads=np.asarray(heads, np.float32),
    )


def load_predictions(path: Path, people: int) -> F32:
    """Predicted keypoints (N, 16, 2), pixels from 1: `pos_pred_src` (16, 2, N) or `preds` (N, 16, 2)."""
    content = _load(path)
    k = len(MPII16.joints)
    if "pos_pred_src" in content:
        order = _order(content, path)
        keypoints = _numbers(content, "pos_pred_src", path, (k, 2, None)).transpose(2, 0, 1)[:, order]
    elif "preds" in content:
        keypoints = _numbers(content, "preds", path, (None, k, None))[..., :2]
    else:
        raise BadInput(f"{path} has neither pos_pred_src nor preds: it holds no predictions")
    if keypoints.shape != (people, len(MPII16.joints), 2):
        raise BadInput(
            f"{path} has predictions {keypoints.shape}, the ground truth is of {people} people with "
            f"{len(MPII16.joints)} joints"
        )
    return keypoints.astype(np.float32)


def pckh(predictions: F32, truth: MpiiTruth, threshold: float) -> dict[str, float]:
    """Percent of visible joints within `threshold` head lengths, by `JOINT_GROUPS`, and their `Mean`.

    The mean weights each joint by how often it is visible. It includes the neck, which has no column.
    """
    distances = np.linalg.norm(predictions - truth.joints, axis=2) / truth.heads[:, None]
    hits = ((distances <= threshold) & truth.visible).sum(axis=0)
    counts = truth.visible.sum(axis=0)
    with np.errstate(invalid="ignore"):
        percents = 100 * hits / counts
    at = MPII16.joints.index
    row = {
        name: float(np.mean([percents[at(joint)] for joint in parts]))
        for name, parts in JOINT_GROUPS.items()
    }
    counted = [at(joint) for joint in MPII16.joints if joint not in NOT_COUNTED]
    return row | {"Mean": float(100 * hits[counted].sum() / counts[counted].sum())}


def _load(path: Path) -> dict[str, Any]:
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise RuntimeMissing(f"{path.name} needs scipy: {install_hint('train')}") from error
    try:
        content: dict[str, Any] = loadmat(str(path))
    except FileNotFoundError as error:
        raise BadInput(f"{path} does not exist: check the path") from error
    except Exception as error:  # scipy raises many different errors on a damaged file
        raise BadInput(f"{path} is no MATLAB file that can be read ({last_line(error)})") from error
    return content


def _numbers(
    content: dict[str, Any], name: str, path: Path, shape: tuple[int | None, ...]
) -> NDArray[np.float64]:
    """A variable of a file as finite numbers with this shape; None stands for any length of 1 or more."""
    values = np.asarray(content[name])
    expected = " x ".join("N" if length is None else str(length) for length in shape)
    if values.ndim == len(shape) - 1 and shape[-1] in (None, 1):
        values = values[..., None]  # MATLAB drops a last dimension of 1
    fits = values.ndim == len(shape) and all(
        length and length in (needed or length,) for length, needed in zip(values.shape, shape, strict=True)
    )
    if values.dtype.kind not in "biuf" or not fits:
        what = " x ".join(map(str, np.shape(content[name]))) or "one value"
        kind = "numbers" if values.dtype.kind in "biuf" else "cells, text or structures"
        raise BadInput(f"{path} has {kind} of {what} in {name}, numbers of {expected} are needed")
    if not np.isfinite(values).all():
        index = ", ".join(str(i + 1) for i in np.argwhere(~np.isfinite(values))[0])
        raise BadInput(f"{path} has no finite number at ({index}) of {name}: correct it")
    return values.astype(np.float64)


def _order(content: dict[str, Any], path: Path) -> list[int]:
    """The index of each `MPII16` joint in the file, by the names it gives."""
    if "dataset_joints" not in content:
        return list(range(len(MPII16.joints)))
    cells = np.asarray(content["dataset_joints"]).ravel().tolist()
    names = [_joint(str(np.asarray(cell).ravel().tolist()[0] if np.size(cell) else "")) for cell in cells]
    if sorted(names) != sorted(MPII16.joints):
        strange = next((name for name in names if name.strip("_") not in MPII16.joints), len(names))
        raise BadInput(f"{path} does not name MPII's 16 joints in dataset_joints: it has {strange}")
    return [names.index(joint) for joint in MPII16.joints]


def _joint(name: str) -> str:
    """The `MPII16` name of a joint that the file calls "rank" or "lsho"."""
    name = name.strip().lower()
    if name in _MIDDLE:
        return _MIDDLE[name]
    return f"{_FILE_NAMES.get(name[:1], '')}_{_FILE_JOINTS.get(name[1:4], name)}"
