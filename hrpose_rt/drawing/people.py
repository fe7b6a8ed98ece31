"""Draw people and numbers into an image, with one OpenCV call per colour where possible."""

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np

from hrpose_rt.drawing.labels import ID_COLOURS, WHITE, Colour, colour_of, write
from hrpose_rt.drawing.style import DRAW_STYLE, DrawStyle
from hrpose_rt.regions import Region
from hrpose_rt.skeleton import Side, Skeleton
from hrpose_rt.types import F32, I64, STAGES, U8, Bools, Detections, Poses, StageTimes

SIDE_COLOURS: dict[Side, Colour] = {  # BGR
    Side.LEFT: (255, 160, 60),
    Side.RIGHT: (50, 130, 255),
    Side.MIDDLE: (120, 220, 120),
}
OUTLINE_OPACITY = 0.4
SCORE_LEVELS = 5  # number of shades for scores
SCORE_COLOURS: tuple[Colour, ...] = tuple(  # from red (low score) to green (high)
    (60, 255 * level // (SCORE_LEVELS - 1), 255 - 255 * level // (SCORE_LEVELS - 1))
    for level in range(SCORE_LEVELS)
)
BLURRED_WH = (16, 9)  # pixels that are left of a blurred frame: nobody can be recognised

MAX_DOT_EDGE = 4  # pixels that a keypoint is wider than the limbs, at most
_SUBPIXEL_BITS = 3
_FAR = 1e5  # pixels; OpenCV's drawing overflows beyond


def canvas_of(image: U8, canvas: str) -> U8:
    """A new image (H, W, 3) to draw on: a copy, a blur of the frame that hides everybody, or black."""
    if canvas == "video":
        return image.copy()
    if canvas == "black":
        return np.zeros(image.shape, np.uint8)
    small = cv2.resize(image, BLURRED_WH, interpolation=cv2.INTER_AREA)
    size_wh = (image.shape[1], image.shape[0])
    return np.asarray(cv2.resize(small, size_wh, interpolation=cv2.INTER_LINEAR), np.uint8)


def draw_poses(
    image: U8,
    detections: Detections,
    poses: Poses,
    skeleton: Skeleton,
    track_ids: I64 | None = None,
    style: DrawStyle = DRAW_STYLE,
) -> None:
    """Draw limbs and keypoints into `image` (H, W, 3).

    Limbs of older poses (`poses.fresh` False) are thinner. People without a pose get no limbs.

    Args:
        image: The picture.
        detections: N boxes.
        poses: Their poses.
        skeleton: The joints of the poses.
        track_ids: (N,) ids, for limbs coloured by person; nobody has one by default.
        style: Colours, width of the lines, and the lowest score.
    """
    ids = np.full(len(detections), -1) if track_ids is None else track_ids
    thickness = _thickness(detections, poses, style.line_width)
    visible = (poses.scores >= style.min_score) & (poses.age >= 0)[:, None]
    edges = np.array(skeleton.edges, np.int64).reshape(-1, 2)
    palette, of_limbs, of_joints = _colours(poses.scores, ids, skeleton, style.color)
    shown = np.logical_and.reduce(visible[:, edges], axis=2)
    _segments(image, poses.keypoints[:, edges][shown], of_limbs[shown], palette, _of(shown, thickness))
    # A line of length 0 with round ends is a dot.
    dots = poses.keypoints[visible][:, None].repeat(2, axis=1)
    width = _of(visible, np.minimum(2 * thickness + 1, thickness + MAX_DOT_EDGE))
    _segments(image, dots, of_joints[visible], palette, width)


def _thickness(detections: Detections, poses: Poses, line_width: int) -> I64:
    """Width (N,) of limbs in pixels."""
    heights = detections.boxes[:, 3] - detections.boxes[:, 1]
    fitting = np.select([heights < 90, heights < 300], [1, 2], 3)
    wanted = np.full(len(heights), line_width) if line_width else fitting
    return np.where(poses.fresh, wanted, (wanted + 1) // 2 if line_width else 1)


def _colours(scores: F32, ids: I64, skeleton: Skeleton, color: str) -> tuple[Sequence[Colour], I64, I64]:
    """A palette, and the row in it of every limb (N, E) and of every keypoint (N, K)."""
    edges = np.array(skeleton.edges, np.int64).reshape(-1, 2)
    of_limbs, of_joints = (len(ids), len(edges)), scores.shape
    if color == "person":
        rows = np.where(ids >= 0, ids % len(ID_COLOURS), len(ID_COLOURS))[:, None]
        palette = (*ID_COLOURS, colour_of(-1))
        return palette, np.broadcast_to(rows, of_limbs), np.broadcast_to(rows, of_joints)
    levels = _score_levels(scores)
    if color == "score":
        return SCORE_COLOURS, levels[:, edges].min(axis=2), levels
    sides = np.array(skeleton.edge_sides(), np.int64) + len(SCORE_COLOURS)
    palette = (*SCORE_COLOURS, *(SIDE_COLOURS[side] for side in Side))
    return palette, np.broadcast_to(sides, of_limbs), levels


def _score_levels(scores: F32) -> I64:
    """The row in `SCORE_COLOURS` of scores, of any shape."""
    return np.asarray((scores.clip(0, 1) * SCORE_LEVELS).astype(np.int64).clip(0, SCORE_LEVELS - 1))


def _of(chosen: Bools, values: I64) -> I64:
    """The value (N,) of the person that each chosen entry of (N, M) belongs to."""
    return values[chosen.nonzero()[0]]


class Trails:
    """The paths of people, drawn behind them.

    Args:
        seconds: Length of the paths.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._paths: dict[int, list[tuple[float, int, int]]] = {}

    def draw(self, image: U8, detections: Detections, track_ids: I64, time_s: float) -> None:
        """Add the people of a frame at `time_s` and draw the paths of the last `seconds`."""
        feet = np.stack([detections.boxes[:, [0, 2]].mean(axis=1), detections.boxes[:, 3]], axis=1)
        for i, (x, y) in zip(track_ids.tolist(), feet.round().astype(int).tolist(), strict=True):
            if i >= 0:
                self._paths.setdefault(i, []).append((time_s, x, y))
        for i, path in list(self._paths.items()):
            recent = [position for position in path if 0 <= time_s - position[0] <= self._seconds]
            if not recent:
                del self._paths[i]
                continue
            self._paths[i] = recent
            points = np.array([[x, y] for _, x, y in recent], np.int32)
            cv2.polylines(image, [points], False, colour_of(i), 2, cv2.LINE_AA)


def draw_outlines(image: U8, regions: Sequence[Region]) -> None:
    """Draw the edges of regions faintly into `image` (H, W, 3)."""
    frame_hw = image.shape[0], image.shape[1]
    edges = [line.astype(np.int32) for region in regions for line in _outlines(region, frame_hw)]
    lines = image.copy()
    cv2.polylines(lines, edges, True, WHITE, 2, cv2.LINE_AA)
    cv2.addWeighted(lines, OUTLINE_OPACITY, image, 1 - OUTLINE_OPACITY, 0, dst=image)


# The frames of a run have one size. Finding the edges takes longer than drawing them.
_outlines = lru_cache(maxsize=16)(Region.outlines)


def draw_overlay(image: U8, people: int, times: StageTimes) -> None:
    """Write people, milliseconds per stage and frames per second into the upper left corner."""
    fps = 1e3 / times.total if times.total > 0 else 0.0
    lines = [f"people {people}", f"total {times.total:.1f} ms  {fps:.0f} fps"]
    lines += [f"{name} {getattr(times, name):.1f}" for name in STAGES]
    size = max(0.4, image.shape[0] / 1600)
    step = int(36 * size)
    panel = image[: step * len(lines) + step // 2, : int(300 * size)]
    panel[:] = panel // 3
    for i, line in enumerate(lines):
        write(image, line, (step // 3, step * (i + 1)), WHITE, size)


def draw_boxes(image: U8, detections: Detections, track_ids: I64) -> None:
    """Draw every box, in the colour of its id, into `image` (H, W, 3)."""
    boxes = detections.boxes.round().astype(int).tolist()
    for (x1, y1, x2, y2), i in zip(boxes, track_ids.tolist(), strict=True):
        cv2.rectangle(image, (x1, y1), (x2, y2), colour_of(i), 1)


def _segments(image: U8, segments: F32, colours: I64, palette: Sequence[Colour], thickness: I64) -> None:
    """Draw lines (M, 2, 2), with subpixel ends: one call for those of the same colour and thickness.

    Args:
        image: The picture.
        segments: (M, 2, 2) ends.
        colours: (M,) rows of the palette.
        palette: BGR colours.
        thickness: (M,) pixels.
    """
    ends = (segments.clip(-_FAR, _FAR) * (1 << _SUBPIXEL_BITS)).round().astype(np.int32)
    groups = colours * (int(thickness.max(initial=0)) + 1) + thickness
    for group in np.unique(groups):
        chosen = groups == group
        first = chosen.argmax()
        colour, width = palette[colours[first]], int(thickness[first])
        cv2.polylines(image, list(ends[chosen]), False, colour, width, cv2.LINE_AA, _SUBPIXEL_BITS)
