"""Results in the COCO keypoint format."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import TypedDict

from hrpose_rt.errors import BadInput
from hrpose_rt.result import FrameResult, person_score
from hrpose_rt.run_info import RunInfo
from hrpose_rt.sinks.text import LineFile
from hrpose_rt.structures import convert, read_json
from hrpose_rt.types import COCO_PERSON, U8, SourceInfo


class CocoSink(LineFile):
    """Writes COCO keypoint results. The file is a complete list after every frame.

    Args:
        path: The file.
        info: The source.
        run: Not used; other sinks need it.
        image_ids: Image ids by file name. Without one, a number as file name is the id (000000000139.jpg is
            139), otherwise the frame index.
    """

    _END = "\n]\n"

    def __init__(
        self, path: str, info: SourceInfo, run: RunInfo, image_ids: Mapping[str, int | str] | None = None
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
                    "category_id": COCO_PERSON,
                    "bbox": [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)],
                    "keypoints": [value for keypoint in person["keypoints"] for value in keypoint],
                    "score": round(score, 4),
                    "track_id": person["id"],
                }
                lines.append("\n" + json.dumps(entry))
        if not lines:
            return
        text = ("," if self._people else "") + ",".join(lines) + self._END
        self._people += len(lines)
        # Overwrite the end, so that the file is a complete list at any time.
        self._file.seek(-len(self._END), os.SEEK_CUR)
        self._complete_bytes -= len(self._END)
        self._put(text)


class _Image(TypedDict):
    id: int | str
    file_name: str


class _Annotations(TypedDict):
    images: list[_Image]


def read_image_ids(annotations: Path, names: Iterable[str]) -> dict[str, int | str]:
    """Read the image ids of a COCO annotation file, by file name without folders.

    Raises:
        BadInput: The file is not a COCO annotation file, or lacks one of the images `names`.
    """
    try:
        images = convert(read_json(annotations), _Annotations)["images"]
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{annotations} gives images no ids ({error}): give COCO annotations") from error
    ids: dict[str, int | str] = {}
    for image in images:
        name = PurePosixPath(image["file_name"].replace("\\", "/")).name
        if ids.setdefault(name, image["id"]) != image["id"]:
            raise BadInput(f"{annotations} has two images called {name}: give each a name of its own")
    for name in names:
        if name not in ids:
            raise BadInput(f"{annotations} has no image {name}: give those of these images")
    return ids
