"""Appearance of a person as colour histograms: enough to tell people of one scene apart."""

import cv2
import numpy as np

from hrpose_rt.types import F32, F64, I64, U8

BANDS = 6  # horizontal bands from head to feet, a histogram each
BINS = 16  # per channel: lightness and the two colours of CIE Lab
COLOUR_RANGE = (64, 192)  # of 0..255; the colours of clothes lie inside it
GRID_ROWS, GRID_COLUMNS = 24, 10  # pixels sampled in a box
WIDTH_SHARE = 0.6  # share of the box's width that is sampled; the rest is background
DESCRIPTOR_SIZE = BANDS * 3 * BINS
MAX_SIMILARITY = 0.98  # two detections of one person are hardly ever more similar
DISTANCE_OFFSET = 1.03  # keeps the logarithm finite: a similarity of 1, and a margin


def _soft_bins() -> tuple[I64, F64]:
    """The lower bin (768,) and the weight (768,) of the upper one, for 256 values of each Lab channel."""
    level = np.tile(np.arange(256, dtype=np.float32) / 255, (3, 1))
    low, high = (side / 255 for side in COLOUR_RANGE)
    level[1:] = ((level[1:] - low) / (high - low)).clip(0, 1)
    level *= BINS - 1
    lower = level.astype(np.int64).clip(0, BINS - 2)
    return lower.ravel(), (level - lower).ravel()


LOWER_BIN, UPPER_WEIGHT = _soft_bins()
CHANNEL_START = np.arange(3) * 256  # of a channel in these tables
# Where the pixels of a box lie, in 0..1 of its height and width.
DOWN = (np.arange(GRID_ROWS) + 0.5) / GRID_ROWS
ACROSS = 0.5 + WIDTH_SHARE * ((np.arange(GRID_COLUMNS) + 0.5) / GRID_COLUMNS - 0.5)
# First bin of a row's band and of a channel in the descriptor: (GRID_ROWS, 1, 3).
FIRST_BIN = ((np.arange(GRID_ROWS) * BANDS // GRID_ROWS)[:, None, None] * 3 + np.arange(3)) * BINS


def colour_histograms(image: U8, boxes: F32) -> F32:
    """Colour histograms (N, D) of the people in boxes (N, 4), each of length 1.

    They hold square roots, so the inner product of two is their Bhattacharyya coefficient. A pixel counts
    for the two bins it lies between, so a small change of light has little effect.

    Args:
        image: (H, W, 3) uint8 BGR.
        boxes: xyxy pixels.
    """
    n, (h, w) = len(boxes), image.shape[:2]
    if not n:
        return np.zeros((0, DESCRIPTOR_SIZE), np.float32)
    y = boxes[:, 1:2] + (boxes[:, 3:4] - boxes[:, 1:2]) * DOWN  # (N, GRID_ROWS)
    x = boxes[:, 0:1] + (boxes[:, 2:3] - boxes[:, 0:1]) * ACROSS  # (N, GRID_COLUMNS)
    rows, columns = y.clip(0, h - 1).astype(np.int64), x.clip(0, w - 1).astype(np.int64)
    pixels = image[rows[:, :, None], columns[:, None, :]]  # (N, GRID_ROWS, GRID_COLUMNS, 3)
    lab = cv2.cvtColor(pixels.reshape(1, -1, 3), cv2.COLOR_BGR2LAB).reshape(pixels.shape)
    value = lab + CHANNEL_START
    first_bin = FIRST_BIN + np.arange(n)[:, None, None, None] * DESCRIPTOR_SIZE
    index, upper = (first_bin + LOWER_BIN[value]).ravel(), UPPER_WEIGHT[value].ravel()
    counts = np.bincount(index, 1 - upper, minlength=n * DESCRIPTOR_SIZE)
    counts += np.bincount(index + 1, upper, minlength=n * DESCRIPTOR_SIZE)
    return np.asarray(np.sqrt(counts.reshape(n, -1) / (GRID_ROWS * GRID_COLUMNS * 3)), np.float32)


def warm_up() -> None:
    """Let OpenCV build its tables of colours, which takes the first call a fifth of a second."""
    colour_histograms(np.zeros((1, 1, 3), np.uint8), np.array([[0, 0, 1, 1]], np.float32))


def appearance_distance(similarity: F32) -> F32:
    """How different two people look: the logarithm of 1 minus the inner product of their histograms."""
    return np.asarray(np.log(DISTANCE_OFFSET - similarity.clip(0, MAX_SIMILARITY)), np.float32)
