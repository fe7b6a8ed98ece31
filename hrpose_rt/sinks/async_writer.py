"""Writing behind: a thread draws and encodes results while the networks process the next frame."""

import threading
import time
from collections.abc import Callable
from types import TracebackType

from hrpose_rt.queues import BoundedQueue, QueueClosed, QueueTimes

Job = Callable[[], object]


class AsyncWriter:
    """Runs jobs in a separate thread, one after the other. A context manager.

    Leaving the context waits for the submitted jobs. If a job raises an error, the jobs after it are not
    run and leaving raises that error.

    Args:
        size: The number of jobs that may wait.
        times: Counts the waiting times.
        name: Of the thread.
    """

    def __init__(self, size: int, times: QueueTimes | None = None, name: str = "write") -> None:
        self._queue = BoundedQueue[Job](size, times)
        self._thread = threading.Thread(target=self._work, daemon=True, name=name)
        self._error: BaseException | None = None
        self._job_s = 0.0

    def _work(self) -> None:
        try:
            for job in self._queue:
                begin = time.perf_counter()
                job()
                self._job_s = time.perf_counter() - begin
        except BaseException as raised:  # any error is raised in the caller's thread
            self._error = raised
            self._queue.close()

    def start(self) -> None:
        """Begin to run jobs."""
        self._thread.start()

    def end(self) -> None:
        """Wait for the submitted jobs.

        Raises:
            Exception: The error of one of them that `submit` has not raised.
        """
        self._queue.end()
        self._thread.join()
        self._raise_error()

    def submit(self, job: Job) -> None:
        """Add a job to the queue. Waits while the queue is full.

        Raises:
            Exception: The error of an earlier job.
        """
        try:
            self._queue.put(job)
        except QueueClosed:
            self._raise_error()

    def catch_up(self, process_s: float) -> None:
        """Wait until a frame taken now would not have to wait for the writer, which would make it older.

        Args:
            process_s: Seconds until the next job is submitted.
        """
        self._queue.wait_until_done(unfinished=0 if self._job_s > process_s else 1)

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error:
            raise error

    def __enter__(self) -> "AsyncWriter":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.end()
        except BaseException:
            if error is None:  # otherwise the first error says more
                raise
