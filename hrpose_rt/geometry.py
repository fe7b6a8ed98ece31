"""Boxes, and the maps between a frame, a network's input and its heatmaps. NumPy only.

Boxes are xyxy without a +1. Pixel centres are integers in crops and heatmaps. Networks are trained with
one of two conventions. "Classic", that of the original HRNet code, scales by sizes in pixels. UDP (Huang
et al., "The Devil Is in the Details", CVPR 2020) scales by the steps between the first and the last
pixel.
"""

import numpy as np

from hrpose_rt.types import F32, I64, Bools

MAX_COST = 1e6  # lap takes this for infinite
CROP_MARGIN = 1.25  # crop size by box size, as in the training of all HRNet weights


def xywh_to_xyxy(boxes: F32) -> F32:
    """Convert boxes (N, 4) from corner and size, as in COCO's files, to two corners."""
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def xyxy_to_xywh(boxes: F32) -> F32:
    """Convert boxes (N, 4) from two corners to corner and size."""
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def intersection(a: F32, b: F32) -> F32:
    """Areas (N, M) of the intersections of boxes `a` (N, 4) with boxes `b` (M, 4)."""
    # x and y come first in memory, too: NumPy is slow where the innermost axis is short.
    a, b = a.T.copy()[:, :, None], b.T.copy()[:, None]
    width, height = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0)
    return np.asarray(width * height)


def iou(a: F32, b: F32) -> F32:
    """Intersection over union (N, M) of every box of `a` (N, 4) with every box of `b` (M, 4).

    A box without area has an IoU of 0.
    """
    shared = intersection(a, b)
    area_a, area_b = (_product(np.maximum(boxes[:, 2:] - boxes[:, :2], 0)) for boxes in (a, b))
    union = area_a[:, None] + area_b - shared
    overlap: F32 = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlap


def _product(sides: F32) -> F32:
    """Width times height (...) of sides (..., 2); `prod` takes several times as long for a few boxes."""
    area: F32 = sides[..., 0] * sides[..., 1]
    return area


def nms(boxes: F32, scores: F32, threshold: float) -> I64:
    """Indices of the boxes (N, 4) that greedy suppression keeps, best score (N,) first.

    A box is removed if its IoU with a better box that stays is above `threshold`.
    """
    return greedy_nms(iou(boxes, boxes) > threshold, scores)


def vote(boxes: F32, scores: F32, kept: I64, min_iou: float) -> F32:
    """The boxes (K, 4) of the rows `kept` (K,), each averaged with the boxes (N, 4) that nearly cover it.

    These have an IoU of at least `min_iou` with it and are weighted by their scores (N,). Source: box
    voting, S. Gidaris and N. Komodakis, ICCV 2015.
    """
    weights = (iou(boxes[kept], boxes) >= min_iou) * np.maximum(scores, np.finfo(np.float32).tiny)
    return np.asarray(weights @ boxes / weights.sum(axis=1, keepdims=True), np.float32)


def centres(boxes: F32) -> F32:
    """Centres (N, 2) of boxes (N, 4)."""
    return np.asarray((boxes[:, :2] + boxes[:, 2:]) / 2, np.float32)


def assign(cost: F32) -> tuple[I64, I64]:
    """Rows and columns of a cost matrix (N, M), paired one to one at the lowest total cost.

    These are min(N, M) pairs, by row. The same matrix always gives the same pairs, also if several choices
    have the lowest total. Source: R. Jonker and A. Volgenant, Computing 38 (1987), LAPJV.

    Raises:
        ValueError: A cost is not a number between plus and minus `MAX_COST`.
    """
    from lap import lapjv

    if not (np.abs(cost) < MAX_COST).all():  # also catches NaN
        raise ValueError(f"costs are numbers between plus and minus {MAX_COST:.0f}")
    if not cost.size:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    column_of, _ = lapjv(cost, extend_cost=True, return_cost=False)
    rows = np.flatnonzero(column_of >= 0)
    return rows, column_of[rows].astype(np.int64)


def greedy_nms(overlapping: Bools, scores: F32) -> I64:
    """Indices, best score (N,) first, of the items that do not overlap (N, N) a better one that stays."""
    left = np.argsort(-scores, kind="stable")
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        left = left[~overlapping[best, left]]
    return np.array(kept, np.int64)


def boxes_to_centre_size(boxes: F32, input_hw: tuple[int, int]) -> tuple[F32, F32]:
    """Centres (N, 2) and sizes (N, 2), x before y, of the crops around the boxes (N, 4).

    A crop is the box widened to the input's aspect ratio, then enlarged by `CROP_MARGIN`.
    """
    centres: F32 = (boxes[:, :2] + boxes[:, 2:]) * np.float32(0.5)
    w, h = (boxes[:, 2:] - boxes[:, :2]).T
    aspect = np.float32(input_hw[1] / input_hw[0])
    w = np.maximum(w, h * aspect)
    return centres, np.stack([w, w / aspect], axis=1) * np.float32(CROP_MARGIN)


def crop_affines(centres: F32, sizes: F32, input_hw: tuple[int, int], udp: bool = False) -> F32:
    """Affine maps (N, 2, 3) from frame pixels to the pixels of crops of `input_hw`."""
    steps = _steps(input_hw, udp)
    scale = steps / sizes
    maps = np.zeros((len(centres), 2, 3), np.float32)
    maps[:, 0, 0], maps[:, 1, 1] = scale.T
    maps[:, :, 2] = steps / 2 - centres * scale
    return maps


def heatmap_to_frame(
    xy: F32, centres: F32, sizes: F32, heatmap_hw: tuple[int, int], udp: bool = False
) -> F32:
    """Convert points (N, K, 2) from heatmap pixels to frame pixels."""
    scale = sizes / _steps(heatmap_hw, udp)
    return np.asarray((centres - sizes / 2)[:, None] + xy * scale[:, None], np.float32)


def input_to_heatmap(xy: F32, input_hw: tuple[int, int], heatmap_hw: tuple[int, int], udp: bool) -> F32:
    """Convert points (..., 2) from a crop's pixels to its heatmaps' pixels."""
    return np.asarray(xy * (_steps(heatmap_hw, udp) / _steps(input_hw, udp)), np.float32)


def oks(keypoints: F32, others: F32, counted: Bools, areas: F32, sigmas: F32) -> F32:
    """Object keypoint similarity (N,), in 0..1, of each pose (N, K, 2) with the same row of `others`.

    Args:
        keypoints, others: Points in the same pixels.
        counted: (N, K) which joints count; the similarity of a person without any is 0.
        areas: (N,) areas of the people, square pixels.
        sigmas: (K,) annotation spreads of the joints.
    """
    similar = oks_terms(keypoints, others, areas, sigmas) * counted
    return np.asarray(similar.sum(axis=1) / np.maximum(counted.sum(axis=1), 1), np.float32)


def oks_nms(keypoints: F32, scores: F32, areas: F32, sigmas: F32, threshold: float) -> I64:
    """Indices of the poses (N, K, 2) that greedy suppression by OKS keeps, best score (N,) first.

    The OKS of two poses uses the mean of their areas (N,), and all joints count. Source: the original's
    evaluation.
    """
    pairs = np.asarray((areas[:, None] + areas[None]) / 2, np.float32)
    overlaps = oks_terms(keypoints[:, None], keypoints[None], pairs, sigmas).mean(axis=2)
    return greedy_nms(overlaps > threshold, scores)


def oks_terms(keypoints: F32, others: F32, areas: F32, sigmas: F32) -> F32:
    """The per-joint terms (..., K) of OKS, for points (..., K, 2) and areas (...); OKS is their mean.

    Source: COCO's keypoint evaluation, exp(-d^2 / (2 area (2 sigma)^2)).
    """
    squared = ((keypoints - others) ** 2).sum(axis=-1)
    spread = 2 * (2 * sigmas) ** 2 * (areas[..., None] + np.spacing(1))
    return np.asarray(np.exp(-squared / spread), np.float32)


def _steps(size_hw: tuple[int, int], udp: bool) -> F32:
    """Width and height in the convention: pixels, or the steps between pixels with UDP."""
    return np.array(size_hw[::-1], np.float32) - np.float32(udp)
