"""What a run sends to other machines while it runs: its video."""

from typing import Any

from rich.console import Console

from hrpose_rt.cli.job import ViewerFactory
from hrpose_rt.errors import BadInput
from hrpose_rt.sinks.push import PushSink


class LiveOutputs:
    """The live outputs of a run. None of them slows it. A context manager that ends them.

    Args:
        push: Where the annotated video goes, if anywhere.
    """

    def __init__(self, push: str | None = None) -> None:
        self._push = PushSink(push) if push else None

    def viewers(self, concurrent: bool) -> list[ViewerFactory]:
        """The sinks of these outputs, for every source.

        Raises:
            BadInput: Sources run beside each other, and one stream cannot show all of them.
        """
        push = self._push
        if push and concurrent:
            raise BadInput("`push` shows one source at a time: run each live source by itself")
        return [lambda info, name: push.for_source(info)] if push else []

    def close(self) -> None:
        """End all of them."""
        if self._push:
            self._push.close()

    def to_dict(self) -> dict[str, Any]:
        """What was sent and what was not, for a report."""
        return {"push": self._push.stats.to_dict()} if self._push else {}

    def print_to(self, console: Console) -> None:
        """Say what was sent and what was not."""
        if self._push:
            stats = self._push.stats
            console.print(
                f"{self._push.target}: {stats.sent} frames sent, {stats.dropped} left out, "
                f"{stats.reconnects} reconnections"
            )

    def __enter__(self) -> "LiveOutputs":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
