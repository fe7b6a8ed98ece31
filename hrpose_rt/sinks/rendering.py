"""The annotated frame: what is under the people, and what is drawn besides them."""

from dataclasses import dataclass

import cv2
import numpy as np

from hrpose_rt.drawing import MIN_SCORE, Trails, draw_outlines
from hrpose_rt.errors import BadInput
from hrpose_rt.regions import Region
from hrpose_rt.result import FrameResult
from hrpose_rt.types import I64, U8

CANVASES = ("video", "blur", "black")
BLURRED_WH = (16, 9)  # pixels that are left of a blurred frame: nobody can be recognised


@dataclass(frozen=True, slots=True)
class DrawStyle:
    """How frames are drawn.

    Attributes:
        min_score: Keypoints with a lower score are not drawn, in 0..1.
        canvas: What is under the people: one of `CANVASES`.
        panel: Whether the milliseconds of each stage are in the corner.
        trails_s: Length of the drawn paths of people in seconds; 0 draws none.
        regions: Parts of the frame whose edges are drawn.

    Raises:
        BadInput: A value is out of range.
    """

    min_score: float = MIN_SCORE
    canvas: str = "video"
    panel: bool = True
    trails_s: float = 0.0
    regions: tuple[Region, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.min_score <= 1:
            raise BadInput(f"`min_score` is a score in 0..1, not {self.min_score:g}")
        if self.canvas not in CANVASES:
            raise BadInput(f"there is no `canvas` {self.canvas}: choose {', '.join(CANVASES)}")
        if not self.trails_s >= 0:
            raise BadInput(f"`trails_s` is a number of seconds, 0 or more, not {self.trails_s:g}")


DRAW_STYLE = DrawStyle()


class Renderer:
    """Draws the frames of one source, in order.

    Args:
        style: How they are drawn.
    """

    def __init__(self, style: DrawStyle) -> None:
        self._style = style
        self._trails = Trails(style.trails_s) if style.trails_s else None
        self._frame_hw, self._outlines = (0, 0), list[I64]()  # of the last frame size

    def render(self, result: FrameResult, boxes: bool = True) -> U8:
        """A new image (H, W, 3) BGR with the people of a frame, and their boxes unless left out."""
        style, image = self._style, self._canvas(result.frame.image)
        if style.regions:
            draw_outlines(image, self._outlines_in((image.shape[0], image.shape[1])))
        if self._trails:
            self._trails.draw(image, result.detections, result.track_ids, result.frame.time_s)
        return result.draw(image, style.min_score, overlay=style.panel, boxes=boxes)

    def _canvas(self, image: U8) -> U8:
        if self._style.canvas == "video":
            return image.copy()
        if self._style.canvas == "black":
            return np.zeros_like(image)
        small = cv2.resize(image, BLURRED_WH, interpolation=cv2.INTER_AREA)
        size_wh = (image.shape[1], image.shape[0])
        return np.asarray(cv2.resize(small, size_wh, interpolation=cv2.INTER_LINEAR), np.uint8)

    def _outlines_in(self, frame_hw: tuple[int, int]) -> list[I64]:
        if frame_hw != self._frame_hw:
            self._frame_hw = frame_hw
            self._outlines = [line for region in self._style.regions for line in region.outlines(frame_hw)]
        return self._outlines
