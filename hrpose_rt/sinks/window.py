"""A window that shows annotated frames and reacts to keys."""

from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path

import cv2

from hrpose_rt.drawing.style import DRAW_STYLE, DrawStyle
from hrpose_rt.errors import BadInput
from hrpose_rt.hardware import why_no_screen
from hrpose_rt.result import FrameResult
from hrpose_rt.sinks.rendering import Renderer
from hrpose_rt.types import U8

QUIT_KEYS = (ord("q"), 27)
PAUSE_KEY, SNAPSHOT_KEY, BOXES_KEY = ord(" "), ord("s"), ord("b")
_PAUSED_MS = 50  # how often keys are read while paused


class WindowClosed(Exception):
    """The user asked to stop."""


@dataclass(slots=True)
class _Keys:
    """State that the keys change, shared by all windows."""

    boxes: bool = True


class WindowSink:
    """Shows each frame. Space pauses, `s` saves the picture, `b` hides or shows boxes, `q` or Escape ends.

    Args:
        title: The title of the window.
        snapshots: The folder that `s` saves to.
        style: How frames are drawn where boxes are hidden.

    Raises:
        BadInput: There is no screen.
    """

    wants_picture = True

    def __init__(self, title: str, snapshots: Path = Path(), style: DrawStyle = DRAW_STYLE) -> None:
        if why := why_no_screen():
            raise BadInput(f"a window needs a screen and {why}: use `save` out.mp4")
        self._title, self._snapshots = title, snapshots
        self._renderer = Renderer(replace(style, trails_s=0.0, boxes=False))
        self._keys = _Keys()

    def for_source(self, title: str) -> "WindowSink":
        """Another window, which shares the keys of this one."""
        window = copy(self)
        window._title = title
        return window

    def write(self, result: FrameResult, picture: U8) -> None:
        """See `Sink.write`. Raises WindowClosed when the user quits."""
        key = self._show(result, picture, wait_ms=1)
        while key == PAUSE_KEY:
            key = -1
            while key in (-1, SNAPSHOT_KEY, BOXES_KEY):  # until space or quit
                key = self._show(result, picture, _PAUSED_MS)
            if key == PAUSE_KEY:
                return
        if key in QUIT_KEYS:
            raise WindowClosed

    def _show(self, result: FrameResult, image: U8, wait_ms: int) -> int:
        """Show a frame and react to a key. Returns the key; -1 if none was pressed."""
        if not self._keys.boxes:  # other sinks keep the boxes
            image = self._renderer.render(result)
        cv2.imshow(self._title, image)
        key = cv2.waitKey(wait_ms)
        if key == BOXES_KEY:
            self._keys.boxes = not self._keys.boxes
        elif key == SNAPSHOT_KEY:
            self._save(result.frame.index, image)
        return key

    def _save(self, index: int, image: U8) -> None:
        """Write the image to a new file name."""
        name, number = f"snapshot-{index:06}", 1
        while (path := self._snapshots / f"{name}-{number}.png").exists():
            number += 1
        cv2.imwrite(str(path), image)

    def close(self) -> None:
        """Close the window."""
        cv2.destroyAllWindows()
