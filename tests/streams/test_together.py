"""Several sources at once."""

import threading
import time
from collections.abc import Iterator

import numpy as np

from hrpose_rt.errors import RunBroken
from hrpose_rt.streams.sources import SourceInfo
from hrpose_rt.streams.together import Together
from hrpose_rt.types import Frame
from tests.fakes import FakeSource


class Waiting(FakeSource):
    """Gives its frames only once it is let go, and may lose some at its end."""

    def __init__(self, frames: int, loses: bool = False) -> None:
        super().__init__(frames)
        self.go, self._loses = threading.Event(), loses

    def __iter__(self) -> Iterator[Frame]:
        self.go.wait()
        yield from super().__iter__()
        if self._loses:
            raise RunBroken("two frames were lost")


def test_frames_that_are_there_come_together_and_in_order() -> None:
    with Together([FakeSource(frames=5), FakeSource(frames=3)]) as together:
        rounds = list(together)
    for i, frames in ((0, 5), (1, 3)):
        assert [found[i].index for found, _ in rounds if i in found] == list(range(frames))
    assert sum(len(found) == 2 for found, _ in rounds) >= 2
    assert {i: broken for _, ended in rounds for i, broken in ended.items()} == {0: None, 1: None}


def test_nobody_waits_for_a_source_that_has_nothing() -> None:
    late = Waiting(frames=2, loses=True)
    seen, ends = [], {}
    with Together([FakeSource(frames=6), late]) as together:
        for frames, ended in together:
            seen += list(frames)
            ends |= ended
            if 0 in ended:
                late.go.set()
    assert seen == [0] * 6 + [1] * 2
    assert ends[0] is None and str(ends[1]) == "two frames were lost"


def test_a_frame_is_asked_for_only_when_the_round_before_is_done() -> None:
    """What a live source gives then is its newest."""

    class Clockwork:
        info = SourceInfo("clock", "clock", 4, 4, 100.0, None, film=True, live=True)

        def __iter__(self) -> Iterator[Frame]:
            for i in range(4):
                yield Frame(i, np.zeros((4, 4, 3), np.uint8), float(i), time.perf_counter())

    ages = []
    with Together([Clockwork(), Clockwork()]) as together:
        for frames, _ in together:
            ages += [time.perf_counter() - frame.captured_s for frame in frames.values()]
            time.sleep(0.1)
    assert len(ages) == 8 and max(ages) < 0.05
