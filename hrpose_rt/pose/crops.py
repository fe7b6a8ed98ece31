"""Cut people out of a frame."""

import cv2

from hrpose_rt.geometry import crop_affines
from hrpose_rt.types import F32, U8


def crop_people(image: U8, centres: F32, sizes: F32, out: U8, udp: bool = False) -> U8:
    """Warp the crops (N) of `image` into `out` (N, H, W, 3) and return it.

    Args:
        image: (H, W, 3) uint8 frame.
        centres: (N, 2) crop centres in frame pixels, from `geometry.boxes_to_centre_size`.
        sizes: (N, 2) crop sizes in frame pixels, from the same function.
        out: Filled with bilinear samples; 0 where a crop extends beyond the frame.
        udp: Scale as UDP does.
    """
    _, h, w, _ = out.shape
    for crop, matrix in zip(out, crop_affines(centres, sizes, (h, w), udp), strict=True):
        cv2.warpAffine(image, matrix, (w, h), dst=crop, flags=cv2.INTER_LINEAR)
    return out
