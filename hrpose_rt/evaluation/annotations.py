"""Annotated people: their images, boxes and joints."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hrpose_rt.errors import BadInput
from hrpose_rt.evaluation.annotation_files import check_size, image_finder
from hrpose_rt.evaluation.coco_annotations import check_annotations, is_number
from hrpose_rt.evaluation.joint_names import plain_name
from hrpose_rt.skeleton import COCO17, MPII16, Skeleton
from hrpose_rt.structures import read_json
from hrpose_rt.types import F32, I64, Bools

DATA_VARIABLE = "HRPOSE_DATA"  # environment variable that names the folder of data sets
MPII_SIDE = 200  # height of a person at MPII's scale 1, in pixels


@dataclass(frozen=True, slots=True)
class AnnotatedPeople:
    """N annotated people; row i of every array is one person.

    Attributes:
        skeleton: The joints.
        images: The image files.
        image_rows: (N,) index into `images`.
        ids: (N,) ids of the annotations.
        boxes: (N, 4) float32 xyxy pixels.
        joints: (N, K, 2) float32 pixels, x before y.
        labelled: (N, K) whether a joint is annotated.
        human_labelled: (N,) whether humans labelled the joints; False for a teacher network's labels.
        areas: (N,) square pixels, for OKS.
    """

    skeleton: Skeleton
    images: tuple[Path, ...]
    image_rows: I64
    ids: I64
    boxes: F32
    joints: F32
    labelled: Bools
    human_labelled: Bools
    areas: F32

    def __len__(self) -> int:
        return len(self.ids)

    def select(self, rows: NDArray[Any] | np.bool) -> "AnnotatedPeople":
        """The people at `rows`, in that order."""
        names = ("image_rows", "ids", "boxes", "joints", "labelled", "human_labelled", "areas")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    def where(self, row: int) -> str:
        """Image and annotation of person `row`, for messages."""
        return f"{self.images[self.image_rows[row]]}, annotation {self.ids[row]}"

    def held_out(self, one_in: int) -> Bools:
        """(N,) whether a person's image is held out; the hash of the file name selects 1 in `one_in`."""
        is_held_out = [int(sha256(p.name.encode()).hexdigest()[:8], 16) % one_in == 0 for p in self.images]
        return np.array(is_held_out, np.bool_).take(self.image_rows)


def load_people(annotations: Path, images: Path | None = None) -> AnnotatedPeople:
    """Read a COCO keypoint file or an MPII JSON file; the format is detected from the content.

    Args:
        annotations: The file; a relative path is also looked for in the folder that HRPOSE_DATA names.
        images: The folder that the file's image names start from; by default `images` beside the file.

    Raises:
        BadInput: A file is missing or invalid; the message names the file and the annotation.
    """
    annotations = find_data(annotations)
    images = find_data(images) if images else annotations.parent / "images"
    try:
        content = read_json(annotations)
        people = (_mpii if isinstance(content, list) else _coco)(content, annotations, images)
    except BadInput:
        raise
    except (ValueError, KeyError, TypeError, IndexError, OSError, RecursionError) as error:
        raise BadInput(
            f"{annotations} is neither COCO keypoints nor MPII json ({type(error).__name__}: {error}): "
            "check the file"
        ) from error
    if not len(people):
        raise BadInput(f"{annotations} has no people with a box: there is nothing to learn from it")
    _check_images(people)
    return people


def find_data(path: Path) -> Path:
    """`path` itself or inside the data folder; raise BadInput if it is in neither place."""
    folder = os.environ.get(DATA_VARIABLE)
    candidates = [path, *([Path(folder) / path] if folder else [])]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    hint = "" if folder else f", or set {DATA_VARIABLE} to the folder it is in"
    raise BadInput(f"{' and '.join(map(str, candidates))} does not exist: check the path{hint}")


def join(sets: Iterable[AnnotatedPeople]) -> AnnotatedPeople:
    """Join several sets into one."""
    sets = list(sets)
    skeletons = {people.skeleton.name for people in sets}
    if len(skeletons) > 1:
        raise BadInput(f"sets with different joints cannot be mixed: {' and '.join(sorted(skeletons))}")
    starts = np.cumsum([0, *(len(people.images) for people in sets)])
    image_rows = [p.image_rows + start for p, start in zip(sets, starts, strict=False)]
    names = ("ids", "boxes", "joints", "labelled", "human_labelled", "areas")
    return AnnotatedPeople(
        skeleton=sets[0].skeleton,
        images=tuple(image for people in sets for image in people.images),
        image_rows=np.concatenate(image_rows),
        **{name: np.concatenate([getattr(people, name) for people in sets]) for name in names},
    )


def clean_boxes(xywh: F32, image_whs: F32) -> F32:
    """Annotated boxes (N, 4) as xyxy within their images (N, 2), one pixel smaller, as in the original."""
    low = np.maximum(xywh[:, :2], 0)
    high = np.minimum(image_whs - 1, low + np.maximum(xywh[:, 2:] - 1, 0))
    return np.concatenate([low, high], axis=1).astype(np.float32)


def _coco(content: dict[str, Any], file: Path, folder: Path) -> AnnotatedPeople:
    checked = check_annotations(content, file, joints=True)
    images = {image["id"]: image for image in checked["images"]}
    for image in images.values():
        if not isinstance(image.get("file_name"), str):
            raise BadInput(f"{file}, image {image['id']} has no file_name: correct it")
        if not all(is_number(image.get(side)) and image[side] > 0 for side in ("width", "height")):
            raise BadInput(f"{file}, image {image['id']} has no width and height in pixels: correct it")
    rows = {image_id: i for i, image_id in enumerate(images)}
    persons = [a for a in checked["annotations"] if not a["iscrowd"]]
    skeleton = _skeleton(checked, file)
    k = len(skeleton.joints)
    keypoints = np.array([a["keypoints"] for a in persons], np.float32).reshape(-1, k, 3)
    sizes = [(images[a["image_id"]]["width"], images[a["image_id"]]["height"]) for a in persons]
    find = image_finder(folder)
    for image_id in dict.fromkeys(a["image_id"] for a in persons):
        image = images[image_id]
        check_size(find(image["file_name"]), (image["width"], image["height"]))
    image_whs = np.array(sizes, np.float32).reshape(-1, 2)
    boxes = np.array([a["bbox"] for a in persons], np.float32).reshape(-1, 4)
    outside = (boxes[:, :2] >= image_whs).any(axis=1) | (boxes[:, :2] + boxes[:, 2:] < 0).any(axis=1)
    if outside.any():
        i = int(outside.argmax())
        w, h = sizes[i]
        raise BadInput(
            f"{file}, annotation {persons[i]['id']} has the box {persons[i]['bbox']} (x, y, width, height) "
            f"outside its image of {w:g}x{h:g}: correct it"
        )
    return _with_area(
        AnnotatedPeople(
            skeleton=skeleton,
            images=tuple(map(find, (image["file_name"] for image in images.values()))),
            image_rows=np.array([rows[a["image_id"]] for a in persons], np.int64),
            ids=np.array([a["id"] for a in persons], np.int64),
            boxes=clean_boxes(boxes, image_whs),
            joints=keypoints[..., :2],
            labelled=keypoints[..., 2] > 0,
            human_labelled=np.array(
                [a.get("keypoint_label", "human") == "human" for a in persons], np.bool_
            ),
            areas=np.array([a["area"] for a in persons], np.float32),
        ),
        file,
    )


def _mpii(content: list[dict[str, Any]], file: Path, folder: Path) -> AnnotatedPeople:
    names = list(dict.fromkeys(person["image"] for person in content))
    rows = {name: i for i, name in enumerate(names)}
    k = len(MPII16.joints)
    for i, person in enumerate(content):
        if len(person["joints"]) != k:
            raise BadInput(f"{file}, person {i} has {len(person['joints'])} joints, MPII has {k}")
        numbers = [person["scale"], *person["center"], *(v for joint in person["joints"] for v in joint)]
        if not all(map(is_number, numbers)) or person["scale"] <= 0:
            raise BadInput(
                f"{file}, person {i} ({person['image']}): scale, center or joints are no finite numbers, "
                "or the scale is not above 0: correct them"
            )
    scales = np.array([person["scale"] for person in content], np.float32)
    centres = np.array([person["center"] for person in content], np.float32).reshape(-1, 2)
    # As in the original: the centre moves down a little, and coordinates start at 0.
    centres = np.where(centres[:, :1] >= 0, centres + scales[:, None] * np.array([0, 15]), centres) - 1
    half = (scales * MPII_SIDE / 2)[:, None]
    image_rows = np.array([rows[person["image"]] for person in content], np.int64)
    visible = [person.get("joints_vis", [1] * k) for person in content]
    return _with_area(
        AnnotatedPeople(
            skeleton=MPII16,
            images=tuple(map(image_finder(folder), names)),
            image_rows=image_rows,
            ids=np.arange(len(content)),
            boxes=np.concatenate([centres - half, centres + half], axis=1).astype(np.float32),
            joints=np.array([person["joints"] for person in content], np.float32).reshape(-1, k, 2) - 1,
            labelled=np.array(visible, np.bool_).reshape(-1, k),
            human_labelled=np.ones(len(content), np.bool_),
            areas=np.asarray((2 * half[:, 0]) ** 2, np.float32),
        ),
        file,
    )


def _skeleton(checked: dict[str, Any], file: Path) -> Skeleton:
    """The skeleton of the annotations: by the category's joint names, else by the number of joints."""
    names = checked["categories"][0].get("keypoints") or []
    if not names:
        counts = {len(a["keypoints"]) // 3 for a in checked["annotations"]} or {len(COCO17.joints)}
        known = [s for s in (COCO17, MPII16) if counts == {len(s.joints)}]
        if known:
            return known[0]
        raise BadInput(
            f"{file} has {min(counts)} joints a person and does not name them: only 17 (COCO) and "
            "16 (MPII) are known, name them in the keypoints of the category"
        )
    for skeleton in (COCO17, MPII16):
        if tuple(map(plain_name, names)) == skeleton.joints:
            return skeleton
    first = ", ".join([*names[:3], *["..."][: len(names) // 4]])
    raise BadInput(
        f"{file} names its {len(names)} joints {first}: those are neither COCO's 17 "
        f"({', '.join(COCO17.joints[:3])}, ...) nor MPII's 16 ({', '.join(MPII16.joints[:3])}, ...), "
        "correct the keypoints of the category"
    )


def _with_area(people: AnnotatedPeople, file: Path) -> AnnotatedPeople:
    """The people whose boxes have an area; raise BadInput if many have none: the file is then wrong."""
    flat = np.any(people.boxes[:, 2:] <= people.boxes[:, :2], axis=1)
    if flat.sum() > max(1, len(people) // 100):
        row = int(flat.argmax())
        raise BadInput(
            f"{file}: {flat.sum()} of {len(people)} boxes have no area, the first is {people.where(row)}: "
            "correct the boxes, they are x, y, width, height"
        )
    return people.select(~flat)


def _check_images(people: AnnotatedPeople) -> None:
    used = np.unique(people.image_rows)
    missing = [i for i in used.tolist() if not people.images[i].is_file()]
    if missing:
        row = int((people.image_rows == missing[0]).argmax())
        raise BadInput(
            f"{people.where(row)}: the image is missing, with {len(missing) - 1} others of {len(used)}; "
            "check the folder of images"
        )
