"""Terminal output of a batch: a live table of its workers, or plain lines where there is no terminal."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from hrpose_rt.batch.manifest import Entry
from hrpose_rt.batch.task import Outcome, Task
from hrpose_rt.batch.workers import Progress
from hrpose_rt.cli.display import REFRESH_S
from hrpose_rt.sources.addresses import is_url


@dataclass(slots=True)
class BatchView:
    """Shows what the workers do and how much time is left. A context manager.

    Time left is what the bytes of the videos that have ended took, for the bytes of all others. If videos
    are at URLs, their number counts.
    """

    console: Console
    waiting: Sequence[Entry]
    _live: Live = field(init=False)
    _sizes: dict[str, int] = field(init=False)
    _begin: float = field(default_factory=time.perf_counter)
    _painted: float = 0.0
    _ended_bytes: int = 0
    _ended: int = 0
    _failed: int = 0
    _work: dict[int, tuple[Task, str]] = field(default_factory=dict)  # by worker: its task, how far it is

    def __post_init__(self) -> None:
        self._live = Live(console=self.console, auto_refresh=False, transient=True)
        self._sizes = {entry.name: _size(entry.source) for entry in self.waiting}
        if any(is_url(entry.source) for entry in self.waiting):
            self._sizes = dict.fromkeys(self._sizes, 1)

    def began(self, worker: int, task: Task) -> None:
        """See `View.began`."""
        self._work[worker] = (task, "")

    def progress(self, progress: Progress) -> None:
        """See `View.progress`."""
        task, _ = self._work[progress.worker]
        of = f" of {progress.of}" if progress.of else ""
        self._work[progress.worker] = (task, f"frame {progress.frames}{of}")

    def ended(self, outcome: Outcome) -> None:
        """See `View.ended`."""
        self._work = {n: one for n, one in self._work.items() if one[0] != outcome.task}

    def finished(self, entry: Entry) -> None:
        """See `View.finished`."""
        self._ended += 1
        self._ended_bytes += self._sizes.get(entry.name, 0)
        self._failed += entry.state == "failed"
        if not self.console.is_terminal:
            what = entry.reason or f"{entry.frames} frames, {entry.people} people, {entry.seconds:.1f} s"
            line = f"{self._ended} of {len(self.waiting)}: {entry.name} {entry.state}: {what}"
            self.console.print(line, soft_wrap=True, markup=False)

    def tick(self) -> None:
        """See `View.tick`."""
        now = time.perf_counter()
        if self.console.is_terminal and now - self._painted >= REFRESH_S:
            self._painted = now
            self._live.update(self._table(), refresh=True)

    def _table(self) -> Table:
        failed = f", {self._failed} failed" if self._failed else ""
        view = Table(title=f"{self._ended} of {len(self.waiting)} videos{failed}{self._left()}")
        view.add_column("worker")
        view.add_column("video")
        view.add_column("")
        for number, (task, text) in sorted(self._work.items()):
            view.add_row(str(number), escape(task.name), _step(task) + text)
        return view

    def _left(self) -> str:
        if not self._ended_bytes:
            return ""
        elapsed = time.perf_counter() - self._begin
        left = elapsed * (sum(self._sizes.values()) / self._ended_bytes - 1)
        return f", about {left / 60:.0f} min left" if left >= 60 else f", about {left:.0f} s left"

    def __enter__(self) -> "BatchView":
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.console.is_terminal:
            self._live.stop()


def _step(task: Task) -> str:
    if task.parts:
        return "joining, "
    return f"from {task.part[0].start:.0f} s on, " if task.part else ""


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0
