"""Events of a source: people who enter and leave, and a frame rate that falls too low."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from hrpose_rt.errors import BadInput
from hrpose_rt.result import FrameResult
from hrpose_rt.types import NO_ID, U8, SourceInfo

EVENT_SCHEMA = 1
ENTER_S = 0.5  # a person is seen for this long before the entry is an event
LEAVE_S = 1.0  # a person is gone for this long before the exit is an event
RATE_WINDOW_S = 5.0  # the frame rate is the mean over this time
LIVE_SHARE = 0.9  # share of the frames of a live source that a run should process

Event = dict[str, Any]


def check_min_fps(min_fps: float) -> None:
    """Raise BadInput if `min_fps` is out of range."""
    if not min_fps >= 0:
        raise BadInput(f"`min_fps` is a number of frames per second, 0 or more, not {min_fps:g}")


@dataclass(slots=True)
class _Visit:
    """A person in the picture.

    Attributes:
        first: Time in seconds in the source, and wall-clock time, of the first frame with the person.
        last: The same of the last frame.
        box: The last box, xyxy in pixels.
        entered: Whether the entry was an event.
    """

    first: tuple[float, float]
    last: tuple[float, float]
    box: list[float]
    entered: bool = False


class EventSink:
    """Finds the events of a source and publishes them.

    `enter`: a person with an id was seen for `ENTER_S`. `leave`: that person was not seen for `LEAVE_S`.
    `slow`: the run processed fewer frames per second than it should, over `RATE_WINDOW_S`; `normal`: it
    processes enough again. With a region, people outside of it are not in the results, so they enter and
    leave the region.

    >>> from hrpose_rt import open_source, stream
    >>> from hrpose_rt.sinks.events import EventSink
    >>> with open_source("video.mp4") as source:
    ...     events = EventSink(source.info, publish=print)
    >>> for result in stream("video.mp4"):  # nobody enters this video
    ...     events.write(result, result.frame.image)

    Args:
        info: The source.
        publish: Gets every event. It returns at once.
        min_fps: Frames per second that the run should process; 0 is `LIVE_SHARE` of the frames that a live
            source gives, and no limit for others.

    Raises:
        BadInput: `min_fps` is negative.
    """

    wants_picture = False

    def __init__(self, info: SourceInfo, publish: Callable[[Event], None], min_fps: float = 0.0) -> None:
        check_min_fps(min_fps)
        self._info, self._publish, self._min_fps = info, publish, min_fps
        self._visits: dict[int, _Visit] = {}
        self._window_s, self._frames, self._dropped = 0.0, 0, 0
        self._slow = False

    def write(self, result: FrameResult, picture: U8) -> None:
        """See `Sink.write`."""
        age_s = time.perf_counter() - result.frame.captured_s
        now = (result.frame.time_s, time.time() - age_s)
        self._follow(result, now)
        self._leave(now)
        self._watch_rate(result, now)

    def _follow(self, result: FrameResult, now: tuple[float, float]) -> None:
        """Note the people of a frame, and publish entries."""
        boxes = result.detections.boxes.astype(np.float64).round(1).tolist()
        for i, box in zip(result.track_ids.tolist(), boxes, strict=True):
            if i == NO_ID:
                continue
            visit = self._visits.setdefault(i, _Visit(now, now, box))
            visit.last, visit.box = now, box
            if not visit.entered and now[0] - visit.first[0] >= ENTER_S:
                visit.entered = True
                self._send("enter", visit.first, id=i, box=box)

    def _leave(self, now: tuple[float, float]) -> None:
        """Forget people who are gone, and publish exits."""
        gone = {i: v for i, v in self._visits.items() if now[0] - v.last[0] >= LEAVE_S}
        for i, visit in gone.items():
            del self._visits[i]
            if visit.entered:
                self._send("leave", visit.last, id=i, box=visit.box)

    def _watch_rate(self, result: FrameResult, now: tuple[float, float]) -> None:
        """Publish a frame rate that becomes too low, or sufficient again."""
        clock = time.perf_counter()
        if not self._window_s:  # what was dropped before the first frame came while the networks opened
            self._window_s = clock
            return
        self._frames += 1
        self._dropped += result.frame.dropped
        elapsed_s = clock - self._window_s
        if elapsed_s >= RATE_WINDOW_S:
            given = self._frames + self._dropped
            limit = self._min_fps or (LIVE_SHARE * given / elapsed_s if self._info.is_live else 0.0)
            fps = self._frames / elapsed_s
            if (fps < limit) != self._slow:
                self._slow = not self._slow
                rates = {"fps": round(fps, 2), "limit_fps": round(limit, 2)}
                self._send("slow" if self._slow else "normal", now, **rates)
            self._window_s, self._frames, self._dropped = clock, 0, 0

    def _send(self, kind: str, at: tuple[float, float], **facts: Any) -> None:
        time_s, wall_s = at
        wall = datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds")
        self._publish(
            {
                "schema": EVENT_SCHEMA,
                "type": kind,
                "source": self._info.name,
                "time_s": round(time_s, 3),
                "at": wall.replace("+00:00", "Z"),
                **facts,
                "people": sum(visit.entered for visit in self._visits.values()),
            }
        )

    def close(self) -> None:
        """Do nothing: people who are there at the end have not left."""
