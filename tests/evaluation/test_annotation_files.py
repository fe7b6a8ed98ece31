"""Data sets as annotation tools write them. An error names whatever is ambiguous."""

import gzip
import json
import unicodedata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.evaluation import coco
from hrpose_rt.evaluation.annotations import load_people
from hrpose_rt.evaluation.joint_names import joint_order, plain_name
from hrpose_rt.skeleton import COCO17, MPII16

W, H = 160, 120
BOX = [20, 10, 100, 100]
# As a tool has them that was told the joints from the feet up, right before left.
UPSIDE_DOWN = list(reversed(COCO17.joints))


def position(joint: str) -> list[int]:
    """Where the samples have a joint of COCO's."""
    k = COCO17.joints.index(joint)
    return [30 + 3 * k, 20 + 5 * k, 2]


def keypoints(names: list[str]) -> list[int]:
    return [v for name in names for v in position(name)]


def person(names: list[str] = UPSIDE_DOWN, **more: Any) -> dict[str, Any]:
    return {"id": 1, "image_id": 1, "category_id": 1, "bbox": BOX, "keypoints": keypoints(names), **more}


def write(folder: Path, content: Any, name: str = "a.jpg") -> Path:
    image = folder / "images" / name
    image.parent.mkdir(parents=True)
    cv2.imwrite(str(image), np.zeros((H, W, 3), np.uint8))
    file = folder / "people.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def cvat() -> dict[str, Any]:
    """CVAT's "COCO Keypoints 1.0": a skeleton label beside others, ids from 1."""
    skeleton = {
        "id": 2,
        "name": "person",
        "supercategory": "",
        "keypoints": UPSIDE_DOWN,
        "skeleton": [[1, 3]],
    }
    attributes = {"occluded": False, "keyframe": False}
    car = {"id": 2, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9], "area": 81, "iscrowd": 0}
    return {
        "licenses": [{"name": "", "id": 0, "url": ""}],
        "info": {"contributor": "", "date_created": "", "description": "", "year": ""},
        "categories": [{"id": 1, "name": "car", "supercategory": ""}, skeleton],
        "images": [{"id": 1, "width": W, "height": H, "file_name": "a.jpg", "license": 0, "coco_url": ""}],
        "annotations": [
            person(category_id=2, segmentation=[], area=1.0, iscrowd=0, attributes=attributes),
            car,
        ],
    }


def label_studio() -> dict[str, Any]:
    """Label Studio's COCO: ids from 0, the folder and Windows' separators in names."""
    return {
        "images": [{"width": W, "height": H, "id": 0, "file_name": "images\\a.jpg"}],
        "categories": [
            {"id": 0, "name": "Person", "keypoints": [n.replace("_", " ") for n in UPSIDE_DOWN]}
        ],
        "annotations": [
            person(id=0, image_id=0, category_id=0, segmentation=[], ignore=0, iscrowd=0, area=1.0)
        ],
        "info": {"year": 2025, "version": "1.0", "contributor": "Label Studio"},
    }


def labelme() -> dict[str, Any]:
    """labelme's converters to COCO: no names of joints, so COCO's order; no counts and no crowds."""
    return {
        "images": [{"file_name": "images/a.JPG", "height": H, "width": W, "id": 1}],
        "type": "instances",
        "categories": [{"supercategory": "person", "id": 1, "name": "person"}],
        "annotations": [person(list(COCO17.joints), area=1.0)],
    }


def roboflow() -> dict[str, Any]:
    """Roboflow's COCO: category 0 is the project, of which nothing is annotated; numbers with fractions."""
    return {
        "info": {"year": "2025", "version": "1", "description": "Exported from roboflow.com"},
        "licenses": [{"id": 1, "url": "", "name": "CC BY 4.0"}],
        "categories": [
            {"id": 0, "name": "people", "supercategory": "none"},
            {
                "id": 1,
                "name": "person",
                "supercategory": "people",
                "keypoints": UPSIDE_DOWN,
                "skeleton": [],
            },
        ],
        "images": [{"id": 0, "license": 1, "file_name": "a.jpg", "height": H, "width": W}],
        "annotations": [
            person(id=0, image_id=0, bbox=[20.0, 10, 100, 100.0], area=1, segmentation=[], iscrowd=0)
        ],
    }


def coco_annotator() -> dict[str, Any]:
    """COCO Annotator's: iscrowd is true or false, areas are 0, people may be unlabelled."""
    unlabelled = {"id": 9, "image_id": 12, "category_id": 4, "bbox": BOX, "area": 0, "iscrowd": False}
    image = {"id": 12, "dataset_id": 1, "path": "/datasets/people/a.jpg", "file_name": "a.jpg"}
    return {
        "images": [image | {"width": W, "height": H, "annotated": False, "num_annotations": 2}],
        "categories": [{"id": 4, "name": "human", "supercategory": "", "keypoints": UPSIDE_DOWN}],
        "annotations": [
            person(image_id=12, category_id=4, area=0, iscrowd=False, isbbox=False, num_keypoints=0),
            unlabelled | {"segmentation": [], "keypoints": []},
        ],
    }


@pytest.mark.parametrize("tool", [cvat, label_studio, labelme, roboflow, coco_annotator])
def test_coco_exports_of_annotation_tools_load_keypoints_in_order(tool, tmp_path: Path) -> None:
    file = write(tmp_path, tool())
    people = load_people(file)
    labelled = people.select(people.labelled.any(axis=1))
    assert (len(labelled), labelled.skeleton) == (1, COCO17)
    assert labelled.boxes[0].tolist() == [20, 10, 119, 109]
    assert labelled.joints[0].tolist() == [position(joint)[:2] for joint in COCO17.joints]
    truth = coco.load_annotations(file)
    category, image = coco.person_category(truth), truth.getImgIds()[0]
    prediction = {
        "image_id": image,
        "category_id": category,
        "score": 0.9,
        "keypoints": keypoints(list(COCO17.joints)),
    }
    (tmp_path / "results.json").write_text(json.dumps([prediction]))
    results = coco.load_results(tmp_path / "results.json", "keypoints", category)
    coco.check_joints(truth, results, COCO17)
    assert coco.score(truth, results, "keypoints").metrics[0] == pytest.approx(1)


def test_labelme_single_image_json_raises_bad_input(tmp_path: Path) -> None:
    shape = {"label": "nose", "points": [[3, 4]], "shape_type": "point", "group_id": 1, "flags": {}}
    own = {"version": "5.4.1", "flags": {}, "shapes": [shape], "imagePath": "a.jpg", "imageData": None}
    with pytest.raises(BadInput, match=r"people.json is labelme's of one image: make a file of COCO"):
        load_people(write(tmp_path, own))


def test_numbered_keypoint_names_raise_bad_input(tmp_path: Path) -> None:
    content = cvat()
    content["categories"][1]["keypoints"] = [
        str(i + 1) for i in range(17)
    ]  # CVAT's, where nobody named them
    file = write(tmp_path, content)
    with pytest.raises(
        BadInput, match=r"names its 17 joints 1, 2, 3, ...: those are neither COCO's 17 \(nose"
    ):
        load_people(file)
    with pytest.raises(BadInput, match=r"joint 1 is 1 in the annotations' category, nose in coco17"):
        coco.check_joints(coco.load_annotations(file), [], COCO17)


def test_coco_keypoints_without_nose_are_not_taken_for_mpii(tmp_path: Path) -> None:
    content = labelme()
    content["categories"][0]["keypoints"] = list(COCO17.joints[1:])
    content["annotations"][0]["keypoints"] = keypoints(list(COCO17.joints[1:]))
    with pytest.raises(
        BadInput, match=r"names its 16 joints left_eye, right_eye, left_ear, ...: those are"
    ):
        load_people(write(tmp_path, content, "a.JPG"))


def test_extra_keypoints_beside_coco_are_ignored(tmp_path: Path) -> None:
    content = labelme()
    content["categories"][0]["keypoints"] = ["Neck", *COCO17.joints]
    content["annotations"][0]["keypoints"] = [1, 2, 2, *keypoints(list(COCO17.joints))]
    people = load_people(write(tmp_path, content, "a.JPG"))
    assert people.joints[0].tolist() == [position(joint)[:2] for joint in COCO17.joints]


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        *(("Left Shoulder", "left_shoulder"), ("leftShoulder", "left_shoulder"), ("l-hip", "left_hip")),
        *(("R_Ankle", "right_ankle"), (" nose ", "nose"), ("head_top", "head"), ("17", "17")),
    ],
)
def test_keypoint_name_spellings_are_normalised(name: str, plain: str) -> None:
    assert plain_name(name) == plain


def test_keypoint_order_follows_names() -> None:
    assert joint_order(MPII16.joints) == (MPII16, list(range(16)))
    assert joint_order(UPSIDE_DOWN) == (COCO17, list(range(16, -1, -1)))
    assert joint_order([*COCO17.joints, "nose"]) is None  # which one is meant?
    assert joint_order([]) is None


@pytest.mark.parametrize(
    ("stored", "written"),
    [
        ("sub/e.jpg", "sub\\e.jpg"),
        ("\u00fcn\u00ef.jpg", unicodedata.normalize("NFD", "\u00fcn\u00ef.jpg")),
        (unicodedata.normalize("NFD", "\u00fcn\u00ef.jpg"), "\u00fcn\u00ef.jpg"),
        ("a.jpg", "a.JPG"),
        ("a.jpg", "images/a.jpg"),
        ("images/a.jpg", "images/a.jpg"),
    ],
)
def test_image_file_name_matches_across_separator_case_and_unicode(stored, written, tmp_path: Path) -> None:
    content = cvat()
    content["images"][0]["file_name"] = written
    people = load_people(write(tmp_path, content, stored))
    assert people.images[0].samefile(tmp_path / "images" / stored)


def test_ambiguous_image_file_name_raises_bad_input(tmp_path: Path) -> None:
    content = cvat()
    content["images"][0]["file_name"] = "A.Jpg"
    file = write(tmp_path, content, "a.jpg")
    (tmp_path / "images" / "a.JPG").write_bytes(b"")
    with pytest.raises(BadInput, match=r"A.Jpg, annotation 1: the image is missing"):
        load_people(file)


def test_json_with_bom_or_gzip_loads_and_corrupt_gzip_raises(tmp_path: Path) -> None:
    file = write(tmp_path, cvat())
    data = file.read_bytes()
    file.write_bytes(b"\xef\xbb\xbf" + data)
    assert len(load_people(file)) == 1
    packed = tmp_path / "people.json.gz"
    packed.write_bytes(gzip.compress(data))
    assert len(load_people(packed)) == 1
    for broken in (gzip.compress(data)[:-9], data):
        packed.write_bytes(broken)
        with pytest.raises(BadInput, match=r"people.json.gz is neither COCO keypoints nor MPII json"):
            load_people(packed)


def test_num_keypoints_is_recounted_from_visibility(tmp_path: Path) -> None:
    content = cvat()
    content["annotations"][0]["num_keypoints"] = 0  # which pycocotools would leave out
    truth = coco.load_annotations(write(tmp_path, content))
    assert truth.dataset["annotations"][0]["num_keypoints"] == 17
