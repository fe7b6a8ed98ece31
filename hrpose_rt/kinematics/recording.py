"""The people of a file of JSON lines, each over time."""

import codecs
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from hrpose_rt.errors import MAX_NUMBER, BadInput
from hrpose_rt.kinematics.angles import MIN_SCORE, known_keypoints
from hrpose_rt.paths import check_rereadable
from hrpose_rt.skeleton import Skeleton, find_skeleton
from hrpose_rt.types import F64, I64

SCHEMA = 1  # version of the JSON lines that is read
ALL_IDS: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One person over T frames at even distances, from the first one to the last.

    >>> import numpy as np
    >>> from hrpose_rt.kinematics.recording import Track
    >>> frames = np.arange(3)
    >>> track = Track(7, frames, frames / 25, np.zeros((3, 17, 2)), np.ones((3, 17)), rate_hz=25)
    >>> track.seconds
    0.08

    Attributes:
        id: The person.
        frames: (T,) frame numbers.
        times_s: (T,) seconds, interpolated for frames that are missing in the file.
        keypoints: (T, K, 2) pixels, NaN where unknown.
        scores: (T, K) within 0..1, NaN in frames without the person.
        rate_hz: Frames per second of the whole recording; 1 if it is a single frame.
    """

    id: int
    frames: I64
    times_s: F64
    keypoints: F64
    scores: F64
    rate_hz: float

    @property
    def seconds(self) -> float:
        """From the first frame to the last."""
        return float(self.times_s[-1] - self.times_s[0])


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """The people with an id of a file that `hrpose-rt run --json` wrote.

    >>> from hrpose_rt import COCO17
    >>> from hrpose_rt.kinematics.recording import Recording
    >>> Recording("video.mp4", 1280, 720, COCO17, ()).tracks
    ()

    Attributes:
        source: The name of the video.
        width, height: Pixels of its frames.
        skeleton: The joints.
        tracks: The people, by their ids.
    """

    source: str
    width: int
    height: int
    skeleton: Skeleton
    tracks: tuple[Track, ...]


_Keypoints = list[tuple[float, float, float]]  # x, y in pixels and score of each joint
_Rows = list[tuple[int, _Keypoints]]  # a frame and the keypoints in it


class _Header(msgspec.Struct):
    schema: int
    source: str
    width: int
    height: int
    skeleton: str


class _Person(msgspec.Struct):
    id: int
    keypoints: _Keypoints | None
    raw_keypoints: _Keypoints | None = None

    def measured(self) -> _Keypoints | None:
        """The keypoints as the run wrote them, also where `rewrite` has filtered them since."""
        return self.raw_keypoints or self.keypoints


class _Line(msgspec.Struct):
    frame: Annotated[int, msgspec.Meta(ge=-MAX_NUMBER, le=MAX_NUMBER)]
    time_s: float
    people: list[_Person]


def read_recording(path: Path, min_score: float = MIN_SCORE, skeleton: str = "") -> Recording:
    """Read the people of a file of JSON lines; of filtered ones, the keypoints before the filter.

    Args:
        path: A file that `hrpose-rt run --json` wrote.
        min_score: Keypoints that score less are unknown.
        skeleton: A name or a file, for joints that are not built in; empty for the file's own.

    Raises:
        BadInput: It cannot be read, or it is another kind of file; the message names the line.
    """
    lines = _lines(path)
    header = _decoded(path, 1, next(lines, b""), _Header)
    if header.schema != SCHEMA:
        raise BadInput(
            f"{path} has JSON lines of schema {header.schema}, this reads {SCHEMA}: run it again"
        )
    joints = find_skeleton(skeleton or header.skeleton)
    frames, times, seen = _collected(path, lines, len(joints.joints))
    step, rate_hz = 1, 1.0
    if len(frames) > 1:
        step = int(np.gcd.reduce(np.diff(frames)))
        rate_hz = float((frames[-1] - frames[0]) / step / (times[-1] - times[0]))
    tracks = []
    for person, rows in sorted(seen.items()):
        numbers = np.arange(rows[0][0], rows[-1][0] + 1, step)
        keypoints, scores = _on_grid(rows, numbers, joints, min_score)
        at_s = np.interp(numbers, frames, times)
        tracks.append(Track(person, numbers, at_s, keypoints, scores, rate_hz))
    return Recording(header.source, header.width, header.height, joints, tuple(tracks))


def _collected(path: Path, lines: Iterator[bytes], k: int) -> tuple[I64, F64, dict[int, _Rows]]:
    """The numbers (F,) and times (F,) of all frames, and the rows of each person with an id."""
    frames: list[int] = []
    times: list[float] = []
    seen: dict[int, _Rows] = {}
    for number, text in enumerate(lines, 2):
        line = _decoded(path, number, text, _Line)
        if frames and line.frame <= frames[-1]:
            raise BadInput(
                f"line {number} of {path} is frame {line.frame} after frame {frames[-1]}: give one run"
            )
        if times and line.time_s <= times[-1]:
            raise BadInput(
                f"line {number} of {path} is at {line.time_s:g} s after {times[-1]:g} s: "
                "times have to rise, run it again"
            )
        frames.append(line.frame)
        times.append(line.time_s)
        for person in line.people:
            keypoints = person.measured()
            if person.id < 0 or keypoints is None:
                continue
            if len(keypoints) != k:
                raise BadInput(
                    f"line {number} of {path} has {len(keypoints)} keypoints and its skeleton {k}: "
                    "give its `skeleton`"
                )
            seen.setdefault(person.id, []).append((line.frame, keypoints))
    return np.array(frames, np.int64), np.array(times, np.float64), seen


def _on_grid(rows: _Rows, numbers: I64, skeleton: Skeleton, min_score: float) -> tuple[F64, F64]:
    """Keypoints (T, K, 2) and scores (T, K) of a person in the frames `numbers` (T,); NaN where unknown."""
    found = np.full((len(numbers), len(skeleton.joints), 3), np.nan)
    found[np.searchsorted(numbers, [frame for frame, _ in rows])] = [keypoints for _, keypoints in rows]
    return known_keypoints(found[..., :2], found[..., 2], skeleton, min_score), found[..., 2]


def chosen(recording: Recording, ids: Sequence[int] = ALL_IDS, min_length_s: float = 0.0) -> list[Track]:
    """The tracks of these ids, or all of them that are long enough.

    Raises:
        BadInput: There is no person with such an id, or nobody is left.
    """
    have = {track.id: track for track in recording.tracks}
    if strange := [i for i in ids if i not in have]:
        known = ", ".join(map(str, have)) or "none"
        raise BadInput(f"nobody has the id {strange[0]}: the ids are {known}")
    if ids:
        return [have[i] for i in dict.fromkeys(ids)]
    long = [track for track in recording.tracks if track.seconds >= min_length_s]
    if not have:
        raise BadInput("nobody in the file has an id and a pose: run a video, not single images")
    if not long:
        longest = max(track.seconds for track in recording.tracks)
        raise BadInput(
            f"nobody is there for {min_length_s:g} s, the longest for {longest:.2f}: lower `min_length_s`"
        )
    return long


def rewrite(path: Path, target: Path, filtered: Mapping[tuple[int, int], F64]) -> None:
    """Copy JSON lines, with filtered keypoints, and the keypoints before as `raw_keypoints`.

    Args:
        path, target: The files.
        filtered: (K, 2) pixels by (frame, id); where it is NaN, the keypoint stays as it was.
    """
    with target.open("w", encoding="utf-8") as file:
        for text in _lines(path):
            line: dict[str, Any] = json.loads(text)
            for person in line.get("people", ()):
                xy = filtered.get((line["frame"], person["id"]))
                if xy is None or person["keypoints"] is None:
                    continue
                raw = person["raw_keypoints"] = person.get("raw_keypoints") or person["keypoints"]
                person["keypoints"] = [
                    old if math.isnan(x) else [x, y, old[2]]
                    for old, (x, y) in zip(raw, xy.round(3).tolist(), strict=True)
                ]
            file.write(json.dumps(line, allow_nan=False) + "\n")


def _lines(path: Path) -> Iterator[bytes]:
    try:
        check_rereadable(path)
        with path.open("rb") as file:
            yield file.readline().removeprefix(codecs.BOM_UTF8)
            yield from file
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): check the path") from error


def _decoded(path: Path, number: int, text: bytes, shape: type[Any]) -> Any:
    try:
        return msgspec.json.decode(text, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = str(error).replace("`", "")  # backticks are for names of options
        raise BadInput(
            f"line {number} of {path} is not what hrpose-rt run --json writes ({reason}): give such a file"
        ) from error
