"""Heatmaps -> keypoints, for all people at once. Pixel centres are integers.

Peaks follow the original HRNet code (Sun et al., CVPR 2019). DARK is Zhang et al.,
"Distribution-Aware Coordinate Representation for Human Pose Estimation", CVPR 2020. UDP is Huang et
al., "The Devil Is in the Details: Delving into Unbiased Data Processing", CVPR 2020.
"""

from functools import lru_cache
from typing import Protocol

import numpy as np

from hrpose_rt.pose.ankles import Ankles
from hrpose_rt.types import F32, I64


class Decoder(Protocol):
    """Decodes heatmaps (N, K, H, W) into points (N, K, 2) in heatmap pixels and scores (N, K)."""

    def __call__(self, heatmaps: F32, ankles: Ankles | None = None) -> tuple[F32, F32]: ...


UDP_KERNEL = 11  # side of the Gaussian blur
DERIVATIVE_RADIUS = 2  # pixels around a peak that the derivatives use
MIN_LOG_INPUT = 1e-10  # smaller values are raised to this before the logarithm


def dark_kernel(heatmap_hw: tuple[int, int]) -> int:
    """Side of DARK's Gaussian: 3 for maps of 32x24 and smaller, 11 for larger ones.

    Source: BLUR_KERNEL in the authors' configurations; OpenMMLab's weights use 11, too.
    """
    return 3 if heatmap_hw[0] <= 32 else 11


def find_peaks(heatmaps: F32, ankles: Ankles | None = None) -> tuple[I64, I64, F32]:
    """Columns, rows and values (N, K) of the first maximum of each map of (N, K, H, W).

    If both `ankles` are on one foot, one of them is moved to the other foot.
    """
    n, k, h, w = heatmaps.shape
    flat = heatmaps.reshape(n, k, h * w)
    peak = flat.argmax(axis=2)
    scores = np.take_along_axis(flat, peak[..., None], axis=2)[..., 0]
    x, y = peak % w, peak // w
    if ankles:
        ankles.part(heatmaps, x, y, scores)
    return x, y, scores


def decode_quarter(heatmaps: F32, ankles: Ankles | None = None) -> tuple[F32, F32]:
    """Peaks moved a quarter pixel towards their higher neighbour, in x and in y.

    Args:
        heatmaps: (N, K, H, W).
        ankles: Ankles to separate; None for none.

    Returns:
        Points (N, K, 2) in heatmap pixels, (0, 0) where the peak is not above 0, and scores (N, K):
        the raw peaks, unclipped.
    """
    n, k, h, w = heatmaps.shape
    x, y, scores = find_peaks(heatmaps, ankles)
    inside = (x > 1) & (x < w - 1) & (y > 1) & (y < h - 1)
    xi, yi = np.where(inside, x, 1), np.where(inside, y, 1)  # any position with four neighbours
    person, joint = np.ogrid[:n, :k]
    dx = heatmaps[person, joint, yi, xi + 1] - heatmaps[person, joint, yi, xi - 1]
    dy = heatmaps[person, joint, yi + 1, xi] - heatmaps[person, joint, yi - 1, xi]
    shift = 0.25 * np.sign(np.stack([dx, dy], axis=2)) * inside[..., None]
    return _points(x, y, shift, scores), scores


def decode_dark(heatmaps: F32, ankles: Ankles | None = None) -> tuple[F32, F32]:
    """Peaks moved to the maximum of the Gaussian that fits the blurred map around them.

    Arguments and results are those of `decode_quarter`.
    """
    h, w = heatmaps.shape[2:]
    kernel = dark_kernel((h, w))
    x, y, scores = find_peaks(heatmaps, ankles)
    blurred = _blurred_around(heatmaps, x, y, kernel)  # (N, K, 5, 5), the peak in the middle
    fits = (x > 1) & (x < w - 2) & (y > 1) & (y < h - 2)
    # The reference scales the whole blurred map to the old maximum. In the logarithm this is a constant,
    # which derivatives ignore unless values are clipped. Only maps with clipped values are blurred whole.
    faint = fits & (scores > 0) & (blurred < MIN_LOG_INPUT).any(axis=(2, 3))
    if faint.any():
        lost = _lost_height(_blurred(heatmaps[faint][:, None], kernel), scores[faint][:, None])
        blurred[faint] *= lost[:, 0]
    log = np.log(np.maximum(blurred, MIN_LOG_INPUT))
    c, r = DERIVATIVE_RADIUS, DERIVATIVE_RADIUS
    gx = (log[..., r, c + 1] - log[..., r, c - 1]) / 2
    gy = (log[..., r + 1, c] - log[..., r - 1, c]) / 2
    hxx = (log[..., r, c + 2] - 2 * log[..., r, c] + log[..., r, c - 2]) / 4
    hyy = (log[..., r + 2, c] - 2 * log[..., r, c] + log[..., r - 2, c]) / 4
    hxy = (
        log[..., r + 1, c + 1] - log[..., r - 1, c + 1] - log[..., r + 1, c - 1] + log[..., r - 1, c - 1]
    ) / 4
    det = hxx * hyy - hxy * hxy
    usable = fits & (det != 0)
    det = np.where(usable, det, 1)
    step = np.stack([hyy * gx - hxy * gy, hxx * gy - hxy * gx], axis=2) / det[..., None]
    return _points(x, y, -step * usable[..., None], scores), scores


def decode_udp(heatmaps: F32, ankles: Ankles | None = None) -> tuple[F32, F32]:
    """Peaks moved to the maximum of the blurred map's parabola, as UDP does for its Gaussian maps.

    Arguments and results are those of `decode_quarter`. The points are in UDP's unit, the step between
    pixels.
    """
    h, w = heatmaps.shape[2:]
    x, y, scores = find_peaks(heatmaps, ankles)
    # UDP scales the blurred map to the old maximum before it clips, so the scale matters here.
    blurred = _blurred(heatmaps, UDP_KERNEL)
    blurred *= _lost_height(blurred, scores)
    log = np.log(blurred.clip(1e-3, 50))
    person, joint = np.ogrid[: len(heatmaps), : heatmaps.shape[1]]

    def at(dy: int, dx: int) -> F32:
        rows, cols = (y + dy).clip(0, h - 1), (x + dx).clip(0, w - 1)  # the border is repeated
        return np.asarray(log[person, joint, rows, cols])

    middle, left, right, above, below = at(0, 0), at(0, -1), at(0, 1), at(-1, 0), at(1, 0)
    gx, gy = (right - left) / 2, (below - above) / 2
    eps = np.finfo(np.float32).eps
    hxx, hyy = right - 2 * middle + left + eps, below - 2 * middle + above + eps
    hxy = (at(1, 1) - right - below + 2 * middle - left - above + at(-1, -1)) / 2
    det = hxx * hyy - hxy * hxy
    usable = det != 0
    step = np.stack([hyy * gx - hxy * gy, hxx * gy - hxy * gx], axis=2)
    step /= np.where(usable, det, 1)[..., None]
    return _points(x, y, -step * usable[..., None], scores), scores


HEATMAP_DECODERS: dict[str, Decoder] = {"quarter": decode_quarter, "dark": decode_dark, "udp": decode_udp}


def merge_flipped(heatmaps: F32, mirrored: F32, flip_order: list[int], udp: bool = False) -> F32:
    """Average maps (N, K, H, W) with those of the mirrored crops, mirrored back.

    The mirrored maps are shifted right by one column, as the original does for its classic weights. With
    UDP they are aligned already.
    """
    back = mirrored[:, flip_order, :, ::-1]
    if not udp:
        back = np.concatenate([back[..., :1], back[..., :-1]], axis=3)
    return (heatmaps + back) * np.float32(0.5)


def _points(x: I64, y: I64, shift: F32, scores: F32) -> F32:
    points = (np.stack([x, y], axis=2) + shift) * (scores > 0)[..., None]
    return points.astype(np.float32)


def _blurred_around(heatmaps: F32, x: I64, y: I64, kernel: int) -> F32:
    """The 5x5 neighbourhood of each peak in the Gaussian-blurred map, without blurring the rest of it.

    Values beyond the border are 0, as in the reference, which blurs whole maps for these 25 values.
    """
    n, k, h, w = heatmaps.shape
    reach = kernel // 2 + DERIVATIVE_RADIUS
    around = np.arange(-reach, reach + 1)
    rows, cols = y[..., None] + around, x[..., None] + around  # (N, K, 15), with a kernel of 11
    person, joint = np.ogrid[:n, :k]
    patch = heatmaps[
        person[..., None, None],
        joint[..., None, None],
        rows.clip(0, h - 1)[..., :, None],
        cols.clip(0, w - 1)[..., None, :],
    ]
    inside = ((rows >= 0) & (rows < h))[..., :, None] & ((cols >= 0) & (cols < w))[..., None, :]
    blur = blur_matrix(2 * DERIVATIVE_RADIUS + 1, kernel)
    return np.asarray(blur @ (patch * inside) @ blur.T)


def _blurred(heatmaps: F32, kernel: int) -> F32:
    """Whole maps (N, K, H, W), Gaussian-blurred, with zeros beyond the border."""
    h, w = heatmaps.shape[2:]
    border = kernel // 2
    rows, cols = blur_matrix(h, kernel)[:, border:-border], blur_matrix(w, kernel)[:, border:-border]
    return np.asarray(rows @ heatmaps @ cols.T)


def _lost_height(blurred: F32, scores: F32) -> F32:
    """Factors (N, K, 1, 1) that restore the old maxima (N, K) of blurred maps (N, K, H, W)."""
    top = blurred.max(axis=(2, 3), keepdims=True)
    return np.asarray(np.divide(scores[..., None, None], top, out=np.ones_like(top), where=top > 0))


@lru_cache
def blur_matrix(size: int, kernel: int) -> F32:
    """(size, size + kernel - 1): row i is the Gaussian around pixel i of a line with a border at each end.

    Its sigma is OpenCV's for that kernel; for a side of 3, OpenCV uses fixed values.
    """
    offsets = np.arange(kernel) - kernel // 2
    sigma = 0.3 * ((kernel - 1) / 2 - 1) + 0.8
    gauss = np.exp(-(offsets**2) / (2 * sigma**2)) if kernel > 3 else np.array([1.0, 2.0, 1.0])
    matrix = np.zeros((size, size + kernel - 1))
    for i, row in enumerate(matrix):
        row[i : i + kernel] = gauss / gauss.sum()
    return matrix.astype(np.float32)
