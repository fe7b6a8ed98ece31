"""Results as text: lines of JSON, tables, COCO's results and MOT's tracks. A kill leaves whole lines."""

import csv
import io
import json
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from hrpose_rt.errors import BadInput
from hrpose_rt.result import FrameResult, person_score
from hrpose_rt.skeleton import find_skeleton
from hrpose_rt.streams.sinks import broken, closed
from hrpose_rt.types import U8, SourceInfo

SCHEMA = 1  # of the JSONL file
PERSON = 1  # COCO's category
STDOUT = "-"

Header = dict[str, Any]  # what the JSONL file's first line says of the run


class TextSink:
    """A file that grows by whole lines, each on disk as soon as it is written.

    Args:
        path: The file, "-" for standard output.
    """

    wants_picture = False
    _END = ""  # what the next lines are written over

    def __init__(self, path: str) -> None:
        self._path = path
        if path == STDOUT and sys.stdout is None:
            raise BadInput("standard output is closed: name a file instead of -")
        try:
            self._file: BinaryIO = sys.stdout.buffer if path == STDOUT else open(path, "wb")
        except OSError as error:
            raise BadInput(f"{path} cannot be written: {error.strerror}") from error
        self._whole = 0  # bytes of whole lines

    def _put(self, text: str) -> None:
        if self._file.closed:
            raise closed(self._path)
        data = text.encode()
        try:
            self._file.write(data)
            self._file.flush()
        except BrokenPipeError:  # no fault of ours: who read along has had enough
            raise
        except OSError as error:
            self._drop_half_line()
            raise broken(self._path, error) from error
        self._whole += len(data)

    def _drop_half_line(self) -> None:
        with suppress(OSError):
            self.close()
        if Path(self._path).is_file():
            # The end stood there before, so a full disk has room for it.
            end = self._END.encode() if self._whole else b""
            os.truncate(self._path, self._whole + len(end))
            with open(self._path, "r+b") as file:
                file.seek(self._whole)
                file.write(end)

    def close(self) -> None:
        """Close the file; every line is in it already."""
        if self._path != STDOUT:
            self._file.close()


class JsonlSink(TextSink):
    """A line about the source, then a line a frame, with a size of its own once that has changed.

    Args:
        path: The file, "-" for standard output.
        info: The source.
        header: What the first line says besides.
    """

    def __init__(self, path: str, info: SourceInfo, header: Header) -> None:
        super().__init__(path)
        source = {"source": info.name, "width": info.width, "height": info.height, "fps": info.fps}
        self._size, self._changed = (info.height, info.width), False
        self._line({"hrpose": header["hrpose"], "schema": SCHEMA} | source | header)

    def write(self, result: FrameResult, picture: U8) -> None:
        """See `Sink.write`."""
        height, width = result.frame.image.shape[:2]
        self._changed |= (height, width) != self._size
        size = {"width": width, "height": height} if self._changed else {}
        self._line(result.to_dict() | size)

    def _line(self, line: dict[str, Any]) -> None:
        self._put(json.dumps(line, allow_nan=False) + "\n")


class CsvSink(TextSink):
    """A row a person: box and all joints side by side. Who has no pose yet has empty cells.

    People of pictures have the name of their file beside the frame.
    """

    _PERSON = ("id", "x1", "y1", "x2", "y2", "score", "from", "fresh", "age")

    def __init__(self, path: str, info: SourceInfo, header: Header) -> None:
        super().__init__(path)
        self._joints = find_skeleton(header["skeleton"]).joints
        self._named = not info.film
        self._put(
            _row(
                [
                    *("frame", "time_s", *(["file_name"] if self._named else []), *self._PERSON),
                    *(f"{j}_{part}" for j in self._joints for part in ("x", "y", "score")),
                ]
            )
        )

    def write(self, result: FrameResult, picture: U8) -> None:
        """See `Sink.write`."""
        frame = result.to_dict()
        rows = []
        for person in frame["people"]:
            about = [frame["frame"], frame["time_s"]]
            about += [frame.get("file_name", "")] if self._named else []
            about += [person["id"], *person["box"], person["score"]]
            about += [person["from"], int(person["fresh"]), person["age"]]
            points = person["keypoints"] or [("", "", "")] * len(self._joints)
            rows.append(_row([*about, *(cell for point in points for cell in point)]))
        self._put("".join(rows))


class LongCsvSink(TextSink):
    """A row a joint of every person who has a pose."""

    def __init__(self, path: str, info: SourceInfo, header: Header) -> None:
        super().__init__(path)
        self._joints = find_skeleton(header["skeleton"]).joints
        self._put(_row(["frame", "time_s", "person", "id", "joint", "x", "y", "score"]))

    def write(self, result: FrameResult, picture: U8) -> None:
        """See `Sink.write`."""
        frame = result.to_dict()
        rows = [
            _row([frame["frame"], frame["time_s"], i, person["id"], joint, *point])
            for i, person in enumerate(frame["people"])
            for joint, point in zip(self._joints, person["keypoints"] or (), strict=False)
        ]
        self._put("".join(rows))


class CocoSink(TextSink):
    """COCO's keypoint results: a whole list after every frame.

    Args:
        path: The file.
        info: The source.
        header: As other sinks take it.
        image_ids: Of images by their names. Any other's id is the number it is called by
            (000000000139.jpg is 139), else the number of its frame.
    """

    _END = "\n]\n"

    def __init__(
        self, path: str, info: SourceInfo, header: Header, image_ids: Mapping[str, int | str] | None = None
    ) -> None:
        super().__init__(path)
        self._people, self._ids = 0, image_ids or {}
        self._put("[" + self._END)

    def write(self, result: FrameResult, picture: U8) -> None:
        """See `Sink.write`."""
        people, name = result.to_dict()["people"], result.frame.file_name
        number = int(stem) if (stem := Path(name).stem).isdecimal() else result.frame.index
        scores = person_score(result.detections.scores, result.poses.scores).clip(0, 1).tolist()
        lines = []
        for person, score in zip(people, scores, strict=True):
            if person["keypoints"] is not None:
                x1, y1, x2, y2 = person["box"]
                entry = {
                    "image_id": self._ids.get(name, number),
                    **({"file_name": name} if name else {}),
                    "category_id": PERSON,
                    "bbox": [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)],
                    "keypoints": [value for point in person["keypoints"] for value in point],
                    "score": round(score, 4),
                    "track_id": person["id"],
                }
                lines.append("\n" + json.dumps(entry))
        if not lines:
            return
        text = ("," if self._people else "") + ",".join(lines) + self._END
        self._people += len(lines)
        # The end is written over, so that the file is a list at any time.
        self._file.seek(-len(self._END), os.SEEK_CUR)
        self._whole -= len(self._END)
        self._put(text)


class MotSink(TextSink):
    """MOT Challenge's tracks: frame, id, left, top, width, height, score, -1, -1, -1.

    Frames, ids and pixels count from 1, as in the development kit; elsewhere here they count from 0.
    People who have no id yet are left out: the format knows tracks alone.
    """

    def __init__(self, path: str, info: SourceInfo, header: Header) -> None:
        super().__init__(path)

    def write(self, result: FrameResult, picture: U8) -> None:
        """See `Sink.write`."""
        tracked = result.track_ids >= 0
        boxes, scores = result.detections.boxes[tracked], result.detections.scores[tracked]
        sizes = boxes[:, 2:] - boxes[:, :2]
        rows = np.column_stack([boxes[:, :2] + 1, sizes, scores]).tolist()
        ids = (result.track_ids[tracked] + 1).tolist()
        lines = [
            f"{result.frame.index + 1},{i},{x:.2f},{y:.2f},{w:.2f},{h:.2f},{score:.4f},-1,-1,-1\n"
            for i, (x, y, w, h, score) in zip(ids, rows, strict=True)
        ]
        self._put("".join(lines))


def _row(cells: Iterable[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
