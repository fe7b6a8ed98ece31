"""`hrpose-rt eval` from the outside: tables, files, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from hrpose_rt.cli.main import build_app
from hrpose_rt.errors import BadInput
from hrpose_rt.paths import models_folder
from tests.evaluation.test_mpii import truth_of, write_files
from tests.test_skeleton import TOML
from tests.training.people_set import annotation, write_json, write_mpii, write_set


def evaluate(*options: object) -> str:
    done = CliRunner().invoke(build_app(), ["eval", *map(str, options)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_eval_coco_network_and_its_saved_results_score_the_same(tmp_path: Path) -> None:
    file, out = write_set(tmp_path / "set", people=3), tmp_path / "out"
    where = ("--annotations", file, "--images", tmp_path / "set" / "images")
    text = evaluate("coco", *where, "--gt-boxes", "--flip-test", "--output", out, "--visualize", 2)
    assert "| AP   | AP.5 | AP.75 | AP(M) | AP(L) |" in text
    assert "| hrnet-w16-lite |" in text and "| right_ankle    | 3 " in text
    scores = json.loads((out / "scores.json").read_text())
    assert scores["schema"] == 1 and scores["flip_test"] is True
    assert scores["boxes"] == {"detections": "annotated"}
    assert len(scores["figures"]["values"]) == 10
    assert (out / "best.png").is_file() and (out / "worst.png").is_file()
    again = evaluate(
        *("coco", "--annotations", file, "--predictions", out / "results.json"),
        *("--compare", out / "results.json", "--output", tmp_path / "again"),
    )
    assert "| AP    |" in again and "+0.000 to +0.000" in again
    values = json.loads((tmp_path / "again" / "scores.json").read_text())["figures"]["values"]
    assert values == scores["figures"]["values"]


def test_eval_coco_custom_skeleton_uses_oks_sigmas_of_toml(tmp_path: Path) -> None:
    (tmp_path / "cat.toml").write_text(TOML)
    annotations, results = [], []
    for i in range(4):
        joints = np.array([[10, 10], [40, 12], [30, 60]]) + i
        annotations.append(annotation(i, i, joints))
        points = np.column_stack([joints + 1.0, np.ones(3)]).ravel().tolist()
        results.append({"image_id": i, "category_id": 1, "keypoints": points, "score": 0.9})
    images = [{"id": i, "file_name": "", "width": 96, "height": 96} for i in range(4)]
    file = write_json(tmp_path / "cats.json", images, annotations, joints=("tail", "left_ear", "right_ear"))
    (tmp_path / "found.json").write_text(json.dumps(results))
    where = ("--annotations", file, "--predictions", tmp_path / "found.json")
    text = evaluate("coco", *where, "--skeleton", tmp_path / "cat.toml")
    # One pixel off each way: exp(-2 / (2 area (2 sigma)^2)), .996 where sigma is .1, .933 where .025.
    assert "| tail      | 4        | .996" in text and "| left_ear  | 4        | .933" in text
    with pytest.raises(
        BadInput, match="the annotations have 3 joints, coco17 has 17: give the right `skel"
    ):
        evaluate("coco", *where)
    with pytest.raises(BadInput, match="mpii16 has no sigmas, which similarity needs"):
        evaluate("coco", *where, "--skeleton", "mpii16")


def test_eval_coco_with_boxes_from_detections_file_or_detector(tmp_path: Path) -> None:
    file = write_set(tmp_path / "set", people=2)
    boxes = tmp_path / "boxes.json"
    listed = [{"image_id": i, "category_id": 1, "bbox": [10, 10, 70, 70], "score": 0.5} for i in (1, 2)]
    boxes.write_text(json.dumps(listed))
    where = ("--annotations", file, "--images", tmp_path / "set" / "images", "--precision", "fp32")
    evaluate("coco", *where, "--detections", boxes, "--output", tmp_path / "out")
    assert len(json.loads((tmp_path / "out" / "results.json").read_text())) == 2
    assert "joint by joint" in evaluate("coco", *where).lower()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--predictions", "a", "--gt-boxes"], "exclude each other: choose one"),
        (["--gt-boxes"], "--images is needed to run a network"),
        (
            ["--gt-boxes", "--images", "."],
            r"person-0.png \(image 1\) is missing, with 1 others of 2",
        ),
        (["--gt-boxes", "--visualize", "3"], "--visualize needs --images to draw on and --output"),
    ],
)
def test_eval_coco_rejects_conflicting_or_missing_options(tmp_path: Path, options, words) -> None:
    file = write_set(tmp_path / "set", people=2)
    with pytest.raises(BadInput, match=words):
        evaluate("coco", "--annotations", file, *options)


def test_eval_does_not_overwrite_existing_scores_json(tmp_path: Path) -> None:
    (tmp_path / "scores.json").write_text("{}")
    with pytest.raises(BadInput, match=r"scores.json exists: choose another name, or add --overwrite"):
        evaluate("coco", "--annotations", "x.json", "--output", tmp_path)


def test_eval_mpii_predictions_file_reports_pckh(tmp_path: Path) -> None:
    truth = truth_of()
    gt, pred = write_files(tmp_path, truth, truth.joints)
    out = tmp_path / "out"
    text = evaluate("mpii", "--ground-truth", gt, "--predictions", pred, "--output", out)
    assert "Mean@0.10 | Mean@0.11 (the original's Mean@0.1)" in text
    assert text.count("100.000") == 10
    assert json.loads((out / "scores.json").read_text())["pckh"]["0.5"]["Mean"] == 100
    with pytest.raises(BadInput, match="give --predictions to score a file, or --annotations"):
        evaluate("mpii", "--ground-truth", gt)


def test_eval_mpii_network_writes_pred_mat_and_rejects_mismatch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from hrpose_rt.nets.hrnet import HRNet
    from hrpose_rt.nets.hrnet_config import W16_LITE

    torch.manual_seed(0)
    torch.save(HRNet(W16_LITE.with_joints(16)).state_dict(), tmp_path / "mpii.pth")
    annotations = write_mpii(tmp_path / "set", people=3)
    joints = np.zeros((3, 16, 2), np.float32) + 48
    truth = truth_of(3)
    truth.joints[:] = joints
    gt, _ = write_files(tmp_path, truth, joints)
    out = tmp_path / "out"
    where = ("--ground-truth", gt, "--annotations", annotations, "--output", out)
    evaluate("mpii", *where, "--pose", tmp_path / "mpii.pth", "--precision", "fp32")
    from scipy.io import loadmat

    found = loadmat(str(out / "pred.mat"))["preds"]
    assert found.shape == (3, 16, 2)
    with pytest.raises(BadInput, match=r"finds coco17 joints, MPII's are wanted here"):
        evaluate("mpii", *where, "--overwrite", "--pose", models_folder() / "hrnet-w16-lite.pth")
    with pytest.raises(BadInput, match="is of 3 people, the ground truth of 4"):
        gt, _ = write_files(tmp_path, truth_of(4), joints)
        evaluate("mpii", "--ground-truth", gt, "--annotations", annotations, "--pose", "x")


def test_eval_detector_reports_recall(tmp_path: Path) -> None:
    file, out = write_set(tmp_path / "set", people=2), tmp_path / "out"
    where = ("--annotations", file, "--images", tmp_path / "set" / "images")
    text = evaluate("detector", *where, "--output", out)
    assert "| people           | number | recall |" in text and "| 1-5 in the image | 2 " in text
    scores = json.loads((out / "scores.json").read_text())
    assert scores["recall"]["medium"]["people"] == 2 and scores["flip_test"] is False
    again = evaluate("detector", "--annotations", file, "--predictions", out / "results.json")
    assert again == text
    evaluate("detector", *where, "--flip-test", "--output", out, "--overwrite")
    assert json.loads((out / "scores.json").read_text())["flip_test"] is True
