"""What somebody looks like, in a few numbers: enough to tell people apart, not to know them elsewhere."""

import cv2
import numpy as np

from hrpose_rt.types import F32, U8

BANDS = 6  # from head to feet
LEVELS = 16  # of lightness and of the two colours of CIE Lab
COLOURS = (64, 192)  # of 0..255, between which clothes lie
ROWS, COLUMNS = 24, 10  # pixels looked at
LENGTH = BANDS * 3 * LEVELS  # numbers
INSIDE = 0.6  # of the box's width; the rest is background
ALIKE, UNALIKE = 0.98, 1.03  # the same person hardly ever looks more alike; 1 and a margin


def looks(image: U8, boxes: F32) -> F32:
    """Colour histograms (N, D) of the people in boxes (N, 4), band by band, each of length 1.

    Square roots are taken, so that the inner product of two is their Bhattacharyya coefficient; a pixel
    counts for the two levels it lies between, so that a little more light changes little.

    Args:
        image: (H, W, 3) uint8 BGR.
        boxes: xyxy pixels.
    """
    n, (h, w) = len(boxes), image.shape[:2]
    if not n:
        return np.zeros((0, LENGTH), np.float32)
    down, across = ((np.arange(count) + 0.5) / count for count in (ROWS, COLUMNS))
    across = 0.5 + INSIDE * (across - 0.5)
    y = boxes[:, 1:2] + (boxes[:, 3:4] - boxes[:, 1:2]) * down  # (N, ROWS)
    x = boxes[:, 0:1] + (boxes[:, 2:3] - boxes[:, 0:1]) * across  # (N, COLUMNS)
    rows, columns = y.clip(0, h - 1).astype(np.int64), x.clip(0, w - 1).astype(np.int64)
    pixels = image[rows[:, :, None], columns[:, None, :]]  # (N, ROWS, COLUMNS, 3)
    lab = cv2.cvtColor(pixels.reshape(1, -1, 3), cv2.COLOR_BGR2LAB).reshape(pixels.shape)
    level = lab.astype(np.float32) / 255
    low, high = (side / 255 for side in COLOURS)
    level[..., 1:] = ((level[..., 1:] - low) / (high - low)).clip(0, 1)
    level *= LEVELS - 1
    below = level.astype(np.int64).clip(0, LEVELS - 2)
    above = level - below  # how far a pixel is on its way to the next level
    band = (np.arange(ROWS) * BANDS // ROWS)[None, :, None, None]
    place = ((np.arange(n)[:, None, None, None] * BANDS + band) * 3 + np.arange(3)) * LEVELS + below
    counts = np.bincount(place.ravel(), (1 - above).ravel(), minlength=n * LENGTH)
    counts += np.bincount(place.ravel() + 1, above.ravel(), minlength=n * LENGTH)
    return np.asarray(np.sqrt(counts.reshape(n, -1) / (ROWS * COLUMNS * 3)), np.float32)


def unlike(alike: F32) -> F32:
    """How little people look like each other, whose `looks` have inner products `alike`: a logarithm."""
    return np.asarray(np.log(UNALIKE - alike.clip(0, ALIKE)), np.float32)
