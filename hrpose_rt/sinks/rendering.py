"""The annotated frames of one source."""

from hrpose_rt.drawing.people import Trails
from hrpose_rt.drawing.style import DrawStyle
from hrpose_rt.result import FrameResult
from hrpose_rt.types import U8


class Renderer:
    """Draws the frames of one source, in order.

    Args:
        style: How they are drawn.
    """

    def __init__(self, style: DrawStyle) -> None:
        self._style = style
        self._trails = Trails(style.trails_s) if style.trails_s else None

    def render(self, result: FrameResult) -> U8:
        """A new image (H, W, 3) BGR with the people of a frame."""
        return result.draw(style=self._style, trails=self._trails)
