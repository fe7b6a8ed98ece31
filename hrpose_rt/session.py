"""A video that the caller feeds frame by frame."""

import math
import threading
import time
from collections.abc import Callable
from numbers import Real

from hrpose_rt.errors import BadInput
from hrpose_rt.result import FrameResult
from hrpose_rt.stream_state import StreamState
from hrpose_rt.types import U8, Frame, SourceInfo


class Session:
    """A video that the caller feeds frame by frame. A context manager.

    >>> import numpy as np
    >>> from hrpose_rt import PosePipeline
    >>> images = np.zeros((3, 480, 640, 3), np.uint8)
    >>> with PosePipeline() as pipeline, pipeline.session(fps=25) as session:
    ...     results = [session.process(image) for image in images]
    >>> [result.frame.time_s for result in results]
    [0.0, 0.04, 0.08]

    Threads may share it; frames are processed one after the other, in order of arrival.

    Args:
        fps: Frames per second.
        open_state: Creates the state that is kept from frame to frame.
        process: Processes one frame with the state.
        ended: Called with the state at the end.
        state: An existing state; if None, the first frame creates it.
    """

    def __init__(
        self,
        fps: float,
        open_state: Callable[[SourceInfo], StreamState],
        process: Callable[[Frame, StreamState], FrameResult],
        ended: Callable[[StreamState], None],
        state: StreamState | None = None,
    ) -> None:
        self._fps, self._open_state, self._process, self._ended = fps, open_state, process, ended
        self._state = state
        self._lock = threading.Lock()
        self._count = 0
        self._closed = False

    def process(self, image: U8 | Frame) -> FrameResult:
        """Find the people of the next frame.

        Args:
            image: (H, W, 3) uint8 BGR, taken 1 / fps after the last one; or a `Frame` with its own time. An
                earlier time than that of the last frame begins another stream: its people get new ids.

        Raises:
            BadInput: The image is not valid, or the session or its pipeline is closed.
        """
        with self._lock:
            if self._closed:
                raise BadInput("the session is closed: begin another")
            frame = image if isinstance(image, Frame) else self._numbered(image)
            if self._state is None:
                self._state = self._open_state(info_of(frame.image, self._fps, is_video=True))
            self._count += 1
            return self._process(frame, self._state)

    def _numbered(self, image: U8) -> Frame:
        return Frame(self._count, image, self._count / self._fps, time.perf_counter())

    def counts(self) -> dict[str, float]:
        """Frames, detections, tiles and stale poses so far, by name."""
        return self._state.stats() if self._state else {}

    def close(self) -> None:
        """End the video. A second call does nothing."""
        with self._lock:
            if self._state and not self._closed:
                self._ended(self._state)
            self._closed = True

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def check_fps(fps: float) -> float:
    """The frame rate; raise BadInput if it is not one."""
    if not (isinstance(fps, Real) and 0 < fps < math.inf):
        raise BadInput(f"fps is how many pictures there are a second, more than 0, not {fps!r}")
    return fps


def info_of(image: U8, fps: float, is_video: bool) -> SourceInfo:
    """Source info for images without a source; `image` is the first."""
    h, w = image.shape[:2]
    return SourceInfo("", "", w, h, fps, None, is_video=is_video, is_live=False)
