"""A window that shows the annotated frames."""

import os
import sys

import cv2

from hrpose_rt.errors import BadInput
from hrpose_rt.result import FrameResult
from hrpose_rt.types import U8

QUIT_KEYS = (ord("q"), 27)


class WindowClosed(Exception):
    """The user asked to stop."""


class WindowSink:
    """Shows each frame; `q` or Escape raises WindowClosed.

    Raises:
        BadInput: There is no screen.
    """

    wants_picture = True

    def __init__(self, title: str) -> None:
        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise BadInput("--show needs a screen and there is none here: use --save out.mp4")
        self._title = title

    def write(self, result: FrameResult, picture: U8) -> None:
        """See `sinks.Sink.write`."""
        cv2.imshow(self._title, picture)
        if cv2.waitKey(1) in QUIT_KEYS:
            raise WindowClosed

    def close(self) -> None:
        """Close the window."""
        cv2.destroyAllWindows()
