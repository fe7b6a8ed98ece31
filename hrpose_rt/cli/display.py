"""Terminal output: a live line or two during a run, and the latency table at its end."""

import time
from collections import deque
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hrpose_rt.result import FrameResult
from hrpose_rt.run_info import RunInfo
from hrpose_rt.timing import LatencyTable
from hrpose_rt.types import STAGES, SourceInfo

REFRESH_S = 0.25
RECENT = 30  # frames that the live values are averaged over


class _Watched:
    """The last frames of one source."""

    def __init__(self, name: str, frames: int | None) -> None:
        self._name, self._frames = name, frames
        self._recent: deque[tuple[float, FrameResult]] = deque(maxlen=RECENT)
        self.done = 0

    def add(self, now: float, result: FrameResult) -> None:
        self.done += 1
        self._recent.append((now, result))

    def picture(self) -> Group:
        times = [result.times for _, result in self._recent]
        span = self._recent[-1][0] - self._recent[0][0]
        fps = (len(times) - 1) / span if span else 0.0
        latest = self._recent[-1][1]
        stages = "  ".join(
            f"{name} {sum(getattr(t, name) for t in times) / len(times):.1f}"
            for name in (*STAGES, "total", "age")
        )
        of = f"/{self._frames}" if self._frames else ""
        head = Text.assemble(
            (self._name, "bold"),
            f"  frame {self.done}{of}  people {len(latest)}  {fps:.1f} fps",
        )
        lines = [head, Text(f"ms  {stages}", style="dim")]
        if self._frames:
            return Group(*lines, ProgressBar(total=self._frames, completed=self.done))
        return Group(*lines)


class LiveView:
    """Shows the progress of a run if `console` is a terminal. A context manager.

    It has no thread: `update` repaints it a few times per second.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._painted = 0.0
        self._sources: dict[str, _Watched] = {}

    def begin(self, name: str, info: SourceInfo) -> None:
        """Add a source."""
        self._sources[name] = _Watched(name, info.frames)

    def update(self, name: str, result: FrameResult) -> None:
        """Show a finished frame of a source."""
        now = time.perf_counter()
        self._sources[name].add(now, result)
        if self._console.is_terminal and now - self._painted >= REFRESH_S:
            self._painted = now
            self._live.update(Group(*(w.picture() for w in self._sources.values() if w.done)), refresh=True)

    def end(self, name: str) -> None:
        """Remove a source."""
        del self._sources[name]

    def __enter__(self) -> "LiveView":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()


def latency_table(table: LatencyTable) -> Table:
    """p50 / p95 of every stage in milliseconds, with a column for each crowd bin that occurred."""
    bins = table.bins()
    view = Table()
    view.add_column("people")
    for label in bins:
        view.add_column(label, justify="right", no_wrap=True)
    counts = [str(table.histogram(label, "total").count) for label in bins]
    view.add_row("frames", *counts, end_section=True)
    for row in table.ROWS:
        cells = []
        for label in bins:
            histogram = table.histogram(label, row)
            cells.append(f"{histogram.percentile(50):.1f} / {histogram.percentile(95):.1f}")
        total = row == "total"
        view.add_row(row, *cells, style="bold" if total else None, end_section=total or row == STAGES[-1])
    return view


def describe(info: RunInfo) -> str:
    """Describe the networks, their devices and their precisions in one line."""
    pose, detector, hardware = info.pose, info.detector, info.hardware
    features = ", ".join(hardware.cpu_features) or "features unknown"
    people = f"people from {detector.model}"
    if detector.precision:
        people = f"people {detector.model} on {detector.runtime} {detector.precision}"
    return (
        f"pose {pose.model} {pose.input} on {pose.runtime} {pose.precision} "
        f"({pose.device}: {pose.reason}), {people}; {hardware.threads} threads of {hardware.cpu} "
        f"({features})"
    )
