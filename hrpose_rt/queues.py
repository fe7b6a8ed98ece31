"""A short queue between two threads. It can end, pass on errors, and measure how long each side waits."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from hrpose_rt.types import SourceInfo

MAX_FRAMES = 3  # in a queue; enough to even out slow frames
MAX_BYTES = 64_000_000  # of the frames in a queue, which holds at least one
T = TypeVar("T")


@dataclass(slots=True)
class QueueTimes:
    """How long the threads of a queue waited.

    Attributes:
        full_s: Seconds that the producer waited for room.
        empty_s: Seconds that the consumer waited for an item.
    """

    full_s: float = 0.0
    empty_s: float = 0.0

    def to_dict(self) -> dict[str, float]:
        """For a report."""
        return {"full_s": round(self.full_s, 3), "empty_s": round(self.empty_s, 3)}


class QueueClosed(Exception):
    """The consumer has left, so no item can be added."""


class BoundedQueue(Generic[T]):
    """First in, first out, between one producer and one consumer.

    Args:
        size: Items that may wait; the producer waits for room.
        times: Counts the waiting time.
    """

    def __init__(self, size: int, times: QueueTimes | None = None) -> None:
        self._size, self._items = size, deque[T]()
        self._changed = threading.Condition()
        self._closed = self._ended = False
        self._error: BaseException | None = None
        self._unfinished = 0
        self.times = times or QueueTimes()

    def put(self, item: T) -> None:
        """Add an item.

        Raises:
            QueueClosed: The consumer has left.
        """
        with self._changed:
            begin = time.perf_counter()
            self._changed.wait_for(lambda: len(self._items) < self._size or self._closed)
            self.times.full_s += time.perf_counter() - begin
            if self._closed:
                raise QueueClosed
            self._items.append(item)
            self._unfinished += 1
            self._changed.notify_all()

    def end(self, error: BaseException | None = None) -> None:
        """End the queue as the producer; the consumer gets `error` after the last item."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def close(self) -> None:
        """Leave the queue as the consumer; waiting items are dropped."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        """Yield items until the producer ends, then raise its error, if any."""
        while True:
            with self._changed:
                begin = time.perf_counter()
                self._changed.wait_for(lambda: self._items or self._ended or self._closed)
                self.times.empty_s += time.perf_counter() - begin
                if self._closed or not self._items:
                    break
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
            with self._changed:
                self._unfinished -= 1
                self._changed.notify_all()
        if self._error and not self._closed:
            raise self._error

    def wait_until_done(self, unfinished: int = 0) -> None:
        """Wait until at most this many items are waiting or in the consumer's hands, or it has left."""
        with self._changed:
            self._changed.wait_for(lambda: self._unfinished <= unfinished or self._closed)


def frames_that_fit(info: SourceInfo) -> int:
    """How many frames of a source may wait in a queue; large frames get less room, to save memory."""
    frame_bytes = 3 * max(1, info.width * info.height)
    return min(max(MAX_BYTES // frame_bytes, 1), MAX_FRAMES)
