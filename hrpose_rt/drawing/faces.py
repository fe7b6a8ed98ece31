"""Blur the heads of people."""

import cv2
import numpy as np

from hrpose_rt.skeleton import Skeleton
from hrpose_rt.types import F32, I64, U8, Bools, Detections, Poses

BLURRED_PX = 5  # pixels that are left of a side of a blurred head
SURE_SCORE = 0.3  # lowest score of a joint that says where a head is
SURE_JOINTS = 3  # joints of a head that are enough to place it
_HEAD = frozenset(("nose", "eye", "ear", "head", "face", "mouth", "lip", "chin", "jaw"))
_SHOULDERS = frozenset(("left_shoulder", "right_shoulder"))

# Lengths that a head's half side is at least. They are generous: a joint is seldom at the edge of a head.
OF_SPREAD = 1.2  # of the distance between the joints that are farthest apart
OF_SHOULDERS = 0.5  # of the distance between the shoulders
OF_HEIGHT = 0.1  # of the height of the box; a standing person is seven to eight heads high
UPPER_PART = 1 / 3  # of a box: what is blurred if the joints do not say where the head is


def blur_faces(image: U8, detections: Detections, poses: Poses, skeleton: Skeleton) -> None:
    """Blur the head of every person in `image` (H, W, 3), in place.

    Where fewer than `SURE_JOINTS` joints of a head are sure, the upper third of the box is blurred, too. A
    person who is not among the detections stays visible.
    """
    h, w = image.shape[:2]
    areas = head_areas(detections, poses, skeleton).clip(0, np.array([w, h, w, h], np.float32))
    for x1, y1, x2, y2 in areas.round().astype(int).tolist():
        if x2 > x1 and y2 > y1:
            area, size_wh = image[y1:y2, x1:x2], (x2 - x1, y2 - y1)
            few_wh = min(BLURRED_PX, size_wh[0]), min(BLURRED_PX, size_wh[1])
            small = cv2.resize(area, few_wh, interpolation=cv2.INTER_AREA)
            area[:] = cv2.resize(small, size_wh, interpolation=cv2.INTER_LINEAR)


def head_areas(detections: Detections, poses: Poses, skeleton: Skeleton) -> F32:
    """Boxes (N, 4) xyxy around the heads of N people, in frame pixels.

    A box is a square around the sure joints of the head. Where they are too few, it reaches around the
    upper third of the person's box.
    """
    boxes = detections.boxes
    sure = (poses.scores >= SURE_SCORE) & (poses.age >= 0)[:, None]
    areas = boxes.copy()
    areas[:, 3] = boxes[:, 1] + UPPER_PART * (boxes[:, 3] - boxes[:, 1])
    head = _joints(skeleton, _HEAD)
    of_head = sure[:, head]
    some = of_head.any(axis=1)
    if not some.any():
        return areas
    low, high = _extent(poses.keypoints[some][:, head], of_head[some])
    half = np.maximum(OF_SPREAD * np.hypot(*(high - low).T), OF_HEIGHT * (boxes[some, 3] - boxes[some, 1]))
    half = np.maximum(half, OF_SHOULDERS * _shoulder_widths(poses.keypoints[some], sure[some], skeleton))
    centre = (low + high) / 2
    squares = np.concatenate([centre - half[:, None], centre + half[:, None]], axis=1)
    few = (of_head.sum(axis=1) < SURE_JOINTS)[some]
    both = np.concatenate(
        [np.minimum(squares[:, :2], areas[some, :2]), np.maximum(squares[:, 2:], areas[some, 2:])], axis=1
    )
    areas[some] = np.where(few[:, None], both, squares)
    return areas


def _extent(points: F32, chosen: Bools) -> tuple[F32, F32]:
    """The least and the greatest coordinates (N, 2) of the chosen (N, K) of points (N, K, 2)."""
    mask = chosen[:, :, None]
    low = np.where(mask, points, np.inf).min(axis=1)
    return low.astype(np.float32), np.where(mask, points, -np.inf).max(axis=1).astype(np.float32)


def _shoulder_widths(keypoints: F32, sure: Bools, skeleton: Skeleton) -> F32:
    """Distances (N,) between the shoulders; 0 where one of them is not sure."""
    pair = _joints(skeleton, _SHOULDERS)
    if len(pair) != 2:
        return np.zeros(len(keypoints), np.float32)
    widths = np.hypot(*(keypoints[:, pair[0]] - keypoints[:, pair[1]]).T)
    return np.asarray(np.where(sure[:, pair].all(axis=1), widths, 0), np.float32)


def _joints(skeleton: Skeleton, words: frozenset[str]) -> I64:
    """The indices of joints that have one of these words in their names."""
    found = [i for i, joint in enumerate(skeleton.joints) if words & {joint, *joint.split("_")}]
    return np.array(found, np.int64)
