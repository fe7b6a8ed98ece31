"""The queue between two threads."""

import threading
import time

import pytest

from hrpose_rt.queues import MAX_FRAMES, BoundedQueue, QueueClosed, QueueTimes, frames_that_fit
from hrpose_rt.types import SourceInfo


def fill(queue: BoundedQueue[int], items: int, error: BaseException | None = None) -> threading.Thread:
    def produce() -> None:
        for i in range(items):
            queue.put(i)
        queue.end(error)

    thread = threading.Thread(target=produce, daemon=True)
    thread.start()
    return thread


def test_queue_keeps_the_order_and_ends() -> None:
    queue = BoundedQueue[int](2)
    fill(queue, 100)
    assert list(queue) == list(range(100))


def test_queue_raises_the_producers_error_after_the_last_item() -> None:
    got: list[int] = []
    queue = BoundedQueue[int](2)
    fill(queue, 3, ValueError("broken"))
    with pytest.raises(ValueError, match="broken"):
        for item in queue:
            got.append(item)
    assert got == [0, 1, 2]


def test_queue_holds_no_more_than_its_size() -> None:
    queue = BoundedQueue[int](2)
    thread = fill(queue, 5)
    thread.join(0.2)
    assert thread.is_alive()
    items = iter(queue)
    assert next(items) == 0
    assert list(items) == [1, 2, 3, 4]
    thread.join(5)
    assert not thread.is_alive()


def test_closing_wakes_a_waiting_producer() -> None:
    queue, raised = BoundedQueue[int](1), threading.Event()

    def produce() -> None:
        try:
            while True:
                queue.put(0)
        except QueueClosed:
            raised.set()

    threading.Thread(target=produce, daemon=True).start()
    time.sleep(0.05)
    queue.close()
    assert raised.wait(5)
    assert list(queue) == []


def test_waiting_is_counted_on_the_side_that_waits() -> None:
    slow_consumer, slow_producer = QueueTimes(), QueueTimes()
    queue = BoundedQueue[int](1, slow_consumer)
    fill(queue, 4)
    for _ in queue:
        time.sleep(0.05)
    assert slow_consumer.full_s > 0.08 > slow_consumer.empty_s
    queue = BoundedQueue[int](1, slow_producer)

    def produce() -> None:
        for i in range(3):
            time.sleep(0.05)
            queue.put(i)
        queue.end()

    threading.Thread(target=produce, daemon=True).start()
    assert len(list(queue)) == 3
    assert slow_producer.empty_s > 0.08 > slow_producer.full_s


def test_waiting_until_done_counts_the_item_in_the_consumers_hands() -> None:
    queue, done = BoundedQueue[int](2), list[int]()

    def consume() -> None:
        for item in queue:
            time.sleep(0.05)
            done.append(item)

    threading.Thread(target=consume, daemon=True).start()
    for i in range(2):
        queue.put(i)
    queue.wait_until_done(unfinished=1)
    assert done == [0]
    queue.wait_until_done()
    assert done == [0, 1]


@pytest.mark.parametrize(
    ("width", "height", "frames"), [(1280, 720, MAX_FRAMES), (6000, 4000, 1), (0, 0, MAX_FRAMES)]
)
def test_large_frames_take_fewer_places(width: int, height: int, frames: int) -> None:
    info = SourceInfo("a", "a", width, height, 25.0, None, is_video=True, is_live=False)
    assert frames_that_fit(info) == frames
