"""Parts of a frame: given on the command line, drawn, and asked whether a person is in them."""

import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from hrpose_rt.errors import BadInput
from hrpose_rt.paths import check_utf8
from hrpose_rt.structures import decode
from hrpose_rt.types import I64, U8, Bools

Polygon = list[tuple[float, float]]


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A part of a frame.

    Attributes:
        polygons: Corners in pixels of the frame; empty if it is a mask.
        mask: (h, w) the part is where it is not 0; it is stretched to the frame. Empty for polygons.
    """

    polygons: tuple[Polygon, ...]
    mask: U8

    @classmethod
    def parse(cls, text: str) -> "Region":
        """A region from "x1,y1,x2,y2" in pixels, or from the path of a .json or image file.

        A .json file has one polygon, [[x, y], [x, y], ...], or a list of polygons.

        Raises:
            BadInput: It is neither, or the file does not hold a region.
        """
        nothing = np.zeros((0, 0), np.uint8)
        try:
            x1, y1, x2, y2 = map(float, text.split(","))
        except ValueError:
            path = Path(text)
        else:
            if not (x1 < x2 and y1 < y2 and np.isfinite([x1, y1, x2, y2]).all()):
                raise BadInput(f"{text} is no region: give x1,y1,x2,y2 with x1 < x2 and y1 < y2, in pixels")
            return cls(([(x1, y1), (x2, y1), (x2, y2), (x1, y2)],), nothing)
        if not os.path.isfile(text):  # false for what is too long for a name
            raise BadInput(
                f"{text} is no region: give x1,y1,x2,y2 in pixels, or a .json file with a polygon, or an "
                "image that is black outside"
            )
        if path.suffix == ".json":
            return cls(_polygons(path), nothing)
        check_utf8(path)
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if mask is None or not mask.any():
            what = "is no image" if mask is None else "is black everywhere"
            raise BadInput(f"{path} {what}: give an image that is black outside of the region")
        return cls((), np.asarray(mask, np.uint8))

    def mask_of(self, frame_hw: tuple[int, int]) -> Bools:
        """(H, W) the pixels of a frame that are in the region."""
        h, w = frame_hw
        if not self.polygons:
            return np.asarray(cv2.resize(self.mask, (w, h), interpolation=cv2.INTER_NEAREST) > 0, np.bool_)
        inside = np.zeros((h, w), np.uint8)
        for polygon in self.polygons:
            cv2.fillPoly(inside, [np.array(polygon).round().astype(np.int32)], 1)
        return inside.astype(np.bool_)

    def outlines(self, frame_hw: tuple[int, int]) -> list[I64]:
        """The edges of the region in a frame, each (N, 2) pixels."""
        inside = self.mask_of(frame_hw).astype(np.uint8)
        contours, _ = cv2.findContours(inside, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        return [np.asarray(contour[:, 0], np.int64) for contour in contours]


def _polygons(path: Path) -> tuple[Polygon, ...]:
    try:
        content = path.read_bytes()
        try:
            polygons = [decode(content, Polygon)]
        except ValueError:
            polygons = decode(content, list[Polygon])
        if not polygons or any(len(polygon) < 3 for polygon in polygons):
            raise ValueError("a polygon has three corners or more")
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} holds no polygon ({error}): give [[x, y], [x, y], [x, y]]") from error
    return tuple(polygons)
