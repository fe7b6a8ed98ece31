"""Long videos in parts: where they are cut, and the file that holds the people of a part."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hrpose_rt.batch.options import LEAD_S
from hrpose_rt.batch.videos import Video
from hrpose_rt.paths import atomic_write
from hrpose_rt.result import FrameResult
from hrpose_rt.skeleton import Skeleton
from hrpose_rt.types import I64, U8, Detections, Frame, Poses, SourceInfo, StageTimes


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a video.

    Attributes:
        start, end: Seconds in the video; the end is exclusive, None for the end of the file.
        begin: Where reading begins, up to `LEAD_S` before the start. By then tracks and filters have
            settled, and the ids of both sides of the cut are known on the same frames.
    """

    start: float
    end: float | None
    begin: float


def cut(video: Video, info: SourceInfo, split_s: float) -> list[Part]:
    """Cut a video into parts of about equal length; empty if it is short, or its length is not known.

    >>> from hrpose_rt import SourceInfo
    >>> info = SourceInfo("a.mp4", "a", 64, 48, 10.0, 1200, is_video=True, is_live=False)
    >>> [(part.begin, part.start, part.end) for part in cut(Video("/a.mp4"), info, split_s=60)]
    [(0.0, 0.0, 60.0), (58.0, 60.0, None)]

    Reading begins with the key frame before a part. So a cut may be anywhere, and the file is searched for
    key frames where it is read.

    Args:
        video: The video, of which `info` has the frames that are used.
        split_s: Length of a part in seconds.
    """
    length = (info.frames or 0) / info.fps
    count = round(length / split_s) if split_s else 0
    if count < 2:
        return []
    bounds = [video.start + length * i / count for i in range(count)]
    ends: list[float | None] = [*bounds[1:], video.end]
    return [
        Part(start, end, max(video.start, start - LEAD_S) if i else start)
        for i, (start, end) in enumerate(zip(bounds, ends, strict=True))
    ]


class PartWriter:
    """Collects the people of a part, without the pictures, and writes them to a file."""

    def __init__(self) -> None:
        self._results: list[FrameResult] = []
        self._sizes: list[tuple[int, ...]] = []

    def write(self, result: FrameResult) -> None:
        """Take a frame."""
        self._sizes.append(result.frame.image.shape[:2])
        frame = result.frame
        without = Frame(frame.index, _picture(1, 1), frame.time_s, 0.0, frame.dropped, frame.read_ms)
        self._results.append(
            FrameResult(
                without, result.detections, result.track_ids, result.poses, result.times, result.skeleton
            )
        )

    def save(self, path: Path, facts: Mapping[str, Any], tag: str = "") -> None:
        """Write the file, with plain values about the run. It replaces an earlier one when it is whole.

        Args:
            path: The file.
            facts: Plain values about the run.
            tag: Different for each worker that may write this file.
        """
        with atomic_write(path, tag) as partial, partial.open("wb") as file:
            np.savez(file, facts=np.array(json.dumps(facts)), **self._arrays())

    def _arrays(self) -> dict[str, Any]:
        results = self._results
        frames = [r.frame for r in results]
        of_frames = {
            "index": np.array([f.index for f in frames], np.int64),
            "time_s": np.array([f.time_s for f in frames], np.float64),
            "dropped": np.array([f.dropped for f in frames], np.int64),
            "size": np.array(self._sizes, np.int64).reshape(-1, 2),
            "people": np.array([len(r) for r in results], np.int64),
            "added": np.array([r.detections.added for r in results], np.int64),
            "times": np.array([astuple(r.times) for r in results], np.float64),
        }
        of_people: dict[str, list[Any]] = {
            "boxes": [r.detections.boxes for r in results],
            "scores": [r.detections.scores for r in results],
            "origin": [r.detections.origin for r in results],
            "ids": [r.track_ids for r in results],
            "keypoints": [r.poses.keypoints for r in results],
            "keypoint_scores": [r.poses.scores for r in results],
            "fresh": [r.poses.fresh for r in results],
            "age": [r.poses.age for r in results],
        }
        return of_frames | {name: np.concatenate(rows) for name, rows in of_people.items() if rows}


class StoredPart:
    """The people of a part, read from its file.

    Attributes:
        facts: What was saved about the run.
        index: (F,) numbers of the frames.
        time_s: (F,) their times in seconds.
    """

    def __init__(self, path: Path) -> None:
        with np.load(path) as arrays:
            self._arrays = {name: arrays[name] for name in arrays.files}
        self.facts: dict[str, Any] = json.loads(str(self._arrays.pop("facts")))
        self.index: I64 = self._arrays["index"]
        self.time_s = self._arrays["time_s"]
        self._ends = np.cumsum(self._arrays["people"])

    @property
    def ids(self) -> I64:
        """(P,) ids of the people of all frames; to be replaced when parts are joined."""
        ids: I64 = self._arrays.get("ids", np.zeros(0, np.int64))
        return ids

    @ids.setter
    def ids(self, ids: I64) -> None:
        self._arrays["ids"] = ids

    def rows(self, frame: int) -> slice:
        """The rows of the people of the frame at this place."""
        end = int(self._ends[frame])
        return slice(end - int(self._arrays["people"][frame]), end)

    def boxes_of(self, frame: int) -> Any:
        """(N, 4) boxes of the people of the frame at this place."""
        return self._arrays["boxes"][self.rows(frame)]

    def results(self, skeleton: Skeleton, frames: Sequence[int]) -> Iterator[FrameResult]:
        """The results of the frames at these places, with black pictures that take no memory."""
        a = self._arrays
        for i in frames:
            rows = self.rows(i)
            picture = _picture(*a["size"][i].tolist())
            yield FrameResult(
                Frame(int(a["index"][i]), picture, float(a["time_s"][i]), 0.0, int(a["dropped"][i])),
                Detections(a["boxes"][rows], a["scores"][rows], a["origin"][rows], int(a["added"][i])),
                a["ids"][rows],
                Poses(a["keypoints"][rows], a["keypoint_scores"][rows], a["fresh"][rows], a["age"][rows]),
                StageTimes(*a["times"][i].tolist()),
                skeleton,
            )


def _picture(height: int, width: int) -> U8:
    """A black picture (H, W, 3) of one pixel in memory."""
    return np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (height, width, 3))
