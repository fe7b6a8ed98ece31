"""Labels of people that do not cover each other."""

from collections.abc import Sequence

import cv2
import numpy as np

from hrpose_rt.types import F32, I64, U8, Detections

Colour = tuple[int, int, int]

ID_COLOURS: tuple[Colour, ...] = (  # BGR
    *((80, 175, 255), (120, 230, 130), (255, 190, 90), (200, 140, 255)),
    *((110, 240, 240), (245, 200, 200), (160, 255, 60), (255, 130, 190)),
)
GREY: Colour = (170, 170, 170)
WHITE: Colour = (255, 255, 255)
DARK: Colour = (24, 24, 24)

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_MARGIN = 2  # pixels on both sides of a text
_HEIGHT = 35  # pixels that a label is high at size 1


def colour_of(track_id: int) -> Colour:
    """The BGR colour of a person; grey without an id."""
    return ID_COLOURS[track_id % len(ID_COLOURS)] if track_id >= 0 else GREY


def draw_labels(image: U8, detections: Detections, track_ids: I64, parts: Sequence[str]) -> None:
    """Write the label of every person beside the box into `image` (H, W, 3).

    A label that finds no free place is left out. People with the lowest ids choose first, so that a label
    does not jump when a new person comes.

    Args:
        image: The picture.
        detections: N boxes.
        track_ids: (N,) ids; a person without one, -1, has only the score.
        parts: What a label says: "id", "score", or both.
    """
    texts = _texts(detections, track_ids, parts)
    order = np.lexsort((-detections.scores, track_ids, track_ids < 0))
    labelled = np.array([i for i in order.tolist() if texts[i]], np.int64)
    if not len(labelled):
        return
    h, w = image.shape[:2]
    size = max(0.35, h / 1800)
    widths = np.array([cv2.getTextSize(texts[i], _FONT, size, 1)[0][0] for i in labelled]) + 2 * _MARGIN
    places = place_labels(detections.boxes[labelled], widths, round(_HEIGHT * size), (h, w))
    for i, (x, y, right, bottom) in zip(labelled.tolist(), places.tolist(), strict=True):
        if right > x:
            cv2.rectangle(image, (x, y), (right, bottom), colour_of(int(track_ids[i])), cv2.FILLED)
            write(image, texts[i], (x + _MARGIN, bottom - (bottom - y) // 4), DARK, size)


def place_labels(boxes: F32, widths: I64, height: int, frame_hw: tuple[int, int]) -> I64:
    """Places (N, 4) xyxy of labels, none over another; all 0 for a label that has no place.

    The first free one of four is taken: above the box on its left, above it on its right, inside it at the
    top, and below it. A label stays inside the frame.

    Args:
        boxes: (N, 4) boxes of people, those that choose first in front.
        widths: (N,) widths of their labels in pixels.
        height: Height of a label in pixels.
        frame_hw: Height and width of the frame.
    """
    h, w = frame_hw
    x1, y1, x2, y2 = boxes.round().astype(np.int64).T
    left = np.stack([x1, x2 - widths, x1, x1], axis=1)
    top = np.stack([y1 - height, y1 - height, y1, y2], axis=1)
    left = left.clip(0, np.maximum(0, w - widths)[:, None])
    top = top.clip(0, max(0, h - height))
    candidates = np.stack([left, top, left + widths[:, None], top + height], axis=2)  # (N, 4 places, 4)
    # Two rectangles are apart if one of these four numbers of the one is not below that of the other.
    begins = np.concatenate([candidates[..., :2], -candidates[..., 2:]], axis=2)
    ends = np.concatenate([candidates[..., 2:], -candidates[..., :2]], axis=2)
    places = np.zeros((len(boxes), 4), np.int64)
    taken = np.full((len(boxes), 4), -(h + w), np.int64)  # apart from every place
    for i in range(len(boxes)):
        free = np.logical_and.reduce(np.logical_or.reduce(begins[i][:, None] >= taken[:i], axis=2), axis=1)
        if free.any():
            first = free.argmax()
            places[i], taken[i] = candidates[i, first], ends[i, first]
    return places


def write(image: U8, text: str, at: tuple[int, int], colour: Colour, size: float) -> None:
    """Write a line of text with its lower left corner `at` (x, y)."""
    cv2.putText(image, text, at, _FONT, size, colour, 1, cv2.LINE_AA)


def _texts(detections: Detections, track_ids: I64, parts: Sequence[str]) -> list[str]:
    """The label of every person, "" without one."""
    texts = []
    for score, i in zip(detections.scores.tolist(), track_ids.tolist(), strict=True):
        words = [f"#{i}"] if "id" in parts and i >= 0 else []
        words += [f"{score:.2f}"] if "score" in parts else []
        texts.append(" ".join(words))
    return texts
