"""Made-up people: images with a dot of its own brightness at every joint, and their annotations."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hrpose_rt.skeleton import COCO17

K = 17
SIDE = 96


def write_set(folder: Path, people: int = 12, seed: int = 0) -> Path:
    """Write `people` images of one person each, and `people.json` in COCO's keypoint format."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for i in range(people):
        image = rng.integers(0, 60, (SIDE, SIDE, 3), np.uint8)
        joints = rng.integers(16, 80, (K, 2))
        for k, (x, y) in enumerate(joints.tolist()):
            cv2.circle(image, (x, y), 2, (80 + 10 * k, 255 - 10 * k, 40 * (k % 5)), cv2.FILLED)
        name = f"person-{i}.png"
        cv2.imwrite(str(folder / "images" / name), image)
        images.append({"id": i + 1, "file_name": name, "width": SIDE, "height": SIDE})
        annotations.append(annotation(100 + i, i + 1, joints))
    return write_json(folder / "people.json", images, annotations)


def annotation(person_id: int, image_id: int, joints: np.ndarray, **more: Any) -> dict[str, Any]:
    """A person whose joints are all visible."""
    keypoints = np.column_stack([joints, np.full(len(joints), 2)]).ravel().tolist()
    box = {"bbox": [10, 10, 76, 76], "area": 76 * 76, "num_keypoints": len(joints), "iscrowd": 0}
    return {"id": person_id, "image_id": image_id, "category_id": 1, "keypoints": keypoints, **box, **more}


def write_json(
    path: Path, images: list[Any], annotations: list[Any], joints: Sequence[str] = COCO17.joints
) -> Path:
    """A COCO keypoint file."""
    category = {"id": 1, "name": "person", "keypoints": list(joints)}
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [category]}))
    return path


def write_mpii(folder: Path, people: int = 3) -> Path:
    """`valid.json` in MPII's form: joint j of everybody is at (40 + j, 50), counted from 1."""
    (folder / "images").mkdir(parents=True)
    content = []
    for i in range(people):
        cv2.imwrite(str(folder / "images" / f"{i}.png"), np.full((SIDE, SIDE, 3), 90, np.uint8))
        joints = [[40.0 + j, 50.0] for j in range(16)]
        person = {"image": f"{i}.png", "center": [48.0, 45.0], "scale": 0.4}
        content.append(person | {"joints": joints, "joints_vis": [1] * 15 + [0]})
    path = folder / "valid.json"
    path.write_text(json.dumps(content))
    return path
