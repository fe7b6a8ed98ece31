"""Live sources give the newest frame. Frames that are not taken in time are dropped and counted."""

import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any, Generic, TypeVar

from hrpose_rt.config import Clip
from hrpose_rt.errors import RunBroken, last_line
from hrpose_rt.sources.base import BaseSource
from hrpose_rt.types import U8, Frame

CLOSING_S = 2.0  # how long closing waits for the reading thread, which may be waiting for the network
T = TypeVar("T")


def connection_lost(name: str, timeout_s: float, came: bool = True) -> str:
    """The error message for a source that ended and did not come back, or of which no frame `came`."""
    if not came:
        return f"{name} gave no picture{f' within {timeout_s:g} s' * bool(timeout_s)}: check the address"
    tried = f" and did not come back within {timeout_s:g} s" if timeout_s else ""
    return f"{name} broke off{tried}: is it still there?"


class LatestFrame(Generic[T]):
    """Holds one frame, between the thread that reads and the thread that processes.

    Args:
        to_image: Converts an item to a (H, W, 3) BGR image. It runs only for items that are taken.
    """

    def __init__(self, to_image: Callable[[T], U8]) -> None:
        self._to_image = to_image
        self._fresh = threading.Condition()
        self._newest: tuple[int, T, float] | None = None
        self._index, self._dropped = 0, 0
        self._ended: str | None = None
        self._opened = time.perf_counter()

    def put(self, item: T) -> None:
        """Store the next item. It replaces one that was not taken."""
        with self._fresh:
            self._dropped += self._newest is not None
            self._newest = (self._index, item, time.perf_counter())
            self._index += 1
            self._fresh.notify()

    def end(self, why: str) -> None:
        """Say that no more frames will come, and why; an empty text says that the stream is over."""
        with self._fresh:
            self._ended = why
            self._fresh.notify_all()

    def frames(self, clip: Clip) -> Iterator[Frame]:
        """Yield the newest frame each time. Raises RunBroken if it ended for a reason."""
        frames_taken, dropped = 0, 0
        while clip.max_frames is None or frames_taken < clip.max_frames:
            begin = time.perf_counter()
            with self._fresh:
                self._fresh.wait_for(lambda: self._newest or self._ended is not None)
                if self._newest is None:
                    if self._ended:
                        raise RunBroken(self._ended)
                    return
                (index, item, captured), self._newest = self._newest, None
                dropped, self._dropped = dropped + self._dropped, 0
            time_s = captured - self._opened
            if clip.end is not None and time_s >= clip.end:
                return
            if index % clip.stride or time_s < clip.start:
                continue
            image = self._to_image(item)
            read_ms = 1e3 * (time.perf_counter() - begin)
            yield Frame(index, image, time_s, captured, dropped, read_ms)
            frames_taken, dropped = frames_taken + 1, 0


class LiveSource(BaseSource):
    """Gives the newest frame on each request. A thread reads as fast as frames come.

    A subclass puts frames into `_newest` until `_closing` is set.
    """

    _newest: LatestFrame[Any]
    _clip: Clip

    def __init__(self) -> None:
        super().__init__()
        self._closing = threading.Event()

    def _start(self, read: Callable[[], None]) -> None:
        """Start the reading thread. Call this when everything `read` needs is set."""

        def work() -> None:
            try:
                read()
            except Exception as error:  # without the end, the run would wait for ever
                self._newest.end(f"{self.info.name} broke off ({type(error).__name__}: {last_line(error)})")

        self._thread = threading.Thread(target=work, daemon=True, name=self.info.stem)
        self._thread.start()

    def _read_frames(self) -> Generator[Frame, None, None]:
        yield from self._newest.frames(self._clip)

    def _wake(self) -> None:
        self._closing.set()
        self._newest.end("")

    def _release(self) -> None:
        self._thread.join(CLOSING_S)
