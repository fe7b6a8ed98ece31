"""The seam between sources and pipeline, and what the sources here have in common."""

import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Protocol, Self

from hrpose_rt.errors import BadInput
from hrpose_rt.types import Frame, SourceInfo

RECONNECT_S = 60.0  # of attempts to reach a live source again that broke off


class Source(Protocol):
    """Something that gives frames, once, from first to last.

    Iterating ends with the source. Where frames were lost on the way it then raises RunBroken, after all
    those that could be had.
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


class BaseSource(ABC):
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


def natural_order(name: str) -> list[tuple[int, str]]:
    """A key that sorts names with the numbers in them as numbers: img2 before img10."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), part) if part.isdecimal() else (-1, part) for part in parts]
