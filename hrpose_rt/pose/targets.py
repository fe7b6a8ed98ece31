"""Joints -> the heatmaps that a network is trained to output."""

from typing import Literal

import numpy as np

from hrpose_rt.types import F32, Bools

Targets = Literal["classic", "dark", "udp"]
TARGET_DECODERS: dict[Targets, str] = {"classic": "quarter", "dark": "dark", "udp": "udp"}


def target_sigma(heatmap_hw: tuple[int, int]) -> float:
    """Sigma of the Gaussian in heatmap pixels: 2 at 64x48 and 64x64, 3 at 96x72, as published."""
    return heatmap_hw[0] / 32


def encode(keypoints: F32, heatmap_hw: tuple[int, int], kind: Targets) -> tuple[F32, Bools]:
    """A Gaussian of height 1 at every joint.

    "classic" centres it on the nearest pixel, "dark" and "udp" on the exact point; all but "dark" cut it
    off beyond three sigma. Sources: Sun et al. CVPR 2019, Zhang et al. CVPR 2020, Huang et al. CVPR 2020.

    Args:
        keypoints: (N, K, 2) in heatmap pixels.
        heatmap_hw: Height and width of the maps.
        kind: "classic", "dark" or "udp".

    Returns:
        Maps (N, K, H, W), and (N, K) whether any of the Gaussian's window lies on the map; otherwise the
        joint is not a target.
    """
    sigma = target_sigma(heatmap_hw)
    reach = 3 * sigma
    nearest = np.trunc(keypoints + np.float32(0.5))
    size_wh = np.array(heatmap_hw[::-1])
    inside = ((nearest - reach < size_wh) & (nearest + reach + 1 >= 0)).all(axis=2)
    centres = nearest if kind == "classic" else keypoints
    lines = []
    for axis, size in enumerate(size_wh):
        pixels = np.arange(size, dtype=np.float32)
        line = np.exp(-((pixels - centres[..., axis, None]) ** 2) / np.float32(2 * sigma**2))
        if kind != "dark":
            line *= np.abs(pixels - nearest[..., axis, None]) <= reach
        lines.append(line)
    columns, rows = lines
    return np.asarray(rows[..., :, None] * columns[..., None, :], np.float32), inside
