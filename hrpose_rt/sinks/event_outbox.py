"""Events wait here until they are delivered, without slowing the run."""

import threading
from collections import deque
from typing import Any, Protocol

import msgspec

from hrpose_rt.backoff import backoff
from hrpose_rt.console import say
from hrpose_rt.sinks.endpoints import Endpoint

MAX_WAITING = 1000  # events that wait for a connection
CLOSING_S = 3.0  # how long closing waits for the events that are left


class NotDelivered(Exception):
    """The other side cannot be reached at the moment; the message says why."""


class Refused(Exception):
    """The other side does not want this event, and would not want it later; the message says why."""


class Transport(Protocol):
    """Delivers events to an address.

    Attributes:
        target: The address, which is a text without secrets.
    """

    target: Endpoint

    def send(self, payload: bytes) -> None:
        """Deliver an event; raise NotDelivered or Refused."""

    def close(self) -> None:
        """End the connection."""


class Outbox:
    """Delivers events in their order, in a thread. A context manager.

    At most `MAX_WAITING` events wait; the oldest are dropped for newer ones. An event that could not be
    delivered is tried again, with growing pauses. It may arrive twice if only the answer was lost.

    Args:
        transport: Delivers an event. It is closed at the end.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._waiting: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._ended = threading.Event()
        self._given = self._sent = self._refused = 0
        self._failing = False
        self._thread = threading.Thread(target=self._work, daemon=True, name="events")
        self._thread.start()

    @property
    def target(self) -> Endpoint:
        """The address, which is a text without secrets."""
        return self._transport.target

    def put(self, event: dict[str, Any]) -> None:
        """Add an event. Returns at once."""
        with self._changed:
            self._given += 1
            self._waiting.append(msgspec.json.encode(event))
            if len(self._waiting) > MAX_WAITING:
                self._waiting.popleft()
            self._changed.notify()

    def close(self) -> None:
        """Deliver what waits, if the other side answers soon."""
        self._ended.set()
        with self._changed:
            self._changed.notify()
        self._thread.join(CLOSING_S)

    def to_dict(self) -> dict[str, int]:
        """Numbers of events that were sent, refused by the other side, and dropped, after closing."""
        sent, refused = self._sent, self._refused
        return {"sent": sent, "refused": refused, "dropped": self._given - sent - refused}

    def _take(self) -> bytes | None:
        """Wait for the oldest event; None after the last."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ended.is_set())
            return self._waiting.popleft() if self._waiting else None

    def _work(self) -> None:
        pauses = backoff()
        while (event := self._take()) is not None:
            try:
                self._transport.send(event)
            except Refused as error:
                self._refused += 1
                if self._refused == 1:
                    say(f"{self.target} refuses an event ({error}): check the address; the run goes on")
            except NotDelivered as error:
                self._put_back(event)
                if not self._failing:
                    self._failing = True
                    say(f"{self.target} takes no events ({error}): they are sent later; the run goes on")
                if self._ended.wait(next(pauses)):
                    break
            else:
                self._sent += 1
                pauses = backoff()
                if self._failing:
                    self._failing = False
                    say(f"{self.target} takes events now")
        self._transport.close()

    def _put_back(self, event: bytes) -> None:
        """Put the event at the head again, unless newer ones fill the queue."""
        with self._changed:
            if len(self._waiting) < MAX_WAITING:
                self._waiting.appendleft(event)

    def __enter__(self) -> "Outbox":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
