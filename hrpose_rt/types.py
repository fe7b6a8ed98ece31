"""The values that pass through the pipeline: arrays in dataclasses, their shapes checked on creation."""

import math
from dataclasses import dataclass, fields
from enum import IntEnum
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hrpose_rt.errors import BadInput

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Bools = NDArray[np.bool_]

STAGES = ("letterbox", "detect", "track", "crop", "pose", "heatmap", "other")
EXTRA_STAGES = ("read", "draw", "write", "age")


MAX_BOX_REACH_PX = 1e6  # farthest box coordinate, in pixels from the image's corner
COCO_PERSON = 1  # category id of people in COCO
NO_ID = -1  # id of an unconfirmed track


class Origin(IntEnum):
    """How a box was obtained."""

    DETECTED = 0
    TRACKED = 1


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known about a source before its first frame.

    >>> from hrpose_rt import open_source
    >>> with open_source("video.mp4") as source:
    ...     info = source.info
    >>> info.width, info.height, info.fps, info.frames
    (64, 48, 10.0, 5)

    Attributes:
        name: The name the user gave.
        stem: A short name for files made from it.
        width, height: Size of its frames in pixels, upright; of the first frame if they differ. 0 for a
            live source that has not answered yet.
        fps: Frames per second; 1 for images that are not a video.
        frames: Number of frames; None if unknown.
        is_video: Whether frames follow each other in time, so that people can be tracked.
        is_live: Whether frames arrive in real time; a live source drops frames that are not read in time.
    """

    name: str
    stem: str
    width: int
    height: int
    fps: float
    frames: int | None
    is_video: bool
    is_live: bool


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame of a source.

    >>> import time
    >>> import numpy as np
    >>> from hrpose_rt import Frame
    >>> image = np.zeros((480, 640, 3), np.uint8)
    >>> frame = Frame(index=0, image=image, time_s=0.0, captured_s=time.perf_counter())

    Give it to `Session.process` if the times of your frames vary.

    Attributes:
        index: Its number in the source, from 0; gaps where frames were left out.
        image: (H, W, 3) uint8 BGR.
        time_s: Seconds from the start of the stream.
        captured_s: When it was in memory, on `time.perf_counter`'s clock.
        dropped: Frames that the source dropped since the previous one, to stay live.
        read_ms: Milliseconds spent waiting for and decoding it.
        file_name: Name of the file for an image of a folder, also one played as a video; else empty.
    """

    index: int
    image: U8
    time_s: float
    captured_s: float
    dropped: int = 0
    read_ms: float = 0.0
    file_name: str = ""

    def __post_init__(self) -> None:
        check_image(self.image)
        if not isinstance(self.index, Integral):
            raise BadInput(f"a frame's index is a whole number, not {self.index!r}")
        if not (isinstance(self.time_s, Real) and math.isfinite(self.time_s)):
            raise BadInput(f"a frame's time_s is a finite number of seconds, not {self.time_s!r}")


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """People detected in a frame.

    >>> import numpy as np
    >>> from hrpose_rt import Detections
    >>> boxes = np.array([[10, 20, 110, 320], [200, 40, 280, 300]], np.float32)
    >>> detections = Detections.found(boxes, scores=np.array([0.9, 0.4], np.float32))
    >>> detections.boxes[detections.scores > 0.5].tolist()
    [[10.0, 20.0, 110.0, 320.0]]

    Attributes:
        boxes: (N, 4) float32 xyxy in frame pixels. Those of the detectors here lie inside the frame.
        scores: (N,) float32 in 0..1.
        origin: (N,) 0 if the box was detected in this frame, 1 if it was tracked from earlier ones.
        added: Number of people detected only in tiles.
    """

    boxes: F32
    scores: F32
    origin: I64
    added: int = 0

    def __post_init__(self) -> None:
        n = len(self.boxes) if isinstance(self.boxes, np.ndarray) and self.boxes.ndim else 0
        _check_arrays(boxes=(self.boxes, (n, 4)), scores=(self.scores, (n,)), origin=(self.origin, (n,)))

    def __len__(self) -> int:
        return len(self.boxes)

    @classmethod
    def found(cls, boxes: F32, scores: F32, added: int = 0) -> "Detections":
        """Boxes (N, 4) and scores (N,) directly from a detector, `added` of them only from tiles."""
        return cls(boxes, scores, np.full(len(boxes), Origin.DETECTED, np.int64), added)

    def select(self, rows: I64) -> "Detections":
        """These rows (M,) only."""
        return Detections(self.boxes[rows], self.scores[rows], self.origin[rows], self.added)


@dataclass(frozen=True, slots=True, eq=False)
class Poses:
    """Poses of the people of a frame; row i belongs to detection i.

    >>> import numpy as np
    >>> from hrpose_rt import COCO17, Poses
    >>> keypoints = np.full((2, 17, 2), 60, np.float32)
    >>> poses = Poses.estimated(keypoints, scores=np.ones((2, 17), np.float32))
    >>> poses.keypoints[:, COCO17.joints.index("left_wrist")].tolist()
    [[60.0, 60.0], [60.0, 60.0]]

    Attributes:
        keypoints: (N, K, 2) float32 frame pixels, x before y.
        scores: (N, K) float32 raw heatmap peaks, which may lie outside 0..1.
        fresh: (N,) whether the pose was estimated on this frame.
        age: (N,) frames since then; -1 for a person without a pose, whose keypoints mean nothing.
    """

    keypoints: F32
    scores: F32
    fresh: Bools
    age: I64

    def __post_init__(self) -> None:
        is_array = isinstance(self.scores, np.ndarray)
        if is_array and self.scores.ndim != 2:
            raise BadInput(f"scores has shape {self.scores.shape}, (N, K) was wanted")
        n, k = self.scores.shape if is_array else (0, 0)
        _check_arrays(
            scores=(self.scores, (n, k)),
            keypoints=(self.keypoints, (n, k, 2)),
            fresh=(self.fresh, (n,)),
            age=(self.age, (n,)),
        )

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def estimated(cls, keypoints: F32, scores: F32) -> "Poses":
        """Poses estimated on this frame, from keypoints (N, K, 2) and scores (N, K)."""
        n = len(scores)
        return cls(keypoints, scores, np.ones(n, np.bool_), np.zeros(n, np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class TrackedPeople:
    """The people of a frame; row i of each part is one person.

    Attributes:
        detections: Boxes, detected on this frame or propagated.
        track_ids: (N,) int64, `NO_ID` while unconfirmed and in images.
        poses: Estimated on this frame or propagated.
    """

    detections: Detections
    track_ids: I64
    poses: Poses

    def __len__(self) -> int:
        return len(self.track_ids)


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Times of one frame, in milliseconds.

    >>> from hrpose_rt import StageTimes
    >>> times = StageTimes(detect=14.0, pose=10.0, other=1.0, total=25.0)
    >>> f"{times.total:.0f} ms, {1000 / times.total:.0f} frames per second"
    '25 ms, 40 frames per second'

    `letterbox` to `heatmap` are measured separately. `total` runs from the frame in memory to its poses, on
    its own clock, and `other` is the difference, so that the stages add up. `read`, `draw` and `write` are
    not part of the total; `age` runs from capture to the last sink. Only the command line draws and
    writes: from Python, `draw`, `write` and `age` are 0.
    """

    letterbox: float = 0.0
    detect: float = 0.0
    track: float = 0.0
    crop: float = 0.0
    pose: float = 0.0
    heatmap: float = 0.0
    other: float = 0.0
    total: float = 0.0
    read: float = 0.0
    draw: float = 0.0
    write: float = 0.0
    age: float = 0.0

    def plus(self, other: "StageTimes", share: float) -> "StageTimes":
        """These times plus a share, in 0..1, of what several frames cost together."""
        total = {field.name: getattr(self, field.name) for field in fields(self)}
        return StageTimes(**{name: value + share * getattr(other, name) for name, value in total.items()})


def check_image(image: U8) -> None:
    """Raise BadInput unless `image` is a non-empty (H, W, 3) uint8 array."""
    if not isinstance(image, np.ndarray):
        raise BadInput(f"an image is a NumPy array, this one is {type(image).__name__}: was it read?")
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise BadInput(
            f"an image is (H, W, 3) uint8 BGR with at least one pixel, "
            f"this one is {image.shape} {image.dtype}"
        )


def check_canvas(canvas: U8) -> None:
    """Raise BadInput unless `canvas` is an image that OpenCV can draw on."""
    check_image(canvas)
    if not canvas.flags.writeable or not canvas.flags.c_contiguous:
        what = "laid out otherwise in memory" if canvas.flags.writeable else "read-only"
        raise BadInput(f"a canvas is written to, row after row, and this one is {what}: give a copy of it")


def check_boxes(boxes: ArrayLike, image: U8) -> F32:
    """The boxes as (N, 4) float32; raise BadInput with the first invalid box."""
    try:
        with np.errstate(over="ignore"):  # overflows are reported below
            array = np.asarray(boxes, np.float32)
    except (TypeError, ValueError) as error:
        raise BadInput("boxes are (N, 4) numbers: x1, y1, x2, y2 in pixels") from error
    if array.size == 0:
        array = array.reshape(0, 4)
    if array.ndim != 2 or array.shape[1] != 4:
        raise BadInput(f"boxes are (N, 4) numbers, x1, y1, x2, y2 in pixels; these are {array.shape}")
    h, w = image.shape[:2]
    finite = np.logical_and.reduce(np.isfinite(array), axis=1)
    with np.errstate(invalid="ignore"):
        solid = np.logical_and.reduce(array[:, 2:] > array[:, :2], axis=1)
        inside = np.logical_and.reduce((array[:, :2] < (w, h)) & (array[:, 2:] > 0), axis=1)
        near = np.logical_and.reduce(np.abs(array) <= MAX_BOX_REACH_PX, axis=1)  # keeps sizes finite
    wrong = np.flatnonzero(~(finite & near & solid & inside))
    if len(wrong):
        i = int(wrong[0])
        reason = f"lies outside the picture of {w}x{h}"
        if not finite[i]:
            reason = "has numbers that are not finite"
        elif np.abs(array[i]).max() > MAX_BOX_REACH_PX:
            reason = f"reaches farther than {MAX_BOX_REACH_PX:g} pixels"
        elif not solid[i]:
            reason = "has no area"
        raise BadInput(f"box {i}, {array[i].tolist()}, {reason}: give x1, y1, x2, y2 in its pixels")
    return array


def _check_arrays(**arrays: tuple[object, tuple[int, ...]]) -> None:
    """Raise BadInput unless each value is an array of the given shape."""
    for name, (array, expected) in arrays.items():
        if not isinstance(array, np.ndarray) or not array.ndim:
            raise BadInput(f"{name} is a NumPy array, not {type(array).__name__}")
        if array.shape != expected:
            raise BadInput(f"{name} has shape {array.shape}, {expected} was wanted")
