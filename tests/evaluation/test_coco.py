"""COCO's figures: by hand, and equal to those of COCO's own summary."""

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.evaluation import coco
from hrpose_rt.result import person_score
from tests.learn.people_set import annotation, write_json

SIDE = 400


def truth_of(folder: Path, people: list[int], seed: int = 0):
    """Annotations of as many images, with so many people each; small, medium and large ones."""
    rng = np.random.default_rng(seed)
    images, annotations = [], []
    for i, count in enumerate(people):
        images.append({"id": i + 1, "file_name": f"{i}.png", "width": SIDE, "height": SIDE})
        for _ in range(count):
            side = int(rng.choice([20, 60, 150]))
            corner = rng.integers(0, SIDE - side, 2)
            joints = corner + rng.integers(0, side, (17, 2))
            box = {"bbox": [*corner.tolist(), side, side], "area": side * side}
            annotations.append(annotation(len(annotations) + 1, i + 1, joints, **box))
    return coco.load_annotations(write_json(folder / f"truth-{seed}.json", images, annotations))


def near(truth, noise: float, seed: int = 0, repeat: int = 1) -> list[coco.Result]:
    """Predictions `noise` of a person's size off, with scores that tell nothing."""
    rng = np.random.default_rng(seed)
    results = []
    for person in truth.loadAnns(truth.getAnnIds()) * repeat:
        points = np.array(person["keypoints"], float).reshape(17, 3)
        points[:, :2] += rng.normal(0, noise * np.sqrt(person["area"]), (17, 2))
        points[:, 2] = 1
        box = (np.array(person["bbox"]) + rng.normal(0, noise * person["bbox"][2], 4)).tolist()
        result = {"image_id": person["image_id"], "category_id": 1, "score": float(rng.random())}
        results.append(result | {"keypoints": points.ravel().tolist(), "bbox": box})
    return results


@pytest.mark.parametrize("kind", ["keypoints", "bbox"])
@pytest.mark.parametrize("noise", [0.02, 0.06, 0.3])
def test_figures_equal_those_of_cocos_own_summary(tmp_path: Path, kind, noise) -> None:
    from pycocotools.cocoeval import COCOeval

    truth = truth_of(tmp_path, [3, 0, 25, 1, 7])
    results = near(truth, noise, repeat=2)
    if kind == "bbox":
        results = [{k: v for k, v in r.items() if k != "keypoints"} for r in results]
    ours = coco.score(truth, results, kind)
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = COCOeval(truth, truth.loadRes(results), kind)
        theirs.evaluate(), theirs.accumulate(), theirs.summarize()
    if kind == "keypoints":
        np.testing.assert_allclose(ours.figures, theirs.stats, atol=1e-9)
    else:  # box figures are others: AP, AP.5, AP.75, small, medium, large
        np.testing.assert_allclose(ours.figures[:5], theirs.stats[[0, 1, 2, 4, 5]], atol=1e-9)


def test_perfect_predictions_are_perfect_and_none_are_nothing(tmp_path: Path) -> None:
    truth = truth_of(tmp_path, [20, 10])
    assert coco.score(truth, near(truth, 0), "keypoints").figures == pytest.approx(1)
    nothing = coco.score(truth, [], "keypoints")
    assert nothing.figures.tolist() == [0.0] * 10
    assert (coco.resample(nothing) == 0).all()


def test_where_there_is_nobody_there_are_no_figures(tmp_path: Path) -> None:
    assert coco.score(truth_of(tmp_path, [0, 0]), [], "keypoints").figures.tolist() == [-1.0] * 10


def test_precision_by_hand() -> None:
    # Two people; the surest prediction is wrong, the next two are right: precisions 0, 1/2, 2/3.
    right = np.array([[False, True, True]] * 10)
    matches = coco.Matches(np.zeros(3, np.int64), right, np.zeros_like(right), np.array([2]))
    figures = coco.count(coco.CocoScores(np.zeros(10), (matches,) * 3), np.ones(1))
    assert figures[0] == pytest.approx(2 / 3)  # the best precision from here on holds for all recalls
    assert figures[5] == 1


def test_intervals_hold_the_figure_and_shrink_with_more_images(tmp_path: Path) -> None:
    widths = []
    for images in (10, 160):
        truth = truth_of(tmp_path, [2] * images, seed=images)
        scores = coco.score(truth, near(truth, 0.06), "keypoints")
        low, high = np.percentile(coco.resample(scores), coco.INTERVAL, axis=0)
        assert low[0] <= scores.figures[0] <= high[0]
        widths.append(high[0] - low[0])
    assert widths[1] < widths[0] / 2  # it goes with the root of the number


def test_a_paired_difference_is_surer_than_two_intervals(tmp_path: Path) -> None:
    truth = truth_of(tmp_path, [2] * 60)
    good, bad = (coco.score(truth, near(truth, noise), "keypoints") for noise in (0.05, 0.06))
    low, high = np.percentile(coco.resample(good, bad), coco.INTERVAL, axis=0)
    assert 0 < low[0] < good.figures[0] - bad.figures[0] < high[0]
    assert (coco.resample(good, good) == 0).all()


def test_a_persons_score_is_the_boxs_times_the_mean_of_sure_joints() -> None:
    joints = np.array([[0.9, 0.5, 0.2, 0.1], [0.1, 0.2, 0.0, -1.0]], np.float32)
    scores = person_score(np.array([0.5, 0.9], np.float32), joints)
    assert scores.tolist() == pytest.approx([0.5 * 0.7, 0])


def test_files_that_are_no_results_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    for content in (
        "{",
        "{}",
        '[{"image_id": 1, "score": 1}]',
        '[{"keypoints": [1, 2, 3, 4], "score": 1}]',
    ):
        file.write_text(content)
        with pytest.raises(BadInput, match=r"results.json is no COCO results file: it is a list"):
            coco.load_results(file, "keypoints")
    with pytest.raises(BadInput, match=r"gone.json does not exist"):
        coco.load_results(tmp_path / "gone.json", "keypoints")
    file.write_text('[{"image_id": 1, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 1}]')
    assert coco.load_results(file, "bbox") == []  # a car


def test_files_that_are_no_annotations_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "truth.json"
    for content in ("{", "[]", '{"annotations": [{"id": 1}]}'):
        file.write_text(content)
        with pytest.raises(BadInput, match=r"truth.json is no COCO annotation file"):
            coco.load_annotations(file)
    with pytest.raises(BadInput, match=r"gone.json does not exist"):
        coco.load_annotations(tmp_path / "gone.json")


def test_predictions_of_other_images_are_refused(tmp_path: Path) -> None:
    truth = truth_of(tmp_path, [1])
    strange = [near(truth, 0)[0] | {"image_id": 77}]
    with pytest.raises(BadInput, match="of other images: 77 is not among"):
        coco.score(truth, json.loads(json.dumps(strange)), "keypoints")
