"""Events wait, are tried again, and are dropped from the oldest on."""

import json
import threading
import time

import pytest

from hrpose_rt.sinks import event_outbox
from hrpose_rt.sinks.endpoints import parse_endpoint
from hrpose_rt.sinks.event_outbox import NotDelivered, Outbox, Refused
from tests.sinks.receivers import wait_for

URL = "https://user:secret@host/secret"


class FakeTransport:
    """Keeps what it is sent, and fails with these errors first. It waits while it is held."""

    def __init__(self, *errors: Exception) -> None:
        self.target = parse_endpoint("webhook", URL, {"https": "https://HOST"})
        self.errors, self.got = list(errors), list[int]()
        self.free, self.closed = threading.Event(), False
        self.free.set()

    def send(self, payload: bytes) -> None:
        self.free.wait()
        if self.errors:
            raise self.errors.pop(0)
        self.got.append(json.loads(payload)["n"])

    def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch) -> None:
    monkeypatch.setattr("hrpose_rt.backoff.FIRST_BACKOFF_S", 0.01)


def test_events_arrive_in_their_order() -> None:
    transport = FakeTransport()
    with Outbox(transport) as outbox:
        for n in range(20):
            outbox.put({"n": n})
    assert transport.got == list(range(20)) and transport.closed
    assert outbox.to_dict() == {"sent": 20, "refused": 0, "dropped": 0}


def test_failed_event_is_sent_again_and_said_once(capsys) -> None:
    transport = FakeTransport(NotDelivered("HTTP 503"), NotDelivered("HTTP 503"))
    with Outbox(transport) as outbox:
        outbox.put({"n": 1})
        outbox.put({"n": 2})
        wait_for(lambda: len(transport.got) == 2)
    assert transport.got == [1, 2]
    said = capsys.readouterr().err
    assert said == (
        "https://host takes no events (HTTP 503): they are sent later; the run goes on\n"
        "https://host takes events now\n"
    )


def test_refused_event_is_counted_and_not_sent_again(capsys) -> None:
    transport = FakeTransport(Refused("HTTP 404"), Refused("HTTP 404"))
    with Outbox(transport) as outbox:
        for n in range(3):
            outbox.put({"n": n})
    assert transport.got == [2]
    assert outbox.to_dict() == {"sent": 1, "refused": 2, "dropped": 0}
    assert capsys.readouterr().err == (
        "https://host refuses an event (HTTP 404): check the address; the run goes on\n"
    )


def test_full_outbox_drops_the_oldest_and_never_waits(monkeypatch) -> None:
    monkeypatch.setattr(event_outbox, "MAX_WAITING", 3)
    transport = FakeTransport()
    transport.free.clear()
    with Outbox(transport) as outbox:
        outbox.put({"n": 0})
        wait_for(lambda: not outbox._waiting)  # the transport has it
        for n in range(1, 11):
            outbox.put({"n": n})
        transport.free.set()
    assert transport.got == [0, 8, 9, 10]
    assert outbox.to_dict() == {"sent": 4, "refused": 0, "dropped": 7}


def test_closing_does_not_wait_for_a_side_that_is_gone(monkeypatch) -> None:
    monkeypatch.setattr(event_outbox, "CLOSING_S", 0.2)
    transport = FakeTransport()
    transport.free.clear()
    outbox = Outbox(transport)
    outbox.put({"n": 0})
    begin = time.monotonic()
    outbox.close()
    assert time.monotonic() - begin < 5
    assert outbox.to_dict() == {"sent": 0, "refused": 0, "dropped": 1}
    transport.free.set()
