"""Contact sheets: people with estimated poses beside the annotated joints."""

from collections.abc import Sequence

import cv2
import numpy as np

from hrpose_rt.drawing import draw_poses
from hrpose_rt.geometry import boxes_to_centre_size, crop_affines
from hrpose_rt.pose.crops import crop_people
from hrpose_rt.skeleton import Skeleton
from hrpose_rt.types import F32, U8, Bools, Detections, Poses

THUMBNAIL_HW = (256, 192)
SHEET_COLUMNS = 8
TRUTH = (255, 255, 255)  # BGR of the rings around labelled joints


def thumbnail(
    picture: U8,
    box: F32,
    keypoints: F32,
    scores: F32,
    truth: tuple[F32, Bools],
    skeleton: Skeleton,
    text: str,
) -> U8:
    """One person (*THUMBNAIL_HW, 3): the estimated skeleton, rings at the annotated joints, a line of text.

    Args:
        picture: (H, W, 3) BGR.
        box: (4,) xyxy.
        keypoints, scores: (K, 2) in image pixels, NaN where there is none, and (K,).
        truth: The joints (K, 2) and whether each is labelled (K,).
        skeleton: The joints' skeleton.
        text: Text above the crop.
    """
    centres, sizes = boxes_to_centre_size(box[None], THUMBNAIL_HW)
    out: U8 = crop_people(picture, centres, sizes, np.empty((1, *THUMBNAIL_HW, 3), np.uint8))[0]
    matrix = crop_affines(centres, sizes, THUMBNAIL_HW)[0]

    def moved(points: F32) -> F32:
        return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], np.float32)

    if np.isfinite(keypoints).all():
        whole = np.array([[0, 0, THUMBNAIL_HW[1], THUMBNAIL_HW[0]]], np.float32)
        poses = Poses.estimated(moved(keypoints)[None], scores[None])
        draw_poses(out, Detections.found(whole, np.ones(1, np.float32)), poses, skeleton)
    joints, labelled = truth
    for x, y in moved(joints)[labelled].round().astype(int).tolist():
        cv2.circle(out, (x, y), 4, TRUTH, 1, cv2.LINE_AA)
    cv2.rectangle(out, (0, 0), (THUMBNAIL_HW[1], 18), (0, 0, 0), cv2.FILLED)
    cv2.putText(out, text, (4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.42, TRUTH, 1, cv2.LINE_AA)
    return out


def contact_sheet(thumbnails: Sequence[U8]) -> U8:
    """Thumbnails in rows of `SHEET_COLUMNS`, the last row filled up with black."""
    columns = min(SHEET_COLUMNS, len(thumbnails))
    rows = -(-len(thumbnails) // columns)
    blank = [np.zeros_like(thumbnails[0])] * (rows * columns - len(thumbnails))
    grid: U8 = np.stack([*thumbnails, *blank]).reshape(rows, columns, *thumbnails[0].shape)
    whole: U8 = grid.swapaxes(1, 2).reshape(rows * len(thumbnails[0]), -1, 3)
    return whole
