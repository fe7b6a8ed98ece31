"""Reading ahead: a thread decodes the next frames while the networks process the current one."""

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from hrpose_rt.queues import BoundedQueue, QueueClosed, QueueTimes, frames_that_fit
from hrpose_rt.sources.base import Source
from hrpose_rt.types import Frame, SourceInfo


class Prefetch:
    """Reads a source a few frames ahead, in a separate thread. A context manager.

    Leaving the context stops the thread; the source stays open. Frames that were read but not taken are
    lost. The capture time of a frame is when it is taken.

    Args:
        source: An open source that is not live.
        times: Counts the waiting times.
    """

    info: SourceInfo

    def __init__(self, source: Source, times: QueueTimes | None = None) -> None:
        self.info = source.info
        self._source = source
        self._queue = BoundedQueue[Frame](frames_that_fit(source.info), times)
        self._thread = threading.Thread(target=self._read, daemon=True, name=f"read {source.info.stem}")

    def _read(self) -> None:
        error: BaseException | None = None
        try:
            for frame in self._source:
                self._queue.put(frame)
        except QueueClosed:
            pass
        except BaseException as raised:  # any error is raised in the caller's thread
            error = raised
        self._queue.end(error)

    def __iter__(self) -> Iterator[Frame]:
        if self._thread.ident is None:
            self._thread.start()
        for frame in self._queue:
            yield replace(frame, captured_s=time.perf_counter())

    def __enter__(self) -> "Prefetch":
        return self

    def __exit__(self, *_: object) -> None:
        self._queue.close()
        if self._thread.ident is not None:
            self._thread.join()


def read_ahead(source: Source, times: QueueTimes | None = None) -> AbstractContextManager[Source]:
    """Read a source ahead, unless it is live (it gives its newest frame) or a single image."""
    if source.info.is_live or source.info.frames == 1:
        return nullcontext(source)
    return Prefetch(source, times)
