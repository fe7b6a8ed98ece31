"""Draw people and numbers into an image, with one OpenCV call per colour where possible."""

from collections.abc import Sequence

import cv2
import numpy as np

from hrpose_rt.skeleton import Side, Skeleton
from hrpose_rt.types import F32, I64, STAGES, U8, Bools, Detections, Poses, StageTimes

MIN_SCORE = 0.3  # default lowest score of a drawn keypoint

Colour = tuple[int, int, int]

SIDE_COLOURS: dict[Side, Colour] = {  # BGR
    Side.LEFT: (255, 160, 60),
    Side.RIGHT: (50, 130, 255),
    Side.MIDDLE: (120, 220, 120),
}
ID_COLOURS: tuple[Colour, ...] = (
    *((80, 175, 255), (120, 230, 130), (255, 190, 90), (200, 140, 255)),
    *((110, 240, 240), (245, 200, 200), (160, 255, 60), (255, 130, 190)),
)
GREY: Colour = (170, 170, 170)
WHITE: Colour = (255, 255, 255)
DARK: Colour = (24, 24, 24)
OUTLINE_OPACITY = 0.4
SCORE_LEVELS = 5  # number of shades for keypoints, from red (low score) to green (high)

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SUBPIXEL_BITS = 3
_FAR = 1e5  # pixels; OpenCV's drawing overflows beyond


def draw_poses(
    image: U8,
    detections: Detections,
    poses: Poses,
    skeleton: Skeleton,
    min_score: float = MIN_SCORE,
) -> None:
    """Draw limbs by side and keypoints by score into `image` (H, W, 3).

    Limbs of older poses (`poses.fresh` False) are thinner. People without a pose get no limbs.
    """
    heights = detections.boxes[:, 3] - detections.boxes[:, 1]
    thickness = np.select([heights < 90, heights < 300], [1, 2], 3)
    thickness = np.where(poses.fresh, thickness, 1)
    visible = (poses.scores >= min_score) & (poses.age >= 0)[:, None]
    _draw_limbs(image, poses.keypoints, visible, thickness, skeleton)
    _draw_keypoints(image, poses.keypoints, poses.scores, visible, thickness)


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
            cv2.polylines(image, [points], False, ID_COLOURS[i % len(ID_COLOURS)], 2, cv2.LINE_AA)


def draw_outlines(image: U8, outlines: Sequence[I64]) -> None:
    """Draw closed lines, each (N, 2) pixels, faintly into `image` (H, W, 3)."""
    lines = image.copy()
    cv2.polylines(lines, [line.astype(np.int32) for line in outlines], True, WHITE, 2, cv2.LINE_AA)
    cv2.addWeighted(lines, OUTLINE_OPACITY, image, 1 - OUTLINE_OPACITY, 0, dst=image)


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
        _write(image, line, (step // 3, step * (i + 1)), WHITE, size)


def draw_boxes(image: U8, detections: Detections, track_ids: I64) -> None:
    """Draw every box with its id and score into `image` (H, W, 3)."""
    size = max(0.35, image.shape[0] / 1800)
    height, letter = round(35 * size), 20 * size
    boxes = detections.boxes.round().astype(int).tolist()
    for (x1, y1, x2, y2), score, i in zip(
        boxes, detections.scores.tolist(), track_ids.tolist(), strict=True
    ):
        colour = ID_COLOURS[i % len(ID_COLOURS)] if i >= 0 else GREY
        cv2.rectangle(image, (x1, y1), (x2, y2), colour, 1)
        label = f"#{i} {score:.2f}" if i >= 0 else f"{score:.2f}"
        top = max(y1, height)
        right = x1 + round(letter * len(label))
        cv2.rectangle(image, (x1, top - height), (right, top), colour, cv2.FILLED)
        _write(image, label, (x1 + 2, top - height // 4), DARK, size)


def _draw_limbs(image: U8, keypoints: F32, visible: Bools, thickness: I64, skeleton: Skeleton) -> None:
    edges = np.array(skeleton.edges)  # (E, 2)
    segments = keypoints[:, edges]  # (N, E, 2 ends, 2)
    shown = visible[:, edges].all(axis=2)  # (N, E)
    sides = np.array(skeleton.edge_sides())
    for side, colour in SIDE_COLOURS.items():
        for t in np.unique(thickness):
            chosen = shown & (sides == side) & (thickness == t)[:, None]
            _segments(image, segments[chosen], colour, int(t))


def _draw_keypoints(image: U8, keypoints: F32, scores: F32, visible: Bools, thickness: I64) -> None:
    levels = (scores.clip(0, 1) * SCORE_LEVELS).astype(int).clip(0, SCORE_LEVELS - 1)
    for level in range(SCORE_LEVELS):
        share = level / (SCORE_LEVELS - 1)
        colour = (60, int(255 * share), int(255 * (1 - share)))
        for t in np.unique(thickness):
            chosen = visible & (levels == level) & (thickness == t)[:, None]
            # A line of length 0 with round ends is a dot.
            _segments(image, keypoints[chosen][:, None].repeat(2, axis=1), colour, 2 * int(t) + 1)


def _segments(image: U8, segments: F32, colour: Colour, thickness: int) -> None:
    """Draw lines (M, 2, 2), with subpixel ends, in one call."""
    if len(segments):
        ends = (segments.clip(-_FAR, _FAR) * (1 << _SUBPIXEL_BITS)).round().astype(np.int32)
        cv2.polylines(image, list(ends), False, colour, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)


def _write(image: U8, text: str, at: tuple[int, int], colour: Colour, size: float) -> None:
    cv2.putText(image, text, at, _FONT, size, colour, 1, cv2.LINE_AA)
