"""One picture of the web page: the newest frame of a source, for any number of browsers."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from hrpose_rt.drawing.style import DrawStyle
from hrpose_rt.result import FrameResult
from hrpose_rt.sinks.rendering import Renderer
from hrpose_rt.types import STAGES, U8

QUALITY = 80  # JPEG quality, in 0..100
PAGE_MAX_SIDE_PX = 1280  # larger frames are scaled down for browsers
LOOK_S = 0.5  # time between two states, and between checks whether a browser is gone


class Bell:
    """Wakes coroutines from another thread."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def ring(self) -> None:
        """Wake all that wait."""
        if self._loop:
            with suppress(RuntimeError):  # the server has stopped
                self._loop.call_soon_threadsafe(self._wake)

    async def wait(self, timeout_s: float) -> None:
        """Return at the next ring, or after the timeout."""
        self._loop = asyncio.get_running_loop()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._rung.wait(), timeout_s)

    def _wake(self) -> None:
        self._rung.set()
        self._rung = asyncio.Event()


@dataclass(frozen=True, slots=True)
class LatestResult:
    """The newest frame of a panel."""

    number: int
    result: FrameResult
    at: float


class StreamPanel:
    """A sink that shows its newest frame to browsers.

    Args:
        name: The source.
        style: How frames are drawn.
        count: Gets the source and the result of every frame.
    """

    wants_picture = False  # it draws frames itself

    def __init__(self, name: str, style: DrawStyle, count: Callable[[str, FrameResult], None]) -> None:
        self._renderer, self._count = Renderer(style), count
        self.new_frame = Bell()
        self._number = 0
        self._jpeg: tuple[int, bytes] = (-1, b"")
        self._encoding = threading.Lock()
        self.begin(name)

    def begin(self, name: str) -> None:
        """Show the source `name` from now on, without the frames of the one before."""
        self.name = name
        self.newest: LatestResult | None = None
        self.frames = self.dropped = 0

    def write(self, result: FrameResult, picture: U8) -> None:
        """See `Sink.write`."""
        self.frames += 1
        self.dropped += result.frame.dropped
        self._number += 1
        self.newest = LatestResult(self._number, result, time.monotonic())
        self._count(self.name, result)
        self.new_frame.ring()

    async def pictures(self) -> AsyncIterator[LatestResult | None]:
        """Yield the newest frame each time. Without a new one, yield None every `LOOK_S` seconds."""
        seen = 0
        while True:
            shown = self.newest
            if shown and shown.number != seen:
                seen = shown.number
                yield shown
            else:
                await self.new_frame.wait(LOOK_S)
                if self.newest is shown:
                    yield None

    async def picture(self) -> AsyncIterator[bytes]:
        """Yield the newest frame as JPEG, once; nothing before the first frame."""
        if shown := self.newest:
            yield await asyncio.to_thread(self.jpeg, shown)

    def jpeg(self, shown: LatestResult) -> bytes:
        """The frame as JPEG, encoded once for all viewers."""
        with self._encoding:
            if self._jpeg[0] != shown.number:
                picture = self._renderer.render(shown.result)
                h, w = picture.shape[:2]
                scale = min(1.0, PAGE_MAX_SIDE_PX / max(h, w))
                size = max(1, round(scale * w)), max(1, round(scale * h))
                picture = picture if scale == 1 else np.asarray(cv2.resize(picture, size), np.uint8)
                data = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, QUALITY))[1]
                self._jpeg = shown.number, data.tobytes()
            return self._jpeg[1]

    def state(self) -> dict[str, Any]:
        """The state of this panel, for the page."""
        shown = self.newest
        if shown is None:
            return {"name": self.name, "frames": 0}
        times = shown.result.times
        return {
            "name": self.name,
            "frames": self.frames,
            "dropped": self.dropped,
            "people": len(shown.result),
            "silent_s": round(time.monotonic() - shown.at, 1),
            "latency_ms": {k: round(getattr(times, k), 2) for k in (*STAGES, "total", "read")},
        }

    def close(self) -> None:
        """Do nothing: the view closes all panels."""
