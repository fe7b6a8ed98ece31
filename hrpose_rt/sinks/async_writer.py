"""Writing behind: a thread draws and encodes results while the networks work on the next frame."""

import threading
import time
from collections.abc import Callable
from types import TracebackType

from hrpose_rt.queues import BoundedQueue, QueueClosed, QueueTimes

Job = Callable[[], object]


class AsyncWriter:
    """Does jobs in a thread of its own, one after the other. A context manager.

    Leaving the context waits for the jobs that were submitted, and raises what one of them raised. The
    jobs after that one are not done.

    Args:
        size: Jobs that may wait.
        times: Where waiting is counted.
    """

    def __init__(self, size: int, times: QueueTimes | None = None) -> None:
        self._queue = BoundedQueue[Job](size, times)
        self._thread = threading.Thread(target=self._work, daemon=True, name="write")
        self._error: BaseException | None = None
        self._job_s = 0.0

    def _work(self) -> None:
        try:
            for job in self._queue:
                begin = time.perf_counter()
                job()
                self._job_s = time.perf_counter() - begin
        except BaseException as raised:  # the submitter gets it, whatever it is
            self._error = raised
            self._queue.close()

    def submit(self, job: Job) -> None:
        """Do a job after those submitted before; waits while too many wait already.

        Raises:
            Exception: What an earlier job raised.
        """
        try:
            self._queue.put(job)
        except QueueClosed:
            self._raise_error()

    def catch_up(self, process_s: float) -> None:
        """Wait until a frame taken now would not wait for the writer, which would only make it older.

        Args:
            process_s: Seconds until the next job is submitted.
        """
        self._queue.wait_until_done(unfinished=0 if self._job_s > process_s else 1)

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error:
            raise error

    def __enter__(self) -> "AsyncWriter":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._queue.end()
        self._thread.join()
        if error is None:  # else the first error says more
            self._raise_error()
