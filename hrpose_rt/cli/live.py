"""What a run sends to other machines while it runs: its video and events."""

from functools import partial
from typing import Any

from rich.console import Console

from hrpose_rt.cli.job import ViewerFactory
from hrpose_rt.errors import BadInput
from hrpose_rt.sinks.base import Sink
from hrpose_rt.sinks.event_outbox import Outbox, Transport
from hrpose_rt.sinks.event_transports import MqttBroker, Webhook
from hrpose_rt.sinks.events import EventSink, check_min_fps
from hrpose_rt.sinks.push import PushSink
from hrpose_rt.types import SourceInfo


class LiveOutputs:
    """The live outputs of a run. None of them slows it. A context manager that ends them.

    Args:
        push: Where the annotated video goes, if anywhere.
        mqtt: The topic of a broker that gets the events, if any.
        webhook: The address that gets the events, if any.
        min_fps: Frames per second below which the run is slow; None is the rule of `EventSink`.

    Raises:
        BadInput: One of them is no address of its kind, or `min_fps` is out of range or of no use.
    """

    def __init__(
        self,
        push: str | None = None,
        mqtt: str | None = None,
        webhook: str | None = None,
        min_fps: float | None = None,
    ) -> None:
        if min_fps and not (mqtt or webhook):
            raise BadInput("`min_fps` is about events: add `mqtt` or `webhook`, or leave it out")
        check_min_fps(min_fps or 0.0)
        self._min_fps = min_fps or 0.0
        transports: dict[str, Transport] = {"mqtt": MqttBroker(mqtt)} if mqtt else {}
        transports |= {"webhook": Webhook(webhook)} if webhook else {}
        self._push = PushSink(push) if push else None
        self._outboxes = {name: Outbox(transport) for name, transport in transports.items()}
        self._open: list[PushSink | Outbox] = [*self._outboxes.values()]
        self._open += [self._push] if self._push else []

    def viewers(self, concurrent: bool) -> list[ViewerFactory]:
        """The sinks of these outputs, for every source.

        Raises:
            BadInput: Sources run beside each other, and one stream cannot show all of them.
        """
        push = self._push
        if push and concurrent:
            raise BadInput("`push` shows one source at a time: run each live source by itself")
        viewers: list[ViewerFactory] = [lambda info, name: push.for_source(info)] if push else []
        return [*viewers, *(partial(self._events, outbox) for outbox in self._outboxes.values())]

    def _events(self, outbox: Outbox, info: SourceInfo, name: str) -> Sink:
        return EventSink(info, outbox.put, self._min_fps)

    def close(self) -> None:
        """End all of them. A second call does not wait for any of them again."""
        while self._open:
            self._open.pop().close()

    def to_dict(self) -> dict[str, Any]:
        """What was sent and what was not, for a report."""
        pushed = {"push": self._push.stats.to_dict()} if self._push else {}
        return pushed | {name: outbox.to_dict() for name, outbox in self._outboxes.items()}

    def print_to(self, console: Console) -> None:
        """Say what was sent and what was not."""
        if self._push:
            stats = self._push.stats
            console.print(
                f"{self._push.target}: {stats.sent} frames sent, {stats.dropped} left out, "
                f"{stats.reconnects} reconnections"
            )
        for outbox in self._outboxes.values():
            numbers = ", ".join(f"{number} {what}" for what, number in outbox.to_dict().items())
            console.print(f"{outbox.target}: events: {numbers}")

    def __enter__(self) -> "LiveOutputs":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
