"""The steps of `hrpose-rt run`, in their order."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from rich.console import Console

from hrpose_rt.cli.display import LiveView, latency_table
from hrpose_rt.cli.exit import status_after
from hrpose_rt.cli.job import RunJob, ViewerFactory
from hrpose_rt.cli.live import LiveOutputs
from hrpose_rt.cli.report import write_report
from hrpose_rt.config import Clip, Settings
from hrpose_rt.console import say
from hrpose_rt.drawing.style import DrawStyle
from hrpose_rt.pipeline import PosePipeline
from hrpose_rt.result import latency_field
from hrpose_rt.run_info import Outages
from hrpose_rt.sinks.web import WebView
from hrpose_rt.sinks.window import WindowClosed, WindowSink
from hrpose_rt.sources.base import Source
from hrpose_rt.sources.open import open_source
from hrpose_rt.timing import LatencyTable


def open_sources(
    stack: ExitStack, names: list[str], clip: Clip, reconnect_s: float, hwaccel: str
) -> list[Source]:
    """Open the sources until `stack` ends. Beside others, one that does not answer yet is no error."""
    patient = len(names) > 1 and reconnect_s > 0  # a camera that is off keeps no other one waiting
    return [stack.enter_context(open_source(name, clip, reconnect_s, patient, hwaccel)) for name in names]


def files_read(names: list[str], settings: Settings, *others: Path | None) -> list[str]:
    """The files that a run reads besides videos and images: lists, boxes, networks and `others`."""
    chosen = (settings.boxes, settings.region, settings.ignore_region, settings.skeleton)
    networks = (settings.pose, settings.detector)
    every = [*names, *chosen, *networks, *(str(other) for other in others if other)]
    return [name for name in every if os.path.isfile(name)]  # false for what is no path


def name_silent(sources: list[Source], reconnect_s: float) -> None:
    """Say which sources give no picture yet."""
    others = ", the others run" if len(sources) > 1 else ""
    for one in sources:
        if not one.info.width:
            say(f"{one.info.name} gives no picture yet: it is tried for {reconnect_s:g} s{others}")


def show_window(stack: ExitStack, job: RunJob, style: DrawStyle) -> ViewerFactory:
    """Open a window until `stack` ends."""
    window = WindowSink("hrpose-rt", style=style)
    stack.callback(window.close)
    return lambda info, name: window.for_source(name) if job.concurrent else window


def show_page(web: WebView, job: RunJob) -> ViewerFactory:
    """The page has a picture for each source that runs at the same time."""
    return lambda info, name: web.panel(name if job.concurrent else "", name)


def run_until_stopped(
    job: RunJob,
    pipeline: PosePipeline,
    table: LatencyTable,
    viewers: list[ViewerFactory],
    style: DrawStyle,
    show: bool,
    quiet: bool,
) -> int:
    """Run to the end, or until a signal or the window stops it; the exit status."""
    view = LiveView(Console(stderr=True, quiet=quiet))
    try:
        with view:
            return job.run(pipeline, table, view, viewers, style, in_caller=show)
    except WindowClosed:
        return 0
    except KeyboardInterrupt as ended:
        return status_after(ended)


@contextmanager
def summed_up(
    console: Console,
    report: Path | None,
    facts: Mapping[str, Any],
    job: RunJob,
    pipeline: PosePipeline,
    table: LatencyTable,
    live: LiveOutputs,
) -> Iterator[None]:
    """At the end, however it comes about, write the report and print the table.

    Args:
        facts: What the report says of the run besides its figures.
    """
    begin = time.perf_counter()
    try:
        yield
    finally:
        elapsed_s = time.perf_counter() - begin
        with suppress(KeyboardInterrupt):  # who sends a second signal does not wait for the network
            live.close()  # now it is known what was sent
        try:  # before the table, which fails where nobody reads along; each comes without the other
            if report:
                write_report(report, {**facts, **_figures(job, pipeline, table), **live.to_dict()})
        finally:
            live.print_to(console)
            if table.frames:
                console.print(_in_words(job, table, elapsed_s, pipeline.info.outages))
                console.print(latency_table(table))


def _figures(job: RunJob, pipeline: PosePipeline, table: LatencyTable) -> dict[str, Any]:
    on_server = pipeline.info.pose.device == "server"
    return {
        **({"server": pipeline.info.outages.to_dict()} if on_server else {}),
        "following": pipeline.tracking_stats(),
        "queues": {name: times.to_dict() for name, times in job.queues.items()},
        "frames": table.frames,
        "dropped": job.dropped,
        latency_field(job.concurrent): table.to_dict(),
    }


def _in_words(job: RunJob, table: LatencyTable, elapsed_s: float, outages: Outages) -> str:
    lost = (
        f"the Triton server was away {outages.count} times, {outages.away_s:.1f} s in all; live sources "
        f"dropped {job.dropped} frames\n"
    )
    return lost * bool(outages.count) + (
        f"{table.frames} frames in {elapsed_s:.1f} s, {table.frames / elapsed_s:.1f} a second; "
        f"the networks waited {job.queues['read'].empty_s:.1f} s for frames to be read and "
        f"{job.queues['write'].full_s:.1f} s for results to be written\n"
        "milliseconds a frame, p50 / p95, by people in it:"
    )
