"""Several sources at once."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.sources.multi import MultiSource, check_sources
from hrpose_rt.types import Frame, SourceInfo
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


def test_multi_source_batches_ready_frames_in_order() -> None:
    with MultiSource([FakeSource(frames=5), FakeSource(frames=3)]) as together:
        rounds = list(together)
    for i, frames in ((0, 5), (1, 3)):
        assert [found[i].index for found, _ in rounds if i in found] == list(range(frames))
    assert sum(len(found) == 2 for found, _ in rounds) >= 2
    assert {i: broken for _, ended in rounds for i, broken in ended.items()} == {0: None, 1: None}


def test_multi_source_does_not_wait_for_silent_source() -> None:
    late = Waiting(frames=2, loses=True)
    seen, ends = [], {}
    with MultiSource([FakeSource(frames=6), late]) as together:
        for frames, ended in together:
            seen += list(frames)
            ends |= ended
            if 0 in ended:
                late.go.set()
    assert seen == [0] * 6 + [1] * 2
    assert ends[0] is None and str(ends[1]) == "two frames were lost"


def test_multi_source_reads_next_frame_only_after_round_is_done() -> None:
    """What a live source gives then is its newest."""

    class Clockwork:
        info = SourceInfo("clock", "clock", 4, 4, 100.0, None, is_video=True, is_live=True)

        def __iter__(self) -> Iterator[Frame]:
            for i in range(4):
                yield Frame(i, np.zeros((4, 4, 3), np.uint8), float(i), time.perf_counter())

    ages = []
    with MultiSource([Clockwork(), Clockwork()]) as together:
        for frames, _ in together:
            ages += [time.perf_counter() - frame.captured_s for frame in frames.values()]
            time.sleep(0.1)
    assert len(ages) == 8 and max(ages) < 0.05


class Slow(FakeSource):
    """Notices whether it is read after the caller closed it."""

    closed = read_afterwards = False

    def __iter__(self) -> Iterator[Frame]:
        for frame in super().__iter__():
            time.sleep(0.05)
            self.read_afterwards |= self.closed
            yield frame


def test_multi_source_exit_waits_for_reader_threads() -> None:
    slow = Slow(frames=50)
    with MultiSource([FakeSource(frames=50), slow]) as together:
        for _ in together:
            break
    slow.closed = True
    time.sleep(0.1)
    assert not slow.read_afterwards
    assert not any(thread.is_alive() for thread in together._threads)


def test_multi_source_exit_does_not_wait_for_silent_live_source(monkeypatch) -> None:
    monkeypatch.setattr("hrpose_rt.sources.multi.CLOSING_S", 0.05)
    silent = Waiting(frames=1)
    silent.info = replace(silent.info, is_live=True)
    begin = time.perf_counter()
    with MultiSource([FakeSource(frames=5), silent]) as together:
        for _ in together:
            break
    assert time.perf_counter() - begin < 5
    silent.go.set()


@pytest.mark.parametrize("error", [ValueError("camera lost"), SystemExit(3), BadInput("no picture")])
def test_multi_source_reraises_source_error_after_its_frames(error: BaseException) -> None:
    class Raises(FakeSource):
        def __iter__(self) -> Iterator[Frame]:
            yield from super().__iter__()
            raise error

    seen = []
    with MultiSource([Raises(frames=3)]) as together, pytest.raises(type(error)) as raised:
        for frames, _ in together:
            seen += [frame.index for frame in frames.values()]
    assert raised.value is error
    assert seen == [0, 1, 2]


def test_multi_source_reraises_error_of_failing_iterator() -> None:
    class None_(FakeSource):
        def __iter__(self) -> Iterator[Frame]:
            raise OSError("no such device")

    with MultiSource([FakeSource(frames=1), None_(frames=1)]) as together:
        with pytest.raises(OSError, match="no such device"):
            list(together)


def test_multi_source_rejects_same_source_twice() -> None:
    source = FakeSource(frames=2)
    with pytest.raises(BadInput, match="a source is given twice: open it once for each"):
        check_sources([source, FakeSource(frames=1), source])


@pytest.mark.parametrize(
    ("given", "kind"),
    [(["a.mp4"], "str"), ("a.mp4", "str"), (None, "NoneType"), (FakeSource(), "FakeSource"), (1, "int")],
)
def test_what_is_no_list_of_sources_is_refused(given, kind) -> None:
    with pytest.raises(BadInput, match=f"`sources` is a list of opened sources, not {kind}: open them"):
        check_sources(given)


def test_sources_may_come_from_a_generator() -> None:
    assert len(check_sources(FakeSource() for _ in range(2))) == 2


def test_multi_source_refuses_what_is_no_frame() -> None:
    class Arrays(FakeSource):
        def __iter__(self) -> Iterator[np.ndarray]:
            yield np.zeros((4, 4, 3), np.uint8)

    with MultiSource([Arrays()]) as together, pytest.raises(BadInput, match="gives ndarray: a source"):
        list(together)
