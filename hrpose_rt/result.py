"""The result of a frame, and its conversions."""

from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from hrpose_rt.drawing.faces import blur_faces
from hrpose_rt.drawing.labels import draw_labels
from hrpose_rt.drawing.people import Trails, canvas_of, draw_boxes, draw_outlines, draw_overlay, draw_poses
from hrpose_rt.drawing.style import DRAW_STYLE, DrawStyle
from hrpose_rt.errors import BadInput, RuntimeMissing, install_hint
from hrpose_rt.skeleton import Skeleton
from hrpose_rt.types import F32, I64, U8, Detections, Frame, Origin, Poses, StageTimes, check_canvas

if TYPE_CHECKING:
    import supervision as sv


@dataclass(frozen=True, slots=True, eq=False)
class FrameResult:
    """The people of one frame; row i is the same person in all of its fields.

    A pipeline returns it. A test can build one from arrays:

    >>> import numpy as np
    >>> from hrpose_rt import COCO17, Detections, Frame, FrameResult, Poses, StageTimes
    >>> frame = Frame(0, np.zeros((480, 640, 3), np.uint8), time_s=0.0, captured_s=0.0)
    >>> detections = Detections.found(np.array([[10, 20, 110, 320]], np.float32), np.ones(1, np.float32))
    >>> poses = Poses.estimated(np.full((1, 17, 2), 60, np.float32), np.ones((1, 17), np.float32))
    >>> result = FrameResult(frame, detections, np.array([7]), poses, StageTimes(total=21.5), COCO17)

    Its people are an image, plain numbers or a table:

    >>> result
    <FrameResult frame=0 people=1 ids=[7] ms=21.5>
    >>> result.draw().shape
    (480, 640, 3)
    >>> result.to_dict()["people"][0]["box"]
    [10.0, 20.0, 110.0, 320.0]
    >>> list(result.to_df().columns)[:4]
    ['frame', 'time_s', 'id', 'x1']

    Attributes:
        frame: The frame itself.
        detections: Boxes (N, 4) and scores (N,).
        track_ids: (N,) ids, -1 until confirmed.
        poses: Keypoints (N, K, 2) and scores (N, K).
        times: Stage times.
        skeleton: The joints of the keypoints.
        shared: Whether frames of several sources were processed together; `times` is then a share of their
            common cost.
    """

    frame: Frame
    detections: Detections
    track_ids: I64
    poses: Poses
    times: StageTimes
    skeleton: Skeleton
    shared: bool = False

    def __len__(self) -> int:
        return len(self.detections)

    def __repr__(self) -> str:
        frame, ids, ms = self.frame.index, self.track_ids.tolist(), self.times.total
        return f"<FrameResult frame={frame} people={len(self)} ids={ids} ms={ms:.1f}>"

    def draw(
        self, canvas: U8 | None = None, style: DrawStyle = DRAW_STYLE, trails: Trails | None = None
    ) -> U8:
        """Draw the people and return the image (H, W, 3).

        >>> from hrpose_rt import DrawStyle, stream
        >>> style = DrawStyle(color="person", labels=("id",), min_score=0.5)
        >>> pictures = [result.draw(style=style) for result in stream("video.mp4")]
        >>> len(pictures), pictures[0].shape
        (5, (48, 64, 3))

        Args:
            canvas: (H, W, 3) uint8 BGR to draw on, in place; what `style.canvas` says if None.
            style: What is drawn, and how.
            trails: Paths of people, to which this frame is added.

        Raises:
            BadInput: The canvas is not such an image or cannot be drawn on, or the style is not one.
        """
        if not isinstance(style, DrawStyle):
            raise BadInput(f"`style` is a DrawStyle, not {type(style).__name__}: DrawStyle(color=...)")
        image = canvas_of(self.frame.image, style.canvas) if canvas is None else canvas
        check_canvas(image)
        if style.blur_faces:  # first, so that nothing of what is drawn is blurred
            blur_faces(image, self.detections, self.poses, self.skeleton)
        if style.regions:
            draw_outlines(image, style.regions)
        if trails:
            trails.draw(image, self.detections, self.track_ids, self.frame.time_s)
        if style.boxes:
            draw_boxes(image, self.detections, self.track_ids)
        draw_poses(image, self.detections, self.poses, self.skeleton, self.track_ids, style)
        if style.boxes:
            draw_labels(image, self.detections, self.track_ids, style.labels)
        if style.panel:
            draw_overlay(image, len(self), self.times)
        return image

    def to_dict(self) -> dict[str, Any]:
        """A line of the JSONL file, schema 1: plain numbers, never NaN, scores clipped to 0..1."""
        name = {"file_name": self.frame.file_name} if self.frame.file_name else {}
        return {
            "frame": int(self.frame.index),
            **name,
            "time_s": round(float(self.frame.time_s), 6),
            "people": [self._person(i) for i in range(len(self))],
            latency_field(self.shared): {k: round(v, 3) for k, v in asdict(self.times).items()},
            "dropped": self.frame.dropped,
        }

    def _person(self, i: int) -> dict[str, Any]:
        age = int(self.poses.age[i])
        keypoints = np.column_stack([self.poses.keypoints[i], self.poses.scores[i].clip(0, 1)])
        return {
            "id": int(self.track_ids[i]),
            "box": [round(v, 2) for v in self.detections.boxes[i].tolist()],
            "score": round(float(self.detections.scores[i].clip(0, 1)), 4),
            "from": Origin(self.detections.origin[i]).name.lower(),
            "fresh": bool(self.poses.fresh[i]),
            "age": age,
            "keypoints": None if age < 0 else [[round(v, 3) for v in row] for row in keypoints.tolist()],
        }

    def to_df(self) -> Any:
        """A table with one row per person, of pandas or else of polars.

        The columns are `frame`, `time_s`, `file_name` (of image files), `id`, the box as `x1`, `y1`, `x2`
        and `y2`, its `score`, and for every joint its position and score, such as `nose_x`, `nose_y` and
        `nose_score`. They are NaN for a person without a pose. `pandas.concat` and `polars.concat` join the
        tables of several frames.

        Raises:
            RuntimeMissing: Neither library is installed.
        """
        n, posed, file_name = len(self), (self.poses.age >= 0)[:, None], self.frame.file_name
        x, y = (np.where(posed, self.poses.keypoints[:, :, axis], np.nan) for axis in (0, 1))
        score = np.where(posed, self.poses.scores.clip(0, 1), np.nan)
        columns: dict[str, Any] = {
            "frame": np.full(n, self.frame.index),
            "time_s": np.full(n, self.frame.time_s),
            **({"file_name": np.full(n, file_name)} if file_name else {}),
            "id": self.track_ids,
            **dict(zip(("x1", "y1", "x2", "y2"), self.detections.boxes.T, strict=True)),
            "score": self.detections.scores,
        }
        for i, joint in enumerate(self.skeleton.joints):
            columns |= {f"{joint}_x": x[:, i], f"{joint}_y": y[:, i], f"{joint}_score": score[:, i]}
        for library in ("pandas", "polars"):
            if find_spec(library):
                return import_module(library).DataFrame(columns)
        raise RuntimeMissing("`to_df` needs pandas or polars: pip install pandas")

    def to_supervision(self) -> "tuple[sv.Detections, sv.KeyPoints]":
        """The boxes (with tracker ids) and the poses as `supervision` types, in the same order.

        Raises:
            RuntimeMissing: supervision is not installed.
        """
        try:
            import supervision as sv
        except ImportError as error:
            raise RuntimeMissing(
                f"`to_supervision` needs supervision: {install_hint('tracking')}"
            ) from error

        boxes = sv.Detections(
            xyxy=self.detections.boxes,
            confidence=self.detections.scores,
            class_id=np.zeros(len(self), np.int64),
            tracker_id=self.track_ids,
        )
        posed = self.poses.age >= 0  # hides the meaningless joints of people without a pose
        poses = sv.KeyPoints(
            xy=self.poses.keypoints,
            keypoint_confidence=self.poses.scores,
            class_id=np.zeros(len(self), np.int64),
            visible=np.repeat(posed[:, None], self.poses.scores.shape[1], axis=1),
        )
        return boxes, poses


def latency_field(shared: bool) -> str:
    """The JSON key of a frame's times; it says whether they are shares of several frames' cost."""
    return "latency_share_ms" if shared else "latency_ms"


def person_score(box_scores: F32, keypoint_scores: F32) -> F32:
    """Scores (N,) of people: the box score (N,) times the mean of the joint scores (N, K) above 0.2.

    Source: the original's evaluation.
    """
    sure = keypoint_scores > 0.2
    total = (keypoint_scores * sure).sum(axis=1)
    return np.asarray(box_scores * total / np.maximum(sure.sum(axis=1), 1), np.float32)
