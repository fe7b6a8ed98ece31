"""Images -> results: the boxes that are posed, the results they give, and contact sheets."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.evaluation import coco, predict
from hrpose_rt.evaluation.contact_sheet import THUMBNAIL_HW, contact_sheet, save_contact_sheet, thumbnail
from hrpose_rt.evaluation.per_joint import joint_metrics, pair
from hrpose_rt.skeleton import COCO17
from hrpose_rt.timing import StageClock
from hrpose_rt.types import Poses
from tests.fakes import FakeDetector
from tests.training.people_set import write_set


class Knowing:
    """An estimator that knows the truth of the set's single people, and is unsure of some joints."""

    input_hw = (256, 192)

    def __init__(self, truth) -> None:
        self._joints = {tuple(p["bbox"]): p["keypoints"] for p in truth.loadAnns(truth.getAnnIds())}
        self._order = iter(truth.loadAnns(truth.getAnnIds()))

    def estimate(self, image, boxes, clock: StageClock) -> Poses:
        person = np.array(next(self._order)["keypoints"], np.float32).reshape(1, 17, 3)
        scores = np.full((len(boxes), 17), 0.8, np.float32)
        return Poses.estimated(np.repeat(person[..., :2], len(boxes), axis=0), scores)

    def close(self) -> None:
        pass


def images_of(folder: Path, truth) -> list[predict.AnnotatedImage]:
    listed = truth.loadImgs(truth.getImgIds())
    return [predict.AnnotatedImage(i["id"], folder / "images" / i["file_name"]) for i in listed]


def run(folder: Path, boxes=None, threshold: float = 0.9):
    truth = coco.load_annotations(write_set(folder, people=4))
    ticks: list[int] = []
    results = predict.pose_results(
        images_of(folder, truth),
        boxes or predict.annotated(truth),
        *(Knowing(truth), predict.OksNms(COCO17, threshold), lambda: ticks.append(1)),
    )
    assert len(ticks) == 4
    return truth, results


def test_perfect_estimator_has_ap_and_oks_of_one(tmp_path: Path) -> None:
    truth, results = run(tmp_path)
    assert coco.score(truth, results, "keypoints").metrics[0] == pytest.approx(1)
    assert {r["score"] for r in results} == {0.8}
    people = pair(truth, results, COCO17.sigmas)
    assert people.oks().tolist() == pytest.approx([1] * 4)
    counts, mean, right = joint_metrics(people)
    assert (counts, mean, right) == ([4] * 17, pytest.approx([1] * 17), [1] * 17)


def test_oks_nms_keeps_best_of_duplicate_poses(tmp_path: Path) -> None:
    twice = [
        {"image_id": i, "bbox": [10, 10, 76, 76], "score": score}
        for i in range(1, 5)
        for score in (0.5, 0.9)
    ]
    _, results = run(tmp_path / "a", predict.listed(twice))
    assert [r["score"] for r in results] == pytest.approx([0.72] * 4)
    _, results = run(tmp_path / "b", predict.listed(twice), threshold=1.0)
    assert len(results) == 8


def test_listed_boxes_drop_zero_area_and_keep_low_score(tmp_path: Path) -> None:
    listed = predict.listed(
        [
            {"image_id": 1, "bbox": [5, 6, 10, 20], "score": 0.001},
            {"image_id": 1, "bbox": [5, 6, 0, 20], "score": 0.9},
        ]
    )
    people = listed(predict.AnnotatedImage(1, tmp_path), np.zeros((9, 9, 3), np.uint8))
    assert people.boxes.tolist() == [[5, 6, 15, 26]]
    assert len(listed(predict.AnnotatedImage(2, tmp_path), np.zeros((9, 9, 3), np.uint8))) == 0


def test_box_results_are_written_as_coco_xywh(tmp_path: Path) -> None:
    truth = coco.load_annotations(write_set(tmp_path, people=1))
    boxes = predict.detected(FakeDetector([2]))
    results = predict.box_results(images_of(tmp_path, truth), boxes, lambda: None)
    assert [r["bbox"] for r in results] == [
        pytest.approx([0, 0, 9.6, 96]),
        pytest.approx([86.4, 0, 9.6, 96], rel=1e-5),
    ]
    assert coco.score(truth, results, "bbox").metrics[0] == 0


def test_missing_or_corrupt_image_raises_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"gone.png \(image 7\) is missing: check `images`"):
        predict.AnnotatedImage(7, tmp_path / "gone.png").read()
    (tmp_path / "torn.png").write_bytes(b"PNG")
    with pytest.raises(BadInput, match=r"torn.png \(image 8\) cannot be read, replace it"):
        predict.AnnotatedImage(8, tmp_path / "torn.png").read()


def test_oks_of_person_without_prediction_is_zero(tmp_path: Path) -> None:
    truth, results = run(tmp_path)
    people = pair(truth, results[1:], COCO17.sigmas)
    assert people.oks().tolist() == pytest.approx([0, 1, 1, 1])
    assert np.isnan(people.keypoints[0]).all()
    _, mean, _ = joint_metrics(people)
    assert mean == pytest.approx([0.75] * 17)


def test_image_whose_name_is_no_utf8_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "caf\udce9.png"
    file.touch()
    with pytest.raises(BadInput, match="has a name that is no UTF-8: rename it"):
        predict.AnnotatedImage(1, file).read()


def test_contact_sheet_is_written_under_any_name(tmp_path: Path) -> None:
    file = tmp_path / "caf\udce9.png"
    save_contact_sheet(file, [np.full((*THUMBNAIL_HW, 3), 60, np.uint8)])
    assert cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR).mean() == 60


def test_contact_sheet_has_thumbnail_for_found_and_missed_people(tmp_path: Path) -> None:
    truth, results = run(tmp_path)
    people = pair(truth, results[1:], COCO17.sigmas)
    image = np.full((96, 96, 3), 60, np.uint8)
    thumbnails = [thumbnail(image, people.person(i), COCO17, "text") for i in range(4)]
    assert thumbnails[0].shape == (*THUMBNAIL_HW, 3)
    assert (thumbnails[1] != thumbnails[0]).any()
    blue = [(t[..., 0].astype(int) - t[..., 2] > 100).sum() for t in thumbnails]  # the left side's limbs
    assert blue[0] == 0 and min(blue[1:]) > 50
    sheet = contact_sheet([*thumbnails * 2, thumbnails[0]])
    assert sheet.shape == (2 * 256, 8 * 192, 3)
    assert (sheet[256:, 192:] == 0).all()
