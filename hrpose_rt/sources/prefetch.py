"""Reading ahead: a thread decodes the next frames while the networks work on this one."""

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from hrpose_rt.queues import BoundedQueue, QueueClosed, QueueTimes, frames_that_fit
from hrpose_rt.sources.base import Source
from hrpose_rt.types import Frame, SourceInfo


class Prefetch:
    """A source that is read a few frames ahead, in a thread of its own. A context manager.

    Leaving the context stops the thread; the source stays open. Frames that were read ahead and not taken
    are lost then. A frame counts as captured when it is taken.

    Args:
        source: Opened, and not live.
        times: Where waiting is counted.
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
        except BaseException as raised:  # the caller gets it, whatever it is
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
    """The source, read ahead where that pays: a live one gives its newest frame, one image has no next."""
    if source.info.is_live or source.info.frames == 1:
        return nullcontext(source)
    return Prefetch(source, times)
