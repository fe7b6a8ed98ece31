"""People cut out of photos along their outline, for composed scenes."""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from hrpose_rt.geometry import iou
from hrpose_rt.networks import Networks
from hrpose_rt.timing import StageClock
from hrpose_rt.types import F32, U8, Detections, Poses

CUTOUT_MIN_BOX_SCORE = 0.45  # lowest score of a person who is cut out
CUTOUT_MIN_KEYPOINT_SCORE = 0.35  # lowest score of a keypoint that is certain foreground
CUTOUT_MIN_HEIGHT_PX = 120  # lowest height in the photo
SHARP = 0.5  # lowest height of a person, as a share of the tallest person's
ISOLATED_IOU = 0.15  # highest IoU with another box, so that the cut-out holds no limbs of another person
MARGIN = 0.08  # margin around the box, as a share of its height
FILLED = (0.2, 0.8)  # share of the box that the outline fills; outside this range the cut went wrong
CUT_ROUNDS = 4
SOFT = 0.006  # width of the outline's fade, as a share of the height
MAX_HEIGHT_PX = 480  # larger cut-outs are scaled down to this height


@dataclass(frozen=True, slots=True)
class Cutout:
    """A person without the background.

    Attributes:
        image: (H, W, 3) uint8 BGR; black outside the person.
        alpha: (H, W) float32 opacity of each pixel, in 0..1.
    """

    image: U8
    alpha: F32


def cut_out(photos: Iterable[U8], networks: Networks, limit: int = 200) -> list[Cutout]:
    """The people in photos (H, W, 3) BGR that can be cut out well, at most `limit` of them.

    A cut-out is kept only if the detector finds it on a grey background. If the detector misses it in a
    composed scene, the scene is the cause.
    """
    cutouts: list[Cutout] = []
    for photo in photos:
        people = networks.detector.detect(photo, StageClock())
        poses = networks.estimator.estimate(photo, people.boxes, StageClock())
        for i in _worth_it(people):
            cutout = _cut(photo, people, poses, i, networks.skeleton.edges)
            if cutout and _detected_alone(cutout, networks):
                cutouts.append(cutout)
        if len(cutouts) >= limit:
            break
    return cutouts[:limit]


def _worth_it(people: Detections) -> list[int]:
    """Rows of the people that are tall enough, score well and overlap no better one; best first.

    A person much smaller than the tallest is in the photo's background and out of focus.
    """
    chosen: list[int] = []
    overlaps = iou(people.boxes, people.boxes)
    heights = people.boxes[:, 3] - people.boxes[:, 1]
    for i in range(len(people)):
        tall = heights[i] >= max(CUTOUT_MIN_HEIGHT_PX, SHARP * heights.max())
        if (
            tall
            and people.scores[i] >= CUTOUT_MIN_BOX_SCORE
            and overlaps[i, chosen].max(initial=0) <= ISOLATED_IOU
        ):
            chosen.append(i)
    return chosen


def _cut(
    photo: U8, people: Detections, poses: Poses, person: int, edges: tuple[tuple[int, int], ...]
) -> Cutout | None:
    """Find the outline with GrabCut (Rother et al., SIGGRAPH 2004); the skeleton is certain foreground."""
    x1, y1, x2, y2 = people.boxes[person]
    around = MARGIN * (y2 - y1)
    h, w = photo.shape[:2]
    left, top = max(0, int(x1 - around)), max(0, int(y1 - around))
    right, bottom = min(w, int(x2 + around) + 1), min(h, int(y2 + around) + 1)
    crop = np.ascontiguousarray(photo[top:bottom, left:right])
    scale = min(1.0, MAX_HEIGHT_PX / crop.shape[0])
    crop = np.asarray(cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)

    def in_crop(points: F32) -> list[list[int]]:
        pixels: list[list[int]] = ((points - (left, top)) * scale).round().astype(int).tolist()
        return pixels

    mask = np.full(crop.shape[:2], cv2.GC_BGD, np.uint8)
    (bx1, by1), (bx2, by2) = in_crop(people.boxes[person].reshape(2, 2))
    mask[max(by1, 0) : by2, max(bx1, 0) : bx2] = cv2.GC_PR_FGD
    keypoints = in_crop(poses.keypoints[person])
    confident = poses.scores[person] >= CUTOUT_MIN_KEYPOINT_SCORE
    limb = max(2, round(0.02 * (by2 - by1)))
    for a, b in edges:
        if confident[a] and confident[b]:
            cv2.line(mask, keypoints[a], keypoints[b], cv2.GC_FGD, limb)
    if not (mask == cv2.GC_FGD).any():
        return None
    cv2.setRNGSeed(0)
    cv2.grabCut(crop, mask, None, np.zeros((1, 65)), np.zeros((1, 65)), CUT_ROUNDS, cv2.GC_INIT_WITH_MASK)
    person_mask = _largest_part(np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8))
    if not FILLED[0] <= person_mask.sum() / max(1, (bx2 - bx1) * (by2 - by1)) <= FILLED[1]:
        return None
    soft = cv2.GaussianBlur(person_mask.astype(np.float32), (0, 0), max(0.8, SOFT * crop.shape[0]))
    rows, columns = np.flatnonzero(soft.max(axis=1) > 0.5), np.flatnonzero(soft.max(axis=0) > 0.5)
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    alpha = np.asarray(np.where(soft[box] > 0.02, soft[box], 0), np.float32)
    return Cutout(np.where(alpha[..., None] > 0, crop[box], 0).astype(np.uint8), alpha)


def _largest_part(mask: U8) -> U8:
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask)
    if count < 2:
        return mask
    return np.asarray(parts == 1 + stats[1:, cv2.CC_STAT_AREA].argmax(), np.uint8)


def _detected_alone(cutout: Cutout, networks: Networks) -> bool:
    h, w = cutout.alpha.shape
    canvas = np.full((2 * h, 3 * h, 3), 128, np.uint8)
    top, left = h // 2, (3 * h - w) // 2
    if left < 0:
        return False  # a lying person is wider than the canvas
    region = canvas[top : top + h, left : left + w]
    region[:] = cutout.alpha[..., None] * cutout.image + (1 - cutout.alpha[..., None]) * region
    boxes = networks.detector.detect(canvas, StageClock()).boxes
    truth = np.array([[left, top, left + w, top + h]], np.float32)
    return bool(len(boxes) and iou(boxes, truth).max() >= 0.7)
