"""Detect people with an Ultralytics network."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hrpose_rt.detection.letterbox import Letterbox
from hrpose_rt.detection.tiling import Region, merge_tiles, not_cut
from hrpose_rt.errors import BadInput
from hrpose_rt.geometry import iou, nms, vote
from hrpose_rt.nets.spec import check_finite
from hrpose_rt.runtimes.base import Runtime, infer_in_parts
from hrpose_rt.timing import StageClock
from hrpose_rt.types import F32, I64, U8, Detections

YOLO_PERSON = 0  # COCO's first class, and the only one of a person detector
NMS_IOU = 0.6
VOTE_IOU = 0.75  # lowest IoU of a kept box and a suppressed one that are averaged
SAME_PERSON_IOU = 0.5  # lowest IoU of a box in a tile and one in the whole frame that are the same person
MIN_SIDE_PX = 4.0  # pixels of the frame; smaller boxes are too small for a pose
MAX_CANDIDATES = 1000  # most boxes that enter the NMS, best first
MAX_BATCH = 10  # most images at once: a frame and the tiles of `auto`; each size costs warm-up and memory


@dataclass(frozen=True, slots=True)
class DetectionFilter:
    """Tells which boxes of a detector are kept.

    Attributes:
        min_score: Boxes below this score are left out, in 0..1.
        max_people: Keep at most this many, best score first; 0 keeps all.
        classes: Numbers of the classes to keep; a box counts for its best class.
    """

    min_score: float
    max_people: int = 0
    classes: tuple[int, ...] = (YOLO_PERSON,)


class YoloDetector:
    """An Ultralytics detector with its classic or its NMS-free head.

    Args:
        runtime: The opened network.
        inputs_hw: Input sizes the network takes. Each frame uses the one in which it is largest, and among
            equals the cheapest.
        kept: Tells which boxes are kept.
        model: Name of the network in messages.
        flip_test: Also search the mirrored frame: twice the cost, slightly more accurate.
    """

    def __init__(
        self,
        runtime: Runtime,
        inputs_hw: tuple[tuple[int, int], ...],
        kept: DetectionFilter,
        model: str = "the detector",
        flip_test: bool = False,
    ) -> None:
        self._runtime, self._model, self._flip_test = runtime, model, flip_test
        self._inputs_hw, self._kept = inputs_hw, kept
        self._max_people = kept.max_people or None
        self._canvases: dict[tuple[int, int, int], U8] = {}
        # Only for the last frame size: a folder of images may have thousands of sizes.
        self._frame_hw, self._input_hw = (0, 0), (0, 0)
        self._letterboxes: dict[tuple[int, int], Letterbox] = {}  # by height and width of a region

    def warm_up(self, frame_hw: tuple[int, int], max_tiles: int = 0) -> None:
        """See `Detector.warm_up`."""
        input_hw = self.input_hw_for(frame_hw)
        fewest = 1 + self._flip_test
        sizes = range(fewest, min(fewest + max_tiles, MAX_BATCH) + 1)
        self._runtime.warm_up([(size, *input_hw, 3) for size in sizes])

    def input_hw_for(self, frame_hw: tuple[int, int]) -> tuple[int, int]:
        """See `Detector.input_hw_for`."""

        def largest_then_cheapest(hw: tuple[int, int]) -> tuple[int, int]:
            w, h = Letterbox.fit(frame_hw, hw).size_wh
            return w * h, -hw[0] * hw[1]

        if frame_hw != self._frame_hw:
            self._input_hw = max(self._inputs_hw, key=largest_then_cheapest)
            self._frame_hw, self._letterboxes = frame_hw, {}
        return self._input_hw

    def _letterbox(self, region: Region) -> Letterbox:
        """The letterbox of a region; `input_hw_for` must have been called for this frame size."""
        x1, y1, x2, y2 = region
        size_hw = (y2 - y1, x2 - x1)
        if size_hw not in self._letterboxes:
            self._letterboxes[size_hw] = Letterbox.fit(size_hw, self._input_hw)
        return self._letterboxes[size_hw]

    def detect(self, image: U8, clock: StageClock, tiles: Sequence[Region] = ()) -> Detections:
        """See `Detector.detect`."""
        frame_hw = (image.shape[0], image.shape[1])
        regions = [(0, 0, frame_hw[1], frame_hw[0]), *tiles]
        with clock.stage("letterbox"):
            input_hw = self.input_hw_for(frame_hw)
            batch = self._batch((len(regions) + self._flip_test, *input_hw))
            for canvas, (x1, y1, x2, y2) in zip(batch, regions, strict=False):
                self._letterbox((x1, y1, x2, y2)).fill(canvas, image[y1:y2, x1:x2])
            if self._flip_test:
                batch[-1] = batch[0, :, ::-1]
        with clock.stage("detect"):
            output = infer_in_parts(self._runtime.infer, batch, MAX_BATCH)
            return self._decode(output, regions, frame_hw)

    def _decode(self, output: F32, regions: Sequence[Region], frame_hw: tuple[int, int]) -> Detections:
        """The people in the output for the frame, its tiles and, in a flip test, the mirrored frame."""
        if output.ndim != 3 or (output.shape[2] != 6 and output.shape[1] < 5):
            raise BadInput(
                f"{self._model} gives {output.shape}, which no detector does: boxes are (1, N, 6) or "
                "(1, 4 + classes, N)"
            )
        check_finite(output, self._model)
        parts = []
        for i, region in enumerate(regions):
            boxes, scores = decode_boxes(output[i : i + 1], self._kept)
            boxes = self._letterbox(region).to_frame(boxes) + np.array(region[:2] * 2, np.float32)
            uncut = not_cut(boxes, region, frame_hw) if i else np.ones(len(boxes), np.bool_)
            parts.append((boxes[uncut], scores[uncut], np.full(int(uncut.sum()), i)))
        if self._flip_test:
            boxes, scores = decode_boxes(output[-1:], self._kept)
            boxes[:, [0, 2]] = self._input_hw[1] - boxes[:, [2, 0]]
            parts.append(
                (self._letterbox(regions[0]).to_frame(boxes), scores, np.zeros(len(boxes), np.int64))
            )
        boxes, scores, source = (np.concatenate(part) for part in zip(*parts, strict=True))
        return self._filter(boxes, scores, source, frame_hw)

    def _batch(self, shape: tuple[int, int, int]) -> U8:
        if shape not in self._canvases:
            self._canvases[shape] = np.empty((*shape, 3), np.uint8)
        return self._canvases[shape]

    def _filter(self, boxes: F32, scores: F32, source: I64, frame_hw: tuple[int, int]) -> Detections:
        h, w = frame_hw
        boxes = boxes.clip(0, np.array([w, h, w, h], np.float32))
        smallest = min(MIN_SIDE_PX, h, w)  # one person may fill a tiny image
        large = ((boxes[:, 2:] - boxes[:, :2]) >= smallest).all(axis=1)
        boxes, scores = boxes[large], scores[large]
        source = source[large]
        if not source.any():  # without boxes from tiles there is nothing to merge
            best, added = nms(boxes, scores, NMS_IOU)[: self._max_people], 0
        else:
            best = merge_tiles(boxes, scores, source, NMS_IOU)[: self._max_people]
            again = iou(boxes[best], boxes[source == 0]) > SAME_PERSON_IOU
            added = int(((source[best] > 0) & ~again.any(axis=1)).sum())
        return Detections.found(vote(boxes, scores, best, VOTE_IOU), scores[best], added)

    def close(self) -> None:
        """Close the runtime."""
        self._runtime.close()

    def __enter__(self) -> "YoloDetector":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def decode_boxes(output: F32, kept: DetectionFilter) -> tuple[F32, F32]:
    """The boxes (N, 4) in a detector's output, xyxy in input pixels, and their scores (N,).

    Args:
        output: (1, N, 6) from an NMS-free head (xyxy, score, class), or (1, 4 + classes, anchors) from a
            classic head (centre, size, class scores). Boxes of a classic head still overlap.
        kept: Tells which boxes are kept; all of these people, however many.

    Raises:
        BadInput: A classic head has no such class.
    """
    rows = output[0]
    if rows.shape[1] == 6:
        rows = rows[(rows[:, 4] >= kept.min_score) & np.isin(rows[:, 5], kept.classes)]
        boxes, scores = rows[:, :4].copy(), rows[:, 4].copy()
    else:
        candidates, scores = _best_in_classes(rows[4:], kept)
        centre, size = rows[:2, candidates].T, rows[2:4, candidates].T
        boxes = np.concatenate([centre - size / 2, centre + size / 2], axis=1)
    if len(scores) > MAX_CANDIDATES:
        best = np.argsort(-scores, kind="stable")[:MAX_CANDIDATES]
        boxes, scores = boxes[best], scores[best]
    return boxes, scores


def _best_in_classes(class_scores: F32, kept: DetectionFilter) -> tuple[I64, F32]:
    """The anchors (M,) whose best of all classes (C, A) is kept, and their scores (M,)."""
    classes = np.array(kept.classes)
    if classes.max() >= len(class_scores):
        raise BadInput(
            f"`classes` has {classes.max()}, and this detector's go from 0 to {len(class_scores) - 1}"
        )
    scores = class_scores[classes].max(axis=0)
    candidates = np.flatnonzero(scores >= kept.min_score)
    if len(class_scores) > len(classes):
        best = class_scores[:, candidates].argmax(axis=0)
        candidates = candidates[np.isin(best, classes)]
    return candidates, scores[candidates]
