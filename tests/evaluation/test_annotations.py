"""Annotations -> people, and the errors for invalid annotations."""

import json
from pathlib import Path

import numpy as np
import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.evaluation.annotations import clean_boxes, find_data, join, load_people
from hrpose_rt.geometry import boxes_to_centre_size
from hrpose_rt.skeleton import COCO17
from hrpose_rt.training.config import DataSet
from hrpose_rt.training.trainer import load_data
from tests.training.people_set import annotation, write_json, write_mpii, write_set


def edit(path: Path, change) -> Path:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return path


def test_coco_people_have_boxes_keypoints_and_source_location(tmp_path: Path) -> None:
    file = write_set(tmp_path)
    joints = json.loads(file.read_text())["annotations"][3]["keypoints"]
    people = load_people(file)
    assert len(people) == 12
    assert people.skeleton.name == "coco17"
    assert people.boxes[3].tolist() == [10, 10, 85, 85]
    assert people.joints[3].ravel().tolist() == [v for i, v in enumerate(joints) if i % 3 < 2]
    assert people.labelled.all() and people.human_labelled.all()
    assert people.where(3) == f"{tmp_path}/images/person-3.png, annotation 103"


def test_clean_boxes_subtracts_one_pixel_and_clips_to_image() -> None:
    boxes = np.array([[10, 20, 30, 40], [-5, -5, 20, 20], [90, 90, 30, 30], [5, 5, 0, 9]], np.float32)
    clean = clean_boxes(boxes, np.full((4, 2), 100, np.float32))
    assert clean.tolist() == [[10, 20, 39, 59], [0, 0, 19, 19], [90, 90, 99, 99], [5, 5, 5, 13]]


def test_iscrowd_other_category_and_unlabelled_joints_are_skipped(tmp_path: Path) -> None:
    def change(content) -> None:
        persons = content["annotations"]
        persons[0]["iscrowd"] = 1
        persons[1]["category_id"] = 2
        persons[2]["keypoints"][2] = 0
        persons[2]["keypoint_label"] = "some-network"

    people = load_people(edit(write_set(tmp_path), change))
    assert people.ids.tolist() == list(range(102, 112))
    assert people.labelled.sum() == 17 * 10 - 1 and not people.labelled[0, 0]
    assert people.human_labelled.tolist() == [False] + [True] * 9


def test_mpii_crop_matches_reference_center_and_scale(tmp_path: Path) -> None:
    people = load_people(write_mpii(tmp_path))
    centres, sizes = boxes_to_centre_size(people.boxes, (256, 256))
    # centre (48, 45 + 15 * 0.4) - 1, side 200 * 0.4 * 1.25
    np.testing.assert_allclose(centres[0], [47, 50], atol=1e-4)
    np.testing.assert_allclose(sizes[0], [100, 100], atol=1e-4)
    assert people.joints[0, 2].tolist() == [41, 49]
    assert people.labelled[0].tolist() == [True] * 15 + [False]
    assert people.skeleton.name == "mpii16"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c["annotations"].clear(), "has no people with a box"),
        (
            lambda c: c["annotations"][4]["keypoints"].pop(),
            "annotation 104 has 16.6667 joints, its category",
        ),
        (
            lambda c: c["images"][2].update(file_name="gone.png"),
            "gone.png, annotation 102: the image is missing",
        ),
        (
            lambda c: [a.update(bbox=[5, 5, 0, 9]) for a in c["annotations"][:2]],
            "2 of 12 boxes have no area",
        ),
        (lambda c: c.pop("images"), "it has no images, a list of objects"),
        (
            lambda c: c["categories"][0].update(keypoints=["a"]),
            "annotation 100 has 17 joints, its category names 1",
        ),
        (lambda c: c["categories"][0].update(keypoints="nose"), "category 1 has no list of names as its"),
        (
            lambda c: [a.pop("keypoints") for a in c["annotations"]],
            "annotation 100 has no keypoints, and nobody else has",
        ),
        (
            lambda c: c["images"][2].update(width=48, height=50),
            "person-2.png is 96x96, the annotations say 48x50: give the images that were annotated",
        ),
        (lambda c: c["images"].append(dict(c["images"][3], id=1)), "two image entries with the id 1"),
    ],
)
def test_invalid_coco_file_raises_bad_input(tmp_path: Path, change, words) -> None:
    with pytest.raises(BadInput, match=words):
        load_people(edit(write_set(tmp_path), change))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bbox": [1, 2, float("nan"), 4]}, "annotation 104 has nan in its bbox"),
        ({"bbox": [1, 2, float("inf"), 4]}, "annotation 104 has inf in its bbox"),
        ({"bbox": [90, 90, -20, -20]}, r"annotation 104 has the box \[90, 90, -20, -20\]"),
        ({"bbox": [900, 900, 20, 20]}, "annotation 104 .* outside its image of 96x96"),
        ({"bbox": None}, "annotation 104 has the bbox None"),
        ({"area": float("nan")}, "annotation 104 has the area nan"),
        ({"area": -5}, "annotation 104 has the area -5"),
        ({"keypoints": [1, float("nan"), 2] * 17}, "annotation 104 has nan in its keypoints"),
        ({"keypoints": [1, 1e30, 2] * 17}, r"annotation 104 has 1e\+30 in its keypoints"),
        ({"iscrowd": "no"}, "annotation 104 has the iscrowd no: it is 0 or 1"),
        ({"category_id": "1"}, "annotation 104 has the category_id 1: it is a number"),
        ({"image_id": 99}, "annotation 104 has the image_id 99: give it the id of one of the images"),
        ({"id": 103}, "has two annotation entries with the id 103"),
        ({"id": None}, "annotation number 5 has the id None"),
        ({"id": 2**63}, "annotation number 5 has the id 9223372036854775808: give it a number of its own"),
        ({"id": "p-1"}, "annotation number 5 has the id p-1"),
        ({"bbox": [1, 2, 30, 40, 0.9]}, "annotation 104 has the box"),
        ({"area": "8000"}, "annotation 104 has the area 8000"),
        ({"keypoints": [None] * 51}, "annotation 104 has the keypoints .None"),
    ],
)
def test_invalid_coco_annotation_raises_bad_input_with_id(tmp_path: Path, change, words) -> None:
    file = edit(write_set(tmp_path), lambda c: c["annotations"][4].update(change))
    with pytest.raises(BadInput, match=words):
        load_people(file)


@pytest.mark.parametrize("field", ["bbox", "category_id", "image_id"])
def test_missing_coco_annotation_field_raises_bad_input_with_id(tmp_path: Path, field) -> None:
    file = edit(write_set(tmp_path), lambda c: c["annotations"][4].pop(field))
    with pytest.raises(BadInput, match=f"people.json, annotation 104 has no {field}"):
        load_people(file)


def test_missing_or_zero_coco_area_is_box_area(tmp_path: Path) -> None:
    def change(content) -> None:
        content["annotations"][0].pop("area")
        content["annotations"][1]["area"] = 0

    assert load_people(edit(write_set(tmp_path), change)).areas[:2].tolist() == [76 * 76] * 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scale": float("nan")}, r"person 1 \(1.png\): scale, center or joints are no finite numbers"),
        ({"scale": 0}, "the scale is not above 0"),
        ({"center": [float("inf"), 3]}, "person 1 .* no finite numbers"),
    ],
)
def test_invalid_mpii_scale_or_center_raises_bad_input(tmp_path: Path, change, words) -> None:
    file = edit(write_mpii(tmp_path), lambda c: c[1].update(change))
    with pytest.raises(BadInput, match=words):
        load_people(file)


def test_unknown_or_unnamed_keypoints_raise_bad_input(tmp_path: Path) -> None:
    write_set(tmp_path)
    images = [{"id": 1, "file_name": "person-0.png", "width": 96, "height": 96}]
    file = write_json(
        tmp_path / "five.json", images, [annotation(1, 1, np.zeros((5, 2)))], joints=COCO17.joints[:5]
    )
    with pytest.raises(
        BadInput, match=r"names its 5 joints nose, left_eye, right_eye, ...: those are neither"
    ):
        load_people(file)
    with pytest.raises(
        BadInput, match=r"5 joints a person and does not name them: only 17 \(COCO\) and 16"
    ):
        load_people(edit(file, lambda c: c["categories"][0].pop("keypoints")))


def test_joined_datasets_keep_image_paths(tmp_path: Path) -> None:
    both = join([load_people(write_set(tmp_path / n, people=2)) for n in ("a", "b")])
    assert [both.where(i).split("/")[-3] for i in range(4)] == ["a", "a", "b", "b"]


def test_join_of_coco_and_mpii_raises_bad_input(tmp_path: Path) -> None:
    sets = [load_people(write_set(tmp_path / "a")), load_people(write_mpii(tmp_path / "b"))]
    with pytest.raises(BadInput, match="coco17 and mpii16"):
        join(sets)


def test_held_out_hash_split_is_deterministic_and_stable(tmp_path: Path) -> None:
    people = load_people(write_set(tmp_path, people=60))
    kept = people.held_out(10)
    assert 1 <= kept.sum() <= 14
    assert (people.held_out(10) == kept).all()
    assert people.select(kept).held_out(10).all()


def test_find_data_uses_hrpose_data_environment_variable(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "set.json").write_text("[]")
    with pytest.raises(BadInput, match=r"set\.json does not exist: check the path, or set HRPOSE_DATA"):
        find_data(Path("set.json"))
    monkeypatch.setenv("HRPOSE_DATA", str(tmp_path))
    assert find_data(Path("set.json")) == tmp_path / "set.json"


def test_people_without_keypoints_are_skipped_unless_unlabelled_is_set(tmp_path: Path) -> None:
    def change(content) -> None:
        content["annotations"][0].pop("keypoints")
        content["annotations"][1].update(keypoints=[], num_keypoints=0)
        content["annotations"][2]["keypoints"] = None

    sets = (DataSet(edit(write_set(tmp_path), change)),)
    data = load_data(sets, sets, 10)
    assert (len(data.train), data.jointless) == (9, 3)
    taught = load_data(sets, sets, 10, unlabelled=True)
    assert (len(taught.train), taught.jointless) == (12, 0)
