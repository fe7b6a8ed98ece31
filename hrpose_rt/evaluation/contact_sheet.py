"""Contact sheets: people with estimated poses beside the annotated joints."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from hrpose_rt.drawing.people import draw_poses
from hrpose_rt.evaluation.per_joint import MatchedPerson
from hrpose_rt.geometry import boxes_to_centre_size, crop_affines
from hrpose_rt.pose.crops import crop_people
from hrpose_rt.skeleton import Skeleton
from hrpose_rt.types import F32, U8, Detections, Poses

THUMBNAIL_HW = (256, 192)
SHEET_COLUMNS = 8
TRUTH = (255, 255, 255)  # BGR of the rings around labelled joints


def thumbnail(image: U8, person: MatchedPerson, skeleton: Skeleton, text: str) -> U8:
    """One person (*THUMBNAIL_HW, 3): the estimated skeleton, rings at the annotated joints, a line of text.

    Args:
        image: (H, W, 3) BGR.
        person: The person, in image pixels.
        skeleton: The joints' skeleton.
        text: Text above the crop.
    """
    centres, sizes = boxes_to_centre_size(person.box[None], THUMBNAIL_HW)
    out: U8 = crop_people(image, centres, sizes, np.empty((1, *THUMBNAIL_HW, 3), np.uint8))[0]
    matrix = crop_affines(centres, sizes, THUMBNAIL_HW)[0]

    def in_crop(points: F32) -> F32:
        return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], np.float32)

    if np.isfinite(person.keypoints).all():
        box = np.array([[0, 0, THUMBNAIL_HW[1], THUMBNAIL_HW[0]]], np.float32)
        poses = Poses.estimated(in_crop(person.keypoints)[None], person.scores[None])
        draw_poses(out, Detections.found(box, np.ones(1, np.float32)), poses, skeleton)
    for x, y in in_crop(person.joints)[person.labelled].round().astype(int).tolist():
        cv2.circle(out, (x, y), 4, TRUTH, 1, cv2.LINE_AA)
    cv2.rectangle(out, (0, 0), (THUMBNAIL_HW[1], 18), (0, 0, 0), cv2.FILLED)
    cv2.putText(out, text, (4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.42, TRUTH, 1, cv2.LINE_AA)
    return out


def save_contact_sheet(path: Path, thumbnails: Sequence[U8]) -> None:
    """Write a contact sheet as PNG, under a name of any encoding, on which OpenCV's own writer crashes."""
    path.write_bytes(cv2.imencode(".png", contact_sheet(thumbnails))[1].tobytes())


def contact_sheet(thumbnails: Sequence[U8]) -> U8:
    """Thumbnails in rows of `SHEET_COLUMNS`, the last row filled up with black."""
    columns = min(SHEET_COLUMNS, len(thumbnails))
    rows = -(-len(thumbnails) // columns)
    blank = [np.zeros_like(thumbnails[0])] * (rows * columns - len(thumbnails))
    grid: U8 = np.stack([*thumbnails, *blank]).reshape(rows, columns, *thumbnails[0].shape)
    sheet: U8 = grid.swapaxes(1, 2).reshape(rows * len(thumbnails[0]), -1, 3)
    return sheet
