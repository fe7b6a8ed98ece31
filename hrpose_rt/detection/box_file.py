"""Read boxes from a file: MOT Challenge, COCO, or the JSON lines of `run`."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NotRequired, TypedDict

import numpy as np

from hrpose_rt.errors import BadInput
from hrpose_rt.structures import convert
from hrpose_rt.types import COCO_PERSON, F32, I64, MAX_BOX_REACH_PX, NO_ID, Detections, Frame

MOT_COLUMNS = 6  # frame, id, left, top, width, height; a score may follow
MOT_TRUTH_COLUMNS = 9  # only the truth of MOT16 and later has this many: the eighth is a class
MOT_PEDESTRIAN = 1


class BoxRow(TypedDict):
    """A person of a file.

    Attributes:
        place: Where the file has it, for messages.
        frame: File name of the image, its COCO id, or the frame's index from 0.
        box: x1, y1, x2, y2 in pixels.
        score: In 0..1.
        id: `NO_ID` without one.
    """

    place: str
    frame: int | str
    box: list[float]
    score: float
    id: int


@dataclass(frozen=True, slots=True, eq=False)
class GivenPeople:
    """The people that a file has for a frame: detections (N,) and ids (N,), `NO_ID` where there is none."""

    detections: Detections
    track_ids: I64

    def select(self, rows: I64) -> "GivenPeople":
        """These rows (M,) only."""
        return GivenPeople(self.detections.select(rows), self.track_ids[rows])


NOBODY = GivenPeople(
    Detections.found(np.zeros((0, 4), np.float32), np.zeros(0, np.float32)), np.zeros(0, np.int64)
)


class BoxFile:
    """The people of a file, by frame.

    The format is told from the content. MOT Challenge counts frames and pixels from 1. A COCO file has
    annotations, or is a list of results; other categories than people and crowd regions are left out.

    Args:
        path: The file.

    Raises:
        BadInput: It cannot be read, or a box is not valid; the message says where.
    """

    def __init__(self, path: Path) -> None:
        try:
            text = path.read_bytes().decode("utf-8-sig")
            rows, self._by_image_id = _rows(text)
            people = _by_frame(rows)
        except (OSError, ValueError, RecursionError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise BadInput(
                f"{path} gives no boxes ({reason}): give MOT Challenge's lines, COCO's annotations or "
                "results, or the JSON lines of a run"
            ) from error
        self._people = people

    @property
    def has_ids(self) -> bool:
        """Whether anybody has an id."""
        return any((people.track_ids != NO_ID).any() for people in self._people.values())

    def people_of(self, frame: Frame) -> GivenPeople:
        """The people of a frame, found by the file name of an image, otherwise by number."""
        name = frame.file_name
        if name in self._people:
            return self._people[name]
        stem = PurePosixPath(name).stem
        number = int(stem) if self._by_image_id and stem.isdecimal() else frame.index
        return self._people.get(number, NOBODY)


def _rows(text: str) -> tuple[Iterator[BoxRow], bool]:
    """The people in a file's content, and whether its numbers are those of COCO images."""
    if text.lstrip()[:1] not in ("{", "["):
        return _mot(text), False
    try:
        content = json.loads(text)
    except json.JSONDecodeError:
        return _json_lines(text), False
    if isinstance(content, dict) and "hrpose" in content:  # a run without frames
        return _json_lines(text), False
    if isinstance(content, dict):
        annotations = convert(content, _CocoFile)
        names = {image["id"]: _base_name(image["file_name"]) for image in annotations["images"]}
        return _coco(annotations["annotations"], "annotation", names), True
    return _coco(convert(content, list[_CocoBox]), "result", {}), True


def _mot(text: str) -> Iterator[BoxRow]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            values = [float(cell) for cell in line.split(",")]
            if len(values) < MOT_COLUMNS or not np.isfinite(values[:MOT_COLUMNS]).all():
                raise ValueError
        except ValueError:
            raise ValueError(f"line {number} is not frame,id,left,top,width,height,score") from None
        if len(values) == MOT_TRUTH_COLUMNS and values[7] != MOT_PEDESTRIAN:
            continue
        left, top = values[2] - 1, values[3] - 1
        box = [left, top, left + values[4], top + values[5]]
        score = values[6] if len(values) > MOT_COLUMNS else 1.0
        track_id = max(int(values[1]) - 1, NO_ID)
        yield _row(f"line {number}", int(values[0]) - 1, box, score, track_id)


class _CocoBox(TypedDict):
    image_id: int | str
    bbox: tuple[float, float, float, float]
    category_id: NotRequired[int]
    file_name: NotRequired[str]
    iscrowd: NotRequired[int]
    score: NotRequired[float]
    track_id: NotRequired[int]


class _CocoImage(TypedDict):
    id: int | str
    file_name: str


class _CocoFile(TypedDict):
    images: list[_CocoImage]
    annotations: list[_CocoBox]


def _coco(entries: list[_CocoBox], what: str, names: dict[int | str, str]) -> Iterator[BoxRow]:
    for i, entry in enumerate(entries):
        if entry.get("iscrowd") or entry.get("category_id", COCO_PERSON) != COCO_PERSON:
            continue
        x, y, w, h = entry["bbox"]
        image = names.get(entry["image_id"], _base_name(entry.get("file_name", "")) or entry["image_id"])
        box = [x, y, x + w, y + h]
        yield _row(f"{what} {i}", image, box, entry.get("score", 1.0), entry.get("track_id", NO_ID))


class _Person(TypedDict):
    id: int
    box: tuple[float, float, float, float]
    score: float


class _Line(TypedDict):
    frame: int
    people: list[_Person]
    file_name: NotRequired[str]


def _json_lines(text: str) -> Iterator[BoxRow]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            content = json.loads(line)
            if isinstance(content, dict) and "hrpose" in content:  # the line about the source
                continue
            about = convert(content, _Line)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
        frame = about.get("file_name", about["frame"])
        for person in about["people"]:
            yield _row(f"line {number}", frame, list(person["box"]), person["score"], person["id"])


def _row(place: str, frame: int | str, box: list[float], score: float, track_id: int) -> BoxRow:
    """A person; a score below 0 is MOT Challenge's sign for none."""
    score = 1.0 if score < 0 else min(score, 1.0)
    return BoxRow(place=place, frame=frame, box=box, score=score, id=track_id)


def _by_frame(rows: Iterable[BoxRow]) -> dict[int | str, GivenPeople]:
    frames: dict[int | str, list[BoxRow]] = {}
    for row in rows:
        frames.setdefault(row["frame"], []).append(row)
    return {frame: _people(of_frame) for frame, of_frame in frames.items()}


def _people(rows: list[BoxRow]) -> GivenPeople:
    """The people of a frame, best score first; ValueError at the first box or id that is not valid."""
    rows = sorted(rows, key=lambda row: -row["score"])
    boxes = np.array([row["box"] for row in rows])
    solid = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    for i in np.flatnonzero(~solid | (np.abs(boxes) > MAX_BOX_REACH_PX).any(axis=1)):
        raise ValueError(f"{rows[i]['place']} has a box without area or far outside of any picture")
    ids = np.array([row["id"] for row in rows], np.int64)
    given, counts = np.unique(ids[ids != NO_ID], return_counts=True)
    if (counts > 1).any():
        raise ValueError(f"{rows[0]['place']}: two people of one frame have the id {given[counts > 1][0]}")
    return GivenPeople(Detections.found(_f32(boxes), _f32([row["score"] for row in rows])), ids)


def _f32(values: object) -> F32:
    return np.asarray(values, np.float32)


def _base_name(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).name
