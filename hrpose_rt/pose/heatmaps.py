"""Heatmaps -> keypoints, for everybody at once. Classic conventions: pixel centres are integers.

Peaks follow the original HRNet code (Sun et al., CVPR 2019); DARK is Zhang et al.,
"Distribution-Aware Coordinate Representation for Human Pose Estimation", CVPR 2020.
"""

from collections.abc import Callable

import numpy as np

from hrpose_rt.types import F32, I64

Decoder = Callable[[F32], tuple[F32, F32]]

DARK_KERNEL = 11  # side of the Gaussian, for every published weight file
_DARK_SIGMA = 0.3 * ((DARK_KERNEL - 1) / 2 - 1) + 0.8
_REACH = DARK_KERNEL // 2  # how far the Gaussian sees
_RING = 2  # how far the derivatives look


def find_peaks(heatmaps: F32) -> tuple[I64, I64, F32]:
    """Columns, rows and values (N, K) of the first maximum of each map of (N, K, H, W)."""
    n, k, h, w = heatmaps.shape
    flat = heatmaps.reshape(n, k, h * w)
    place = flat.argmax(axis=2)
    scores = np.take_along_axis(flat, place[..., None], axis=2)[..., 0]
    return place % w, place // w, scores


def decode_quarter(heatmaps: F32) -> tuple[F32, F32]:
    """Peaks moved a quarter pixel towards their higher neighbour, in x and in y.

    Args:
        heatmaps: (N, K, H, W).

    Returns:
        Points (N, K, 2) in heatmap pixels, (0, 0) where the peak is not above 0, and scores (N, K):
        the raw peaks, unclipped.
    """
    n, k, h, w = heatmaps.shape
    x, y, scores = find_peaks(heatmaps)
    inside = (x > 1) & (x < w - 1) & (y > 1) & (y < h - 1)
    xi, yi = np.where(inside, x, 1), np.where(inside, y, 1)  # anywhere with four neighbours
    person, joint = np.ogrid[:n, :k]
    dx = heatmaps[person, joint, yi, xi + 1] - heatmaps[person, joint, yi, xi - 1]
    dy = heatmaps[person, joint, yi + 1, xi] - heatmaps[person, joint, yi - 1, xi]
    shift = 0.25 * np.sign(np.stack([dx, dy], axis=2)) * inside[..., None]
    return _points(x, y, shift, scores), scores


def decode_dark(heatmaps: F32) -> tuple[F32, F32]:
    """Peaks moved to the top of the Gaussian that fits the blurred map around them.

    Arguments and results are those of `decode_quarter`.
    """
    _, _, h, w = heatmaps.shape
    x, y, scores = find_peaks(heatmaps)
    blurred = _blurred_around(heatmaps, x, y)  # (N, K, 5, 5), the peak in the middle
    # The reference also scales the blurred map to the old maximum: under the logarithm that is a constant,
    # which no derivative sees.
    log = np.log(np.maximum(blurred, 1e-10))
    c, r = _RING, _RING
    gx = (log[..., r, c + 1] - log[..., r, c - 1]) / 2
    gy = (log[..., r + 1, c] - log[..., r - 1, c]) / 2
    hxx = (log[..., r, c + 2] - 2 * log[..., r, c] + log[..., r, c - 2]) / 4
    hyy = (log[..., r + 2, c] - 2 * log[..., r, c] + log[..., r - 2, c]) / 4
    hxy = (
        log[..., r + 1, c + 1] - log[..., r - 1, c + 1] - log[..., r + 1, c - 1] + log[..., r - 1, c - 1]
    ) / 4
    det = hxx * hyy - hxy * hxy
    usable = (x > 1) & (x < w - 2) & (y > 1) & (y < h - 2) & (det != 0)
    det = np.where(usable, det, 1)
    step = np.stack([hyy * gx - hxy * gy, hxx * gy - hxy * gx], axis=2) / det[..., None]
    return _points(x, y, -step * usable[..., None], scores), scores


DECODERS: dict[str, Decoder] = {"quarter": decode_quarter, "dark": decode_dark}


def merge_flipped(heatmaps: F32, mirrored: F32, flip_order: list[int]) -> F32:
    """Average maps (N, K, H, W) with those of the mirrored crops, put back in place.

    The mirrored maps are moved right by one column, as the original does for its classic weights.
    """
    back = mirrored[:, flip_order, :, ::-1]
    back = np.concatenate([back[..., :1], back[..., :-1]], axis=3)
    return (heatmaps + back) * np.float32(0.5)


def _points(x: I64, y: I64, shift: F32, scores: F32) -> F32:
    points = (np.stack([x, y], axis=2) + shift) * (scores > 0)[..., None]
    return points.astype(np.float32)


def _blurred_around(heatmaps: F32, x: I64, y: I64) -> F32:
    """The 5x5 neighbourhood of each peak in the Gaussian-blurred map, and nothing else of it.

    Zeros lie beyond the border, as in the reference, which blurs whole maps for these 25 values.
    """
    n, k, h, w = heatmaps.shape
    reach = _REACH + _RING
    around = np.arange(-reach, reach + 1)
    rows, cols = y[..., None] + around, x[..., None] + around  # (N, K, 15)
    person, joint = np.ogrid[:n, :k]
    patch = heatmaps[
        person[..., None, None],
        joint[..., None, None],
        rows.clip(0, h - 1)[..., :, None],
        cols.clip(0, w - 1)[..., None, :],
    ]
    inside = ((rows >= 0) & (rows < h))[..., :, None] & ((cols >= 0) & (cols < w))[..., None, :]
    return np.asarray(_BLUR @ (patch * inside) @ _BLUR.T)


def _blur_matrix() -> F32:
    """(5, 15): each row is the Gaussian, centred on one pixel of the neighbourhood."""
    offsets = np.arange(-_REACH, _REACH + 1)
    gauss = np.exp(-(offsets**2) / (2 * _DARK_SIGMA**2))
    matrix = np.zeros((2 * _RING + 1, DARK_KERNEL + 2 * _RING))
    for i, row in enumerate(matrix):
        row[i : i + DARK_KERNEL] = gauss / gauss.sum()
    return matrix.astype(np.float32)


_BLUR = _blur_matrix()
