"""`hrpose-rt run`: people, ids and poses in videos, images and cameras."""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hrpose_rt.cli import options
from hrpose_rt.cli.display import LiveView, describe, latency_table
from hrpose_rt.cli.exit import INTERRUPTED, Terminated, signals_as_exceptions
from hrpose_rt.cli.job import RunJob, ViewerFactory, write_report
from hrpose_rt.cli.models import fetch_models
from hrpose_rt.config import Clip, Settings
from hrpose_rt.console import say
from hrpose_rt.drawing import MIN_SCORE
from hrpose_rt.errors import BadInput
from hrpose_rt.pipeline import PosePipeline
from hrpose_rt.sinks.text import STDOUT
from hrpose_rt.sinks.web import WebView, parse_address
from hrpose_rt.sinks.window import WindowClosed, WindowSink
from hrpose_rt.sources.base import RECONNECT_S
from hrpose_rt.sources.open import expand, open_source
from hrpose_rt.timing import LatencyTable


@options.with_settings(*options.SETTINGS)
def run(
    source: Annotated[
        list[str],
        typer.Argument(help="Videos, images, folders of them, stream addresses, camera numbers."),
    ],
    start: Annotated[
        float, typer.Option(help="Start at this second.", rich_help_panel=options.INPUT)
    ] = 0.0,
    end: Annotated[
        float | None, typer.Option(help="Stop before this second.", rich_help_panel=options.INPUT)
    ] = None,
    stride: Annotated[
        int, typer.Option(help="Process every Nth frame.", rich_help_panel=options.INPUT)
    ] = 1,
    max_frames: Annotated[
        int | None, typer.Option(help="Stop after this many frames.", rich_help_panel=options.INPUT)
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(
            help="Play folders of images as videos with this frame rate.", rich_help_panel=options.INPUT
        ),
    ] = None,
    reconnect: Annotated[
        float,
        typer.Option(
            help="How long to retry a live source that disconnects, in seconds; 0 stops at once.",
            rich_help_panel=options.INPUT,
        ),
    ] = RECONNECT_S,
    save: Annotated[
        str | None,
        typer.Option(
            "--save",
            "-o",
            help="Annotated .mp4 (of images: a folder or an image).",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    audio: Annotated[
        bool, typer.Option(help="Keep the sound of a video that is saved.", rich_help_panel=options.OUTPUT)
    ] = True,
    json_lines: Annotated[
        str | None,
        typer.Option(
            "--json", help="JSON lines, one per frame; - for stdout.", rich_help_panel=options.OUTPUT
        ),
    ] = None,
    csv: Annotated[
        str | None,
        typer.Option(help="CSV, one row per person: box and keypoints.", rich_help_panel=options.OUTPUT),
    ] = None,
    csv_long: Annotated[
        str | None, typer.Option(help="CSV, one row per keypoint.", rich_help_panel=options.OUTPUT)
    ] = None,
    coco: Annotated[
        str | None,
        typer.Option(
            help="COCO results; image_id is the number in the image's name, or the frame.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    annotations: Annotated[
        Path | None,
        typer.Option(help="COCO annotations whose image ids --coco uses.", rich_help_panel=options.OUTPUT),
    ] = None,
    mot: Annotated[
        str | None, typer.Option(help="MOT Challenge tracks.", rich_help_panel=options.OUTPUT)
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="The latency table as JSON.", rich_help_panel=options.OUTPUT)
    ] = None,
    show: Annotated[
        bool,
        typer.Option(
            "--show",
            help="Show a window: space pauses, s saves, b hides boxes, q ends.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = False,
    serve: Annotated[
        str | None,
        typer.Option(
            help="[HOST:]PORT where a browser can watch; loopback without HOST.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            help="What a browser on another machine must give to watch.", rich_help_panel=options.OUTPUT
        ),
    ] = None,
    kpt_score: Annotated[
        float,
        typer.Option(
            help="Do not draw keypoints that score less, 0..1.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = MIN_SCORE,
    trails: Annotated[
        float,
        typer.Option(
            help="Draw where people went in the last seconds.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = 0.0,
    overwrite: options.OverwriteOutput = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Print errors only.", rich_help_panel=options.OUTPUT)
    ] = False,
    debug: options.Debug = False,
    settings: Settings = Settings(),
) -> None:
    """Estimate the poses of all people, and report what every frame cost by how many were in it."""
    _check_drawing(kpt_score, trails)
    clip = Clip(start, end, stride, max_frames, fps)
    # Standard output is for the lines, if they go there; people read the rest.
    console = Console(stderr=json_lines == STDOUT, quiet=quiet, highlight=False)
    with ExitStack() as stack:
        names = expand(source)
        patient = len(names) > 1 and reconnect > 0  # a camera that is off keeps no other one waiting
        sources = [stack.enter_context(open_source(name, clip, reconnect, patient)) for name in names]
        texts = {"json": json_lines, "csv": csv, "csv_long": csv_long, "coco": coco, "mot": mot}
        job = RunJob(sources, save, texts, overwrite, audio, annotations)
        job.check(report)
        for one in sources:
            if not one.info.width:
                say(f"{one.info.name} does not answer yet: it is tried for {reconnect:g} s, the others run")
        viewers: list[ViewerFactory] = []
        if show:
            window = WindowSink("hrpose-rt", min_score=kpt_score)
            stack.callback(window.close)
            viewers.append(lambda info, name: window.for_source(name) if job.concurrent else window)
        if serve:
            web = stack.enter_context(WebView(*parse_address(serve), token or "", kpt_score))
            console.print(f"watch at {web.url}")
            viewers.append(lambda info, name: web.panel(name if job.concurrent else "", name))
        fetch_models(settings.pose, settings.detector)
        pipeline = stack.enter_context(PosePipeline(settings))
        console.print(describe(pipeline.info), soft_wrap=True)
        view = LiveView(Console(stderr=True, quiet=quiet))
        table = LatencyTable()
        status, begin = 0, time.perf_counter()
        try:
            with signals_as_exceptions(), view:
                status = job.run(pipeline, table, view, viewers, kpt_score, trails, in_caller=show)
        except WindowClosed:
            pass
        except Terminated as ended:
            status = ended.status
        except KeyboardInterrupt:
            status = INTERRUPTED
        finally:
            elapsed_s = time.perf_counter() - begin
            try:  # before the table, which fails where nobody reads along; each comes without the other
                if report:
                    facts = pipeline.info.to_dict() | {
                        "following": pipeline.tracking_stats(),
                        "queues": {name: times.to_dict() for name, times in job.queues.items()},
                    }
                    write_report(report, facts, [s.info.name for s in sources], table, job.concurrent)
            finally:
                if table.frames:
                    console.print(
                        f"{table.frames} frames in {elapsed_s:.1f} s, "
                        f"{table.frames / elapsed_s:.1f} a second; the networks waited "
                        f"{job.queues['read'].empty_s:.1f} s for frames to be read and "
                        f"{job.queues['write'].full_s:.1f} s for results to be written\n"
                        "milliseconds a frame, p50 / p95, by people in it:"
                    )
                    console.print(latency_table(table))
    raise typer.Exit(status)


def _check_drawing(kpt_score: float, trails: float) -> None:
    """Raise BadInput before the run if nothing can be drawn like that."""
    if not 0 <= kpt_score <= 1:
        raise BadInput(f"--kpt-score is a score in 0..1, not {kpt_score:g}")
    if trails < 0:
        raise BadInput(f"--trails is a number of seconds, 0 or more, not {trails:g}")
