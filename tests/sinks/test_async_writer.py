"""Jobs done behind the networks, in order."""

import threading
import time

import pytest

from hrpose_rt.queues import QueueTimes
from hrpose_rt.sinks.async_writer import AsyncWriter


def test_jobs_are_done_in_order_by_another_thread() -> None:
    done: list[tuple[int, int]] = []
    with AsyncWriter(2) as writer:
        for i in range(20):
            writer.submit(lambda i=i: done.append((i, threading.get_ident())))
    assert [i for i, _ in done] == list(range(20))
    assert {thread for _, thread in done} != {threading.get_ident()}


def test_a_jobs_error_reaches_the_submitter_and_ends_the_jobs() -> None:
    done: list[int] = []

    def fail() -> None:
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space left"), AsyncWriter(2) as writer:
        writer.submit(fail)
        for i in range(100):
            writer.submit(lambda i=i: done.append(i))
            time.sleep(0.001)
    assert len(done) == 0


def test_leaving_raises_the_last_jobs_error() -> None:
    def fail() -> None:
        time.sleep(0.02)
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space left"), AsyncWriter(2) as writer:
        writer.submit(fail)


def test_an_error_of_the_submitter_is_the_one_that_is_raised() -> None:
    done: list[int] = []
    with pytest.raises(KeyboardInterrupt), AsyncWriter(2) as writer:
        writer.submit(lambda: done.append(0))
        raise KeyboardInterrupt
    assert done == [0]


def test_waiting_for_the_writer_is_counted() -> None:
    times = QueueTimes()
    with AsyncWriter(1, times) as writer:
        for _ in range(5):
            writer.submit(lambda: time.sleep(0.03))
    assert times.full_s > 0.05


def test_a_live_frame_is_taken_when_it_need_not_wait_for_the_writer() -> None:
    with AsyncWriter(2) as writer:
        for process_s, limit in ((1.0, 1), (0.001, 0)):
            unfinished = [3]

            def job(unfinished: list[int] = unfinished) -> None:
                time.sleep(0.03)
                unfinished[0] -= 1

            for _ in range(3):
                writer.submit(job)
            writer.catch_up(process_s)
            assert unfinished[0] <= limit
            writer.catch_up(0.0)
