"""Duplicate tracks of one person: they are found by box and pose, and the better one stays."""

import numpy as np

from hrpose_rt.geometry import iou, oks_terms
from hrpose_rt.tracking.tracks import Tracks
from hrpose_rt.types import F32, Bools, Origin

DUPLICATE_IOU, DUPLICATE_OKS = 0.5, 0.85  # two tracks above both are one person


def duplicates(tracks: Tracks, sigmas: F32) -> Bools:
    """Find duplicates (N,) to remove. The detected one of a pair stays, else the one with the older id.

    Args:
        tracks: Tracks posed on this frame or before. A track without a pose is never a duplicate.
        sigmas: (K,) annotation spreads of the joints.
    """
    removed = np.zeros(len(tracks.track_ids), np.bool_)
    if len(removed) < 2:
        return removed
    a, b = np.nonzero(iou(tracks.box, tracks.box) > DUPLICATE_IOU)
    pairs = a < b
    if not pairs.any():
        return removed
    pairs &= (tracks.pose_age[a] >= 0) & (tracks.pose_age[b] >= 0)
    a, b = a[pairs], b[pairs]
    areas = (tracks.heights[a] * (tracks.box[a, 2] - tracks.box[a, 0])).astype(np.float32)
    similarity = oks_terms(tracks.keypoints[a], tracks.keypoints[b], areas, sigmas).mean(axis=1)
    a, b = a[similarity > DUPLICATE_OKS], b[similarity > DUPLICATE_OKS]

    def rank(row: int) -> tuple[bool, bool, int]:  # the smaller one stays
        track_id = int(tracks.track_ids[row])
        return tracks.origin[row] != Origin.DETECTED, track_id < 0, track_id

    for i, j in zip(a.tolist(), b.tolist(), strict=True):
        if not removed[i] and not removed[j]:
            removed[max(i, j, key=rank)] = True
    return removed
