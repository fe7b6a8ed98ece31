"""Recall of a detector at its running score threshold, by person size and by people per image."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from hrpose_rt.evaluation.coco import Result
from hrpose_rt.geometry import intersection, iou, xywh_to_xyxy
from hrpose_rt.timing import CROWD_BINS, crowd_bin
from hrpose_rt.types import F32, Bools

EVAL_MATCH_IOU = 0.5
SIZES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, np.inf)}  # COCO's areas


@dataclass(frozen=True, slots=True)
class DetectionMatches:
    """A detector's matches on the people of a data set.

    Attributes:
        areas: (P,) square pixels of each person.
        crowds: (P,) `CROWD_BINS` bin of each person's image.
        detected: (P,) whether a box overlaps the person by `EVAL_MATCH_IOU` or more.
        correct, false: Number of boxes with and without a person.
    """

    areas: F32
    crowds: list[str]
    detected: Bools
    correct: int
    false: int

    def recalls(self) -> dict[str, tuple[int, float]]:
        """People and recall: overall, by size, by people in the image; empty groups are left out."""
        crowds = np.array(self.crowds)
        groups = {"all": np.ones(len(self.detected), np.bool_)}
        groups |= {name: (self.areas >= low) & (self.areas < high) for name, (low, high) in SIZES.items()}
        groups |= {f"{name} in the image": crowds == name for name in CROWD_BINS}
        return {
            name: (int(group.sum()), float(self.detected[group].mean()))
            for name, group in groups.items()
            if group.any()
        }

    @property
    def precision(self) -> float:
        """Share of boxes that match a person."""
        return self.correct / max(self.correct + self.false, 1)


def match_boxes(annotations: Any, results: list[Result], min_score: float) -> DetectionMatches:
    """Match boxes to people, best score first; boxes in a crowd region are neither correct nor false."""
    by_image: dict[int, list[Result]] = {}
    for result in results:
        if result["score"] >= min_score:
            by_image.setdefault(result["image_id"], []).append(result)
    areas, crowds, detected, correct, false = [], [], [], 0, 0
    for image_id in annotations.getImgIds():
        persons = annotations.loadAnns(annotations.getAnnIds(image_id))
        single = [p for p in persons if not p["iscrowd"]]
        regions = _xyxy([p["bbox"] for p in persons if p["iscrowd"]])
        detections = sorted(by_image.get(image_id, []), key=lambda r: -r["score"])
        boxes = _xyxy([r["bbox"] for r in detections])
        overlap = iou(boxes, _xyxy([p["bbox"] for p in single]))
        matched = np.zeros(len(single), np.bool_)
        inside = _share_inside(boxes, regions)
        for row, is_inside in zip(overlap, inside, strict=True):
            unmatched_iou = np.where(matched, 0, row)
            if len(unmatched_iou) and unmatched_iou.max() >= EVAL_MATCH_IOU:
                matched[unmatched_iou.argmax()] = True
                correct += 1
            elif not is_inside:
                false += 1
        areas += [p["area"] for p in single]
        crowds += [crowd_bin(len(single))] * len(single)
        detected += matched.tolist()
    return DetectionMatches(
        np.array(areas, np.float32), crowds, np.array(detected, np.bool_), correct, false
    )


def _xyxy(boxes: list[list[float]]) -> F32:
    xywh = np.array(boxes, np.float32).reshape(-1, 4)
    return xywh_to_xyxy(xywh)


def _share_inside(boxes: F32, regions: F32) -> Bools:
    """Whether at least half of each box (N, 4) lies in one of the regions (M, 4): (N,)."""
    shared = intersection(boxes, regions)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return np.asarray((shared >= area[:, None] / 2).any(axis=1))
