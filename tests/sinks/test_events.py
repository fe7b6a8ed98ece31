"""Who entered and left, and when a run is too slow."""

import time
from dataclasses import replace

import numpy as np
import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.result import FrameResult
from hrpose_rt.sinks import events
from hrpose_rt.sinks.events import EventSink
from hrpose_rt.types import Detections, Frame, Poses
from tests.sinks.test_video import info, results

BOX = [10.1, 20.2, 30.3, 60.4]  # tenths that float32 does not hold exactly


def frame(time_s: float, *ids: int, dropped: int = 0) -> FrameResult:
    """A frame in which these people are."""
    (empty,) = results(1)
    n = len(ids)
    return replace(
        empty,
        frame=Frame(0, empty.frame.image, time_s, time.perf_counter(), dropped),
        detections=Detections.found(np.array([BOX] * n, np.float32).reshape(n, 4), np.ones(n, np.float32)),
        poses=Poses.estimated(np.zeros((n, 17, 2), np.float32), np.zeros((n, 17), np.float32)),
        track_ids=np.array(ids, np.int64),
    )


def published(frames: list[FrameResult], **options) -> list[dict]:
    found: list[dict] = []
    sink = EventSink(info(), found.append, **options)
    for result in frames:
        sink.write(result, result.frame.image)
    sink.close()
    return found


def test_person_enters_after_half_a_second_and_leaves_after_a_second() -> None:
    seen = [frame(i / 10, 7) for i in range(10)]  # 0.0 to 0.9 s
    gone = [frame(i / 10) for i in range(10, 30)]
    enter, leave = published(seen + gone)
    assert (enter["type"], enter["id"], enter["time_s"], enter["people"]) == ("enter", 7, 0.0, 1)
    assert (leave["type"], leave["id"], leave["time_s"], leave["people"]) == ("leave", 7, 0.9, 0)
    assert enter["box"] == leave["box"] == BOX
    assert (enter["schema"], enter["source"]) == (1, "in.mp4")


def test_event_has_the_wall_clock_time_of_its_frame() -> None:
    begin = time.time()
    (enter,) = published([frame(0.0, 1), frame(0.6, 1)])
    stamp = np.datetime64(enter["at"].removesuffix("Z")).astype("datetime64[ms]").astype(float) / 1e3
    assert enter["at"].endswith("Z") and abs(stamp - begin) < 60


def test_short_visit_and_short_absence_are_no_events() -> None:
    assert published([frame(0.0, 1), frame(0.4, 1), frame(2.0), frame(4.0)]) == []
    flicker = [frame(i / 10, *([1] if i % 5 == 0 else [])) for i in range(30)]
    assert [event["type"] for event in published(flicker)] == ["enter"]


def test_unconfirmed_person_makes_no_event() -> None:
    assert published([frame(i / 10, -1) for i in range(30)]) == []


def test_people_counts_those_who_entered_and_have_not_left() -> None:
    frames = [frame(i / 10, 1) for i in range(10)] + [frame(1 + i / 10, 1, 2) for i in range(10)]
    frames += [frame(2 + i / 10, 2) for i in range(20)]
    assert [(e["type"], e["id"], e["people"]) for e in published(frames)] == [
        ("enter", 1, 1),
        ("enter", 2, 2),
        ("leave", 1, 1),
    ]


class Clock:
    """A clock that the test moves."""

    def __init__(self, monkeypatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(events.time, "perf_counter", lambda: self.now)


def rates(monkeypatch, live: bool, per_second: list[tuple[int, int]], min_fps: float = 0.0) -> list[tuple]:
    """The rate events where each second has this many processed and dropped frames."""
    clock, found = Clock(monkeypatch), []
    sink = EventSink(replace(info(), is_live=live), found.append, min_fps)
    for processed, dropped in per_second:
        for i in range(processed):
            result = frame(clock.now, dropped=dropped if i == processed - 1 else 0)
            sink.write(result, result.frame.image)
            clock.now = round(clock.now + 1 / processed, 6)
    return [(e["type"], round(e["fps"]), round(e["limit_fps"])) for e in found]


def test_live_source_whose_frames_are_dropped_is_slow_until_they_are_not(monkeypatch) -> None:
    seconds = [(10, 10)] * 5 + [(20, 0)] * 11
    assert rates(monkeypatch, True, seconds) == [("slow", 10, 18), ("normal", 20, 18)]


def test_few_dropped_frames_and_files_are_no_events(monkeypatch) -> None:
    assert rates(monkeypatch, True, [(19, 1)] * 20) == []
    assert rates(monkeypatch, False, [(2, 0)] * 20) == []


def test_frames_dropped_while_the_networks_opened_are_not_slow(monkeypatch) -> None:
    assert rates(monkeypatch, True, [(1, 100)] + [(20, 0)] * 11) == []


def test_min_fps_is_a_limit_for_files_too(monkeypatch) -> None:
    assert rates(monkeypatch, False, [(5, 0)] * 5 + [(20, 0)] * 11, min_fps=10) == [
        ("slow", 5, 10),
        ("normal", 20, 10),
    ]


def test_negative_min_fps_is_refused() -> None:
    words = "`min_fps` is a number of frames per second, 0 or more, not -1"
    with pytest.raises(BadInput, match=words):
        EventSink(info(), print, -1)
