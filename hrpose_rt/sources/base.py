"""The interface between sources and pipeline, and the base class of all sources here."""

import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Protocol, Self, TypeGuard

from hrpose_rt.errors import BadInput
from hrpose_rt.types import Frame, SourceInfo

HWACCELS = ("none", "auto", "cuda", "vaapi", "qsv", "videotoolbox", "d3d11va")  # FFmpeg's names
RECONNECT_S = 60.0  # how long to retry a live source that disconnects, in seconds


def check_hwaccel(name: str) -> None:
    """Raise BadInput if there is no such name."""
    if name not in HWACCELS:
        raise BadInput(f"there is no `hwaccel` {name}: choose {', '.join(HWACCELS)}")


class Source(Protocol):
    """Gives frames once, from first to last.

    >>> import time
    >>> import numpy as np
    >>> from hrpose_rt import Frame, SourceInfo
    >>> class Screen:
    ...     info = SourceInfo("screen", "screen", 640, 480, 10.0, None, is_video=True, is_live=False)
    ...     def __iter__(self):
    ...         for i in range(3):
    ...             image = np.zeros((480, 640, 3), np.uint8)
    ...             yield Frame(i, image, time_s=i / 10, captured_s=time.perf_counter())
    >>> [frame.time_s for frame in Screen()]
    [0.0, 0.1, 0.2]

    `PosePipeline.stream` needs nothing else; the function `stream` also enters and closes the source.

    Iterating ends when the source ends. If frames were lost, iterating then raises RunBroken, after it has
    given all frames that could be read.
    """

    info: SourceInfo

    def __iter__(self) -> Iterator[Frame]: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def is_source(value: object) -> TypeGuard[Source]:
    """Whether `value` has the interface of `Source`, whatever its class."""
    return isinstance(getattr(value, "info", None), SourceInfo) and isinstance(value, Iterable)


class BaseSource(ABC):
    """A source and the iterator over its frames. As a context manager it closes itself.

    The frames are read once: iterating again continues from the current position. Threads take turns. The
    decoder or device is released only when no thread is reading, because decoders do not survive that.
    """

    info: SourceInfo

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._after = ExitStack()
        self._frames: Generator[Frame, None, None] | None = None
        self._ended = self._closed = self._released = False

    @abstractmethod
    def _read_frames(self) -> Generator[Frame, None, None]:
        """Yield every frame, from first to last."""

    def _wake(self) -> None:  # noqa: B027 (most sources have nobody who waits)
        """Wake a thread that waits for a frame, if there is one."""

    @abstractmethod
    def _release(self) -> None:
        """Release the decoder or device. No thread is reading any more."""

    def __iter__(self) -> Self:
        self._check_open()
        if self._ended:
            raise BadInput(f"{self.info.name} was read already: open it again")
        return self

    def __next__(self) -> Frame:
        with self._turn:
            self._check_open()
            if self._frames is None:
                self._frames = self._read_frames()
            try:
                return next(self._frames)
            except BaseException:
                self._check_open()  # the source may have been closed meanwhile, which ends a wait
                self._ended = True
                raise

    def _check_open(self) -> None:
        if self._closed:
            raise BadInput(f"{self.info.name} is closed: open it again")

    def close(self) -> None:
        """Close the source. Any thread may call this, also twice. A thread that reads gets BadInput."""
        self._closed = True
        self._wake()
        with self._turn:
            if self._released:
                return
            self._released = True
            if self._frames is not None:
                self._frames.close()
            self._release()
            self._after.close()

    def on_close(self, what: Callable[[], object]) -> None:
        """Call `what` after the source is closed."""
        self._after.callback(what)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def natural_order(name: str) -> list[tuple[int, str]]:
    """A sort key that compares numbers in names as numbers: img2 comes before img10."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), part) if part.isdecimal() else (-1, part) for part in parts]
