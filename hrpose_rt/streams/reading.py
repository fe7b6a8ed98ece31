"""What the sources here have in common: each is read once, and closed from any thread."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from contextlib import ExitStack
from typing import Self

from hrpose_rt.errors import BadInput
from hrpose_rt.streams.sources import SourceInfo
from hrpose_rt.types import Frame


class Reading(ABC):
    """A source, and the iterator over its frames. A context manager that closes it.

    There is one pass over the frames: iterating again goes on where the pass stands. Threads take turns.
    What is behind it is released only when nobody reads, as decoders do not survive that.
    """

    info: SourceInfo

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._after = ExitStack()
        self._frames: Generator[Frame, None, None] | None = None
        self._ended = self._closed = self._released = False

    @abstractmethod
    def _read_frames(self) -> Generator[Frame, None, None]:
        """Every frame, from first to last."""

    def _wake(self) -> None:  # noqa: B027 (most sources have nobody who waits)
        """End the wait of a thread for a frame, if frames are waited for."""

    @abstractmethod
    def _release(self) -> None:
        """Give back what it reads from; nobody reads any more."""

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
                self._check_open()  # it may have been closed meanwhile, which ends a wait
                self._ended = True
                raise

    def _check_open(self) -> None:
        if self._closed:
            raise BadInput(f"{self.info.name} is closed: open it again")

    def close(self) -> None:
        """Release it. From any thread; whoever reads it gets BadInput; closing twice is closing once."""
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
        """Call `what` once it is closed."""
        self._after.callback(what)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
