"""Check COCO annotations: fill in values that follow from others, and report everything else by name."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hrpose_rt.errors import BadInput
from hrpose_rt.evaluation.joint_names import joint_order

MAX_COORDINATE_PX = 1e9  # largest distance from an image's corner, so that squares stay finite

Entry = dict[str, Any]


def check_annotations(content: Any, file: Path, joints: bool) -> dict[str, Any]:
    """The people of a COCO annotation file, with all fields.

    A missing `iscrowd` is 0. `num_keypoints` is counted. `area` is that of the box if it is missing or 0,
    since OKS divides by it. A person without keypoints has no labelled joints. If the category names COCO's
    or MPII's joints, they are put into that order.

    Args:
        content: The decoded file.
        file: Its path, for messages.
        joints: Whether joints are needed, or only boxes.

    Returns:
        The `images`, the `annotations` of people only, and `categories` with the person category only.

    Raises:
        BadInput: A value is missing or not a number; the message names the annotation and the field.
    """
    if not isinstance(content, dict):
        raise BadInput(f"{file} is no COCO annotation file: it is an object with images and annotations")
    if "shapes" in content and "images" not in content:
        raise BadInput(f"{file} is labelme's of one image: make a file of COCO keypoints of all of them")
    images, annotations, categories = (
        _objects(content, name, file) for name in ("images", "annotations", "categories")
    )
    for name, entries in (("image", images), ("annotation", annotations), ("category", categories)):
        _check_ids(entries, name, file)
    person = _person(categories, file)
    names = _joint_names(person, file)
    k = len(names) or None
    known = {image["id"] for image in images}
    people = []
    for entry in annotations:
        where = f"{file}, annotation {entry['id']}"
        if type(entry.get("category_id")) is not int:
            raise BadInput(
                f"{where} {_what(entry, 'category_id')}: it is a number, people's {person['id']}"
            )
        if entry["category_id"] == person["id"]:
            if not _is_id(entry.get("image_id")) or entry["image_id"] not in known:
                raise BadInput(f"{where} {_what(entry, 'image_id')}: give it the id of one of the images")
            people.append(_complete(entry, where, joints, k))
    if annotations and not people:
        raise BadInput(
            f"none of the {len(annotations)} annotations of {file} is of category {person['id']}, "
            f"{person.get('name', 'the only one')}: correct their category_id or the categories"
        )
    if joints and people and not any(entry.get("keypoints") for entry in annotations):
        raise BadInput(
            f"{file}, annotation {people[0]['id']} has no keypoints, and nobody else has: add them"
        )
    if joints and (recognised := joint_order(names)):
        skeleton, order = recognised
        person = {**person, "keypoints": list(skeleton.joints)}
        people = [_reordered(entry, order) for entry in people]
    return {"images": images, "annotations": people, "categories": [person]}


def check_numbers(entry: Entry, field: str, where: str, expected: str = "finite numbers") -> list[float]:
    """The list of numbers in a field; raise BadInput with the place and the field if it is not one."""
    values = entry.get(field)
    if not isinstance(values, list) or not all(map(is_number, values)):
        bad = next((v for v in values if not is_number(v)), None) if isinstance(values, list) else None
        what = _what(entry, field) if bad is None else f"has {bad!r} in its {field}"
        raise BadInput(f"{where} {what}: {expected} are needed there")
    return values


def check_box(entry: Entry, where: str) -> list[float]:
    """The box of an entry: x, y, width and height; raise BadInput if it is invalid."""
    box = check_numbers(entry, "bbox", where, expected="four numbers, x, y, width and height,")
    if len(box) != 4 or min(box[2:]) < 0:
        raise BadInput(f"{where} has the box {box}: x, y, width and height are needed, none below 0")
    return box


def is_number(value: Any) -> bool:
    """Whether a value is a finite number within `MAX_COORDINATE_PX`."""
    return type(value) in (int, float) and -MAX_COORDINATE_PX <= value <= MAX_COORDINATE_PX


def _complete(entry: Entry, where: str, joints: bool, k: int | None) -> Entry:
    box = check_box(entry, where)
    crowd = entry.get("iscrowd") or 0
    if crowd not in (0, 1):
        raise BadInput(f"{where} {_what(entry, 'iscrowd')}: it is 0 or 1")
    crowd = int(crowd)
    area = entry.get("area") or box[2] * box[3]
    if type(area) not in (int, float) or not 0 <= area <= MAX_COORDINATE_PX**2:
        raise BadInput(f"{where} {_what(entry, 'area')}: it is a number of square pixels, not below 0")
    complete = {**entry, "iscrowd": crowd, "area": area}
    if not joints:
        return complete
    if entry.get("keypoints") in (None, []):
        return {**complete, "keypoints": [0] * 3 * (k or 17), "num_keypoints": 0}
    keypoints = check_numbers(entry, "keypoints", where)
    if len(keypoints) % 3 or (k and len(keypoints) != 3 * k):
        raise BadInput(
            f"{where} has {len(keypoints) / 3:g} joints, its category names {k or 'whole ones'}: "
            "correct the annotation"
        )
    return {**complete, "num_keypoints": _labelled(keypoints)}


def _labelled(keypoints: list[float]) -> int:
    return sum(visibility > 0 for visibility in keypoints[2::3])


def _reordered(entry: Entry, order: list[int]) -> Entry:
    old = entry["keypoints"]
    keypoints = [value for i in order for value in old[3 * i : 3 * i + 3]]
    return {**entry, "keypoints": keypoints, "num_keypoints": _labelled(keypoints)}


def _joint_names(person: Entry, file: Path) -> list[str]:
    """The joint names of the category; empty if it gives none."""
    names = person.get("keypoints") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadInput(f"{file}, category {person['id']} has no list of names as its keypoints: correct it")
    return names


def _objects(content: dict[str, Any], name: str, file: Path) -> list[Entry]:
    objects = content.get(name)
    if not isinstance(objects, list) or not all(isinstance(entry, dict) for entry in objects):
        what = "has no" if objects is None else "has something else than objects as"
        raise BadInput(f"{file} is no COCO annotation file: it {what} {name}, a list of objects")
    if not objects and name == "images":
        raise BadInput(f"{file} is no COCO annotation file: its images are an empty list")
    return objects


def _check_ids(entries: Iterable[Entry], name: str, file: Path) -> None:
    """Raise BadInput unless every entry has an id and all ids differ; ids of images may be text."""
    seen: set[Any] = set()
    for i, entry in enumerate(entries):
        entry_id = entry.get("id")
        if not _is_id(entry_id) or (name != "image" and isinstance(entry_id, str)):
            raise BadInput(
                f"{file}, {name} number {i + 1} {_what(entry, 'id')}: give it a number of its own"
            )
        if entry_id in seen:
            raise BadInput(f"{file} has two {name} entries with the id {entry_id}: give each its own")
        seen.add(entry_id)


def _person(categories: list[Entry], file: Path) -> Entry:
    """The person category: the one with that name, else the only one with joints, else the only one."""
    for possible in (
        [c for c in categories if str(c.get("name")).lower() == "person" and c.get("keypoints")],
        [c for c in categories if str(c.get("name")).lower() == "person"],
        [c for c in categories if c.get("keypoints")],
        categories,
    ):
        if len(possible) == 1:
            return possible[0]
    raise BadInput(
        f"{file} does not say which of its {len(categories)} categories is people: name it person"
    )


def _is_id(value: Any) -> bool:
    return isinstance(value, str) or (type(value) is int and abs(value) < 2**63)


def _what(entry: Entry, field: str) -> str:
    """The content of a field, for messages."""
    return f"has the {field} {str(entry[field])[:40]}" if field in entry else f"has no {field}"
