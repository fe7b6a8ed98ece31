"""COCO's metrics: computed by hand, and equal to those of COCO's own summary."""

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.evaluation import coco
from hrpose_rt.result import person_score
from tests.training.people_set import annotation, write_json

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
        keypoints = np.array(person["keypoints"], float).reshape(17, 3)
        keypoints[:, :2] += rng.normal(0, noise * np.sqrt(person["area"]), (17, 2))
        keypoints[:, 2] = 1
        box = (np.array(person["bbox"]) + rng.normal(0, noise * person["bbox"][2], 4)).tolist()
        result = {"image_id": person["image_id"], "category_id": 1, "score": float(rng.random())}
        results.append(result | {"keypoints": keypoints.ravel().tolist(), "bbox": box})
    return results


@pytest.mark.parametrize("kind", ["keypoints", "bbox"])
@pytest.mark.parametrize("noise", [0.02, 0.06, 0.3])
def test_coco_metrics_equal_pycocotools(tmp_path: Path, kind, noise) -> None:
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
        np.testing.assert_allclose(ours.metrics, theirs.stats, atol=1e-9)
    else:  # box figures are others: AP, AP.5, AP.75, small, medium, large
        np.testing.assert_allclose(ours.metrics[:5], theirs.stats[[0, 1, 2, 4, 5]], atol=1e-9)


def test_ap_of_perfect_results_is_one_and_of_none_is_zero(tmp_path: Path) -> None:
    truth = truth_of(tmp_path, [20, 10])
    assert coco.score(truth, near(truth, 0), "keypoints").metrics == pytest.approx(1)
    nothing = coco.score(truth, [], "keypoints")
    assert nothing.metrics.tolist() == [0.0] * 10
    assert (coco.resample(nothing) == 0).all()


def test_coco_metrics_without_people_are_minus_one(tmp_path: Path) -> None:
    assert coco.score(truth_of(tmp_path, [0, 0]), [], "keypoints").metrics.tolist() == [-1.0] * 10


def test_average_precision_matches_hand_calculation() -> None:
    # Two people; the surest prediction is wrong, the next two are right: precisions 0, 1/2, 2/3.
    correct = np.array([[False, True, True]] * 10)
    matches = coco.Matches(np.zeros(3, np.int64), correct, np.zeros_like(correct), np.array([2]))
    metrics = coco.count(coco.CocoScores(np.zeros(10), (matches,) * 3), np.ones(1))
    assert metrics[0] == pytest.approx(2 / 3)  # the best precision from here on holds for all recalls
    assert metrics[5] == 1


def test_bootstrap_bounds_contain_ap_and_shrink_with_more_images(tmp_path: Path) -> None:
    widths = []
    for images in (10, 160):
        truth = truth_of(tmp_path, [2] * images, seed=images)
        scores = coco.score(truth, near(truth, 0.06), "keypoints")
        low, high = np.percentile(coco.resample(scores), coco.INTERVAL, axis=0)
        assert low[0] <= scores.metrics[0] <= high[0]
        widths.append(high[0] - low[0])
    assert widths[1] < widths[0] / 2  # it goes with the root of the number


def test_bootstrap_paired_ap_difference_excludes_zero(tmp_path: Path) -> None:
    truth = truth_of(tmp_path, [2] * 60)
    good, bad = (coco.score(truth, near(truth, noise), "keypoints") for noise in (0.05, 0.06))
    low, high = np.percentile(coco.resample(good, bad), coco.INTERVAL, axis=0)
    assert 0 < low[0] < good.metrics[0] - bad.metrics[0] < high[0]
    assert (coco.resample(good, good) == 0).all()


def test_person_score_is_box_score_times_mean_of_confident_joints() -> None:
    joints = np.array([[0.9, 0.5, 0.2, 0.1], [0.1, 0.2, 0.0, -1.0]], np.float32)
    scores = person_score(np.array([0.5, 0.9], np.float32), joints)
    assert scores.tolist() == pytest.approx([0.5 * 0.7, 0])


def test_coco_results_of_wrong_format_raise_bad_input(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    for content in (
        "{",
        "{}",
        '[{"image_id": 1, "score": 1}]',
        '[{"keypoints": [1, 2, 3, 4], "score": 1}]',
    ):
        file.write_text(content)
        with pytest.raises(BadInput, match=r"results.json is no COCO results file: it is a list"):
            coco.load_results(file, "keypoints", 1)
    with pytest.raises(BadInput, match=r"gone.json does not exist"):
        coco.load_results(tmp_path / "gone.json", "keypoints", 1)
    person = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1}
    file.write_text(json.dumps([person, person | {"category_id": 3}]))  # and a car
    assert coco.load_results(file, "bbox", 1) == [person]


@pytest.mark.parametrize("category", [0, "1", 3])
def test_coco_results_of_other_category_raise_bad_input(tmp_path: Path, category) -> None:
    file = tmp_path / "results.json"
    file.write_text(
        json.dumps([{"image_id": 1, "category_id": category, "bbox": [1, 2, 3, 4], "score": 1}])
    )
    with pytest.raises(
        BadInput, match=f"none of the 1 entries of .* is of category 1, .* says {category!r}"
    ):
        coco.load_results(file, "bbox", 1)
    file.write_text("[]")
    assert coco.load_results(file, "bbox", 1) == []


@pytest.mark.parametrize(
    ("field", "change", "words"),
    [
        ("keypoints", {"score": "0.9"}, "entry 2 has the score '0.9', a finite number is needed"),
        ("keypoints", {"score": float("nan")}, "entry 2 has the score nan"),
        ("keypoints", {"score": None}, "entry 2 has the score None"),
        ("keypoints", {"keypoints": [1, float("nan"), 1] * 17}, "entry 2 has nan in its keypoints"),
        ("keypoints", {"keypoints": [1, 2, "1"] * 17}, "entry 2 has '1' in its keypoints"),
        ("keypoints", {"keypoints": [1, 10**400, 1] * 17}, "in its keypoints: finite numbers"),
        ("keypoints", {"keypoints": 7}, "entry 2 has the keypoints 7"),
        ("bbox", {"bbox": [1, 2, float("inf"), 4]}, "entry 2 has inf in its bbox: four numbers"),
        ("bbox", {"bbox": [1, 2, -3, 4]}, r"entry 2 has the box \[1, 2, -3, 4\]"),
        ("bbox", {"image_id": [1]}, "entry 2 has no image_id"),
    ],
)
def test_coco_results_with_invalid_values_raise_bad_input(tmp_path: Path, field, change, words) -> None:
    good = {"image_id": 1, "category_id": 1, "score": 1, "keypoints": [1, 2, 1] * 17, "bbox": [1, 2, 3, 4]}
    file = tmp_path / "results.json"
    file.write_text(json.dumps([good, good | change]))
    with pytest.raises(BadInput, match=words):
        coco.load_results(file, field, 1)


def test_coco_results_without_category_id_count_as_person(tmp_path: Path) -> None:
    truth = truth_of(tmp_path, [2])
    predictions = near(truth, 0)
    for result in predictions:
        del result["category_id"]
    (tmp_path / "results.json").write_text(json.dumps(predictions))
    results = coco.load_results(tmp_path / "results.json", "keypoints", coco.person_category(truth))
    assert coco.score(truth, results, "keypoints").metrics[0] == pytest.approx(1)
    with pytest.raises(BadInput, match="the predictions are of category 7, people of 1 in the annotations"):
        coco.score(truth, [r | {"category_id": 7} for r in results], "keypoints")


def test_coco_annotations_of_wrong_format_raise_bad_input(tmp_path: Path) -> None:
    file = tmp_path / "truth.json"
    for content in ("{", "[]", '{"annotations": [{"id": 1}]}'):
        file.write_text(content)
        with pytest.raises(BadInput, match=r"truth.json is no COCO annotation file"):
            coco.load_annotations(file)
    with pytest.raises(BadInput, match=r"gone.json does not exist"):
        coco.load_annotations(tmp_path / "gone.json")


def test_coco_results_of_unknown_image_id_raise_bad_input(tmp_path: Path) -> None:
    truth = truth_of(tmp_path, [1])
    for other in (77, 0):  # 0 is an image like any other
        strange = [near(truth, 0)[0] | {"image_id": other}]
        with pytest.raises(BadInput, match=f"of other images: {other} is not among"):
            coco.score(truth, json.loads(json.dumps(strange)), "keypoints")


def rewritten(folder: Path, change, category: int = 1):
    """Annotations of three people in two images after a change, and predictions half a pixel off."""
    truth = truth_of(folder, [2, 1])
    content = truth.dataset
    for person in content["annotations"]:
        change(person)
        person["category_id"] = category
    content["categories"][0]["id"] = category
    (folder / "changed.json").write_text(json.dumps(content))
    predictions = [
        {"image_id": p["image_id"], "category_id": category, "score": 0.9}
        | {"keypoints": (np.array(p["keypoints"]) + np.tile([0.5, 0, 0], 17)).tolist()}
        for p in content["annotations"]
    ]
    return coco.load_annotations(folder / "changed.json"), predictions


@pytest.mark.parametrize(
    "change",
    [
        lambda person: person.update(id=person["id"] - 1),
        lambda person: person.update(area=0),
        lambda person: person.pop("area"),
        lambda person: person.pop("iscrowd"),
        lambda person: person.pop("num_keypoints"),
    ],
)
def test_coco_missing_annotation_fields_are_filled_in(tmp_path: Path, change) -> None:
    truth, predictions = rewritten(tmp_path, change)
    metrics = coco.score(truth, predictions, "keypoints").metrics
    control = rewritten(tmp_path, lambda person: None)
    assert metrics[0] > 0.9
    np.testing.assert_array_equal(metrics, coco.score(*control, "keypoints").metrics)
    assert truth.loadAnns(1)[0]["area"] > 0


@pytest.mark.parametrize("category", [0, 2])
def test_person_category_id_is_read_from_coco_annotations(tmp_path: Path, category: int) -> None:
    truth, predictions = rewritten(tmp_path, lambda person: None, category)
    assert coco.person_category(truth) == category
    assert coco.score(truth, predictions, "keypoints").metrics[0] > 0.9
