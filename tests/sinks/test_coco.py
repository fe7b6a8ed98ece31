"""COCO's results: the ids that images get."""

import json
from pathlib import Path

import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.sinks.coco import read_image_ids


def annotations(folder: Path, *images: dict) -> Path:
    path = folder / "annotations.json"
    path.write_text(json.dumps({"images": images, "annotations": [], "categories": []}))
    return path


def test_coco_image_ids_are_read_from_annotations(tmp_path) -> None:
    file = annotations(tmp_path, {"id": 7, "file_name": "val\\a.jpg"}, {"id": 9, "file_name": "b.png"})
    assert read_image_ids(file, ["a.jpg", "b.png"]) == {"a.jpg": 7, "b.png": 9}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"id": 7, "file_name": "a.jpg"}], r"annotations\.json has no image b\.png: give those of these"),
        (
            [{"file_name": "a.jpg"}],
            r"images no ids \(images\[0\]: object missing required field id\)",
        ),
        ([{"id": 1, "file_name": "x/a.jpg"}, {"id": 2, "file_name": "y/a.jpg"}], "two images called a"),
    ],
)
def test_coco_image_ids_reject_missing_or_duplicate_images(rows, words, tmp_path) -> None:
    with pytest.raises(BadInput, match=words):
        read_image_ids(annotations(tmp_path, *rows), ["a.jpg", "b.png"])
