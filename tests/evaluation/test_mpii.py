"""PCKh: by hand, and on the published predictions."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from hrpose_rt.errors import BadInput
from hrpose_rt.evaluation.mpii import PCKH_THRESHOLDS, MpiiTruth, load_predictions, load_truth, pckh
from hrpose_rt.skeleton import MPII16

AT = MPII16.joints.index


def truth_of(people: int = 4) -> MpiiTruth:
    rng = np.random.default_rng(0)
    joints = rng.uniform(0, 500, (people, 16, 2)).astype(np.float32)
    return MpiiTruth(joints, np.ones((people, 16), np.bool_), np.full(people, 60, np.float32))


def test_pckh_matches_hand_calculation() -> None:
    truth = truth_of()
    keypoints = truth.joints.copy()
    keypoints[0, AT("head"), 0] += 31  # just beyond half a head of 60
    keypoints[1, AT("head"), 0] += 29.9
    keypoints[:2, AT("left_wrist"), 1] -= 100
    keypoints[:3, AT("pelvis")] += 500  # does not count
    keypoints[0, AT("neck")] += 500  # counts in the mean, has no column
    truth.visible[3, AT("left_wrist")] = False
    row = pckh(keypoints, truth, 0.5)
    assert row["Head"] == 75
    assert row["Wrist"] == pytest.approx((100 + 100 / 3) / 2)
    assert row["Ankle"] == 100
    # 14 joints of 4 people less one invisible; a head, two wrists and a neck missed.
    assert row["Mean"] == pytest.approx(100 * (14 * 4 - 1 - 4) / (14 * 4 - 1))


def write_files(folder: Path, truth: MpiiTruth, predictions: np.ndarray) -> tuple[Path, Path]:
    names = ["rank", "rkne", "rhip", "lhip", "lkne", "lank", "pelv", "thor", "neck", "head"]
    names += ["rwri", "relb", "rsho", "lsho", "lelb", "lwri"]
    heads = np.zeros((2, 2, len(truth.heads)))
    heads[1, 0] = truth.heads / 0.6  # a box as wide as that and of no height
    content = {
        "pos_gt_src": truth.joints.transpose(1, 2, 0),
        "jnt_missing": (~truth.visible).T.astype(float),
        "headboxes_src": heads,
        "dataset_joints": np.array(names, dtype=object)[None],
    }
    savemat(str(folder / "gt.mat"), content)
    savemat(str(folder / "pred.mat"), {"preds": predictions})
    return folder / "gt.mat", folder / "pred.mat"


def test_mpii_mat_files_roundtrip(tmp_path: Path) -> None:
    truth = truth_of()
    truth.visible[2, 5] = False
    gt, pred = write_files(tmp_path, truth, truth.joints + 1)
    read = load_truth(gt)
    np.testing.assert_allclose(read.joints, truth.joints)
    np.testing.assert_allclose(read.heads, truth.heads, rtol=1e-6)
    assert (read.visible == truth.visible).all()
    np.testing.assert_allclose(load_predictions(pred, 4), truth.joints + 1)


def test_mpii_mat_file_of_wrong_content_raises_bad_input(tmp_path: Path) -> None:
    gt, pred = write_files(tmp_path, truth_of(), np.zeros((3, 16, 2)))
    with pytest.raises(BadInput, match=r"predictions \(3, 16, 2\), the ground truth is of 4 people"):
        load_predictions(pred, 4)
    with pytest.raises(BadInput, match="has no pos_gt_src: it is not MPII's ground truth"):
        load_truth(pred)
    with pytest.raises(BadInput, match="has neither pos_pred_src nor preds"):
        load_predictions(gt, 4)
    (tmp_path / "text.mat").write_text("no such thing, and long enough to be read as a header of some kind")
    with pytest.raises(BadInput, match="is no MATLAB file"):
        load_truth(tmp_path / "text.mat")
    with pytest.raises(BadInput, match="does not exist"):
        load_truth(tmp_path / "gone.mat")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pos_gt_src": np.zeros((16, 8))}, "numbers of 16 x 8 in pos_gt_src, numbers of 16 x 2 x N"),
        ({"pos_gt_src": np.zeros((12, 2, 4))}, "numbers of 12 x 2 x 4 in pos_gt_src"),
        ({"pos_gt_src": np.zeros((0, 0))}, "numbers of 0 x 0 in pos_gt_src"),
        ({"pos_gt_src": np.full((16, 2, 4), np.nan)}, r"no finite number at \(1, 1, 1\) of pos_gt_src"),
        ({"pos_gt_src": "text"}, "has cells, text or structures of 1 in pos_gt_src"),
        ({"pos_gt_src": np.array([[1, "a"]], object)}, "cells, text or structures of 1 x 2 in pos_gt_src"),
        ({"headboxes_src": np.zeros((2, 8))}, "numbers of 2 x 8 in headboxes_src"),
        ({"headboxes_src": np.zeros((2, 2, 4))}, "a head of no size in headboxes_src, that of person 1"),
        ({"jnt_missing": np.zeros((16, 2))}, "numbers of 16 x 2 in jnt_missing, numbers of 16 x 4"),
        ({"jnt_missing": np.ones((16, 4))}, "no visible joint in jnt_missing"),
        ({"dataset_joints": np.arange(16.0)}, "does not name MPII's 16 joints in dataset_joints"),
        ({"dataset_joints": np.array(["wing"] * 16, object)[None]}, "dataset_joints: it has _wing"),
    ],
)
def test_mpii_ground_truth_of_wrong_shape_or_values_raises_bad_input(tmp_path: Path, change, words) -> None:
    from scipy.io import loadmat

    gt, _ = write_files(tmp_path, truth_of(), np.zeros((4, 16, 2)))
    content = {name: value for name, value in loadmat(str(gt)).items() if not name.startswith("__")}
    savemat(str(gt), content | change)
    with pytest.raises(BadInput, match=words):
        load_truth(gt)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"preds": "text"}, "has cells, text or structures of 1 in preds"),
        ({"preds": np.full((4, 16, 2), np.inf)}, r"no finite number at \(1, 1, 1\) of preds"),
        ({"pos_pred_src": np.zeros((16, 8))}, "numbers of 16 x 8 in pos_pred_src, numbers of 16 x 2 x N"),
    ],
)
def test_mpii_predictions_of_wrong_shape_or_values_raise_bad_input(tmp_path: Path, content, words) -> None:
    savemat(str(tmp_path / "pred.mat"), content)
    with pytest.raises(BadInput, match=words):
        load_predictions(tmp_path / "pred.mat", 4)


@pytest.mark.data
def test_pckh_of_published_predictions_equals_published_values(data: Path) -> None:
    file = data / "mpii" / "mpii_valid_ground_truth_and_predictions.mat"
    truth = load_truth(file)
    predictions = load_predictions(file, len(truth.heads))
    rows = [pckh(predictions, truth, threshold) for threshold in PCKH_THRESHOLDS]
    published = [95.600, 92.714, 83.365, 76.736, 81.928, 73.363, 65.446, 82.337]
    np.testing.assert_allclose(list(rows[0].values()), published, atol=5e-4)
    assert (round(rows[1]["Mean"], 3), round(rows[2]["Mean"], 3)) == (28.975, 33.138)
