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
from hrpose_rt.cli.live import LiveOutputs
from hrpose_rt.cli.models import fetch_models
from hrpose_rt.config import Clip, Settings
from hrpose_rt.console import say
from hrpose_rt.drawing.style import MIN_SCORE, DrawStyle, parse_labels
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
        float,
        options.input_option(
            parser=options.parse_seconds, metavar="TIME", help="Start at this second, or at 1:30."
        ),
    ] = 0.0,
    end: Annotated[
        float | None,
        options.input_option(
            parser=options.parse_seconds, metavar="TIME", help="Stop before this second, or before 2:00."
        ),
    ] = None,
    stride: Annotated[int, options.input_option(help="Process every Nth frame.")] = 1,
    max_frames: Annotated[int | None, options.input_option(help="Stop after this many frames.")] = None,
    fps: Annotated[
        float | None,
        options.input_option(help="Play folders of images as videos with this frame rate."),
    ] = None,
    reconnect: Annotated[
        float,
        options.input_option(
            help="How long to retry a live source that disconnects, in seconds; 0 stops at once."
        ),
    ] = RECONNECT_S,
    save: Annotated[
        str | None,
        options.output_option("--save", "-o", help="Annotated .mp4 (of images: a folder or an image)."),
    ] = None,
    audio: Annotated[bool, options.output_option(help="Keep the sound of a video that is saved.")] = True,
    json_lines: Annotated[
        str | None,
        options.output_option("--json", help="JSON lines, one per frame; - for stdout."),
    ] = None,
    csv: Annotated[
        str | None,
        options.output_option(help="CSV, one row per person: box and keypoints."),
    ] = None,
    csv_long: Annotated[str | None, options.output_option(help="CSV, one row per keypoint.")] = None,
    coco: Annotated[
        str | None,
        options.output_option(
            help="COCO results; image_id is the number in the image's name, or the frame."
        ),
    ] = None,
    annotations: Annotated[
        Path | None,
        options.output_option(help="COCO annotations whose image ids --coco uses."),
    ] = None,
    mot: Annotated[str | None, options.output_option(help="MOT Challenge tracks.")] = None,
    angles: Annotated[
        str | None,
        options.output_option(help="CSV, one row per person: joint and segment angles in degrees."),
    ] = None,
    report: Annotated[Path | None, options.output_option(help="The latency table as JSON.")] = None,
    show: Annotated[
        bool,
        options.output_option(
            "--show", help="Show a window: space pauses, s saves, b hides boxes, q ends."
        ),
    ] = False,
    serve: Annotated[
        str | None,
        options.output_option(help="[HOST:]PORT where a browser can watch; loopback without HOST."),
    ] = None,
    token: Annotated[
        str | None,
        options.output_option(help="What a browser on another machine must give to watch."),
    ] = None,
    push: Annotated[
        str | None,
        options.output_option(help="Stream the annotated video to an rtmp, rtsp, srt, udp or tcp address."),
    ] = None,
    kpt_score: Annotated[
        float,
        options.output_option(help="Do not draw keypoints that score less, 0..1."),
    ] = MIN_SCORE,
    trails: Annotated[
        float,
        options.output_option(help="Draw where people went in the last seconds."),
    ] = 0.0,
    canvas: Annotated[
        str,
        options.output_option(help="Draw on the video, on a blur of it that hides who it is, or on black."),
    ] = "video",
    panel: Annotated[
        bool,
        options.output_option("--panel/--no-panel", help="Write the stages' milliseconds into the corner."),
    ] = True,
    color: Annotated[
        str, options.output_option(help="Colour limbs by side, person (their id) or score.")
    ] = "side",
    line_width: Annotated[
        int, options.output_option(help="Width of limbs in pixels; 0 fits the person's height.")
    ] = 0,
    labels: Annotated[
        str, options.output_option(help="What labels say: id,score or one of them or none.")
    ] = "id,score",
    blur_faces: Annotated[
        bool,
        options.output_option("--blur-faces", help="Blur the heads of the people found, in all pictures."),
    ] = False,
    overwrite: options.OverwriteOutput = False,
    quiet: Annotated[bool, options.output_option("--quiet", help="Print errors only.")] = False,
    debug: options.Debug = False,
    settings: Settings = Settings(),
) -> None:
    """Estimate the poses of all people, and report what every frame cost by how many were in it."""
    regions = tuple(region for region in settings.regions if region)
    style = DrawStyle(
        min_score=kpt_score,
        canvas=canvas,
        panel=panel,
        trails_s=trails,
        regions=regions,
        color=color,
        line_width=line_width,
        labels=parse_labels(labels),
        blur_faces=blur_faces,
    )
    clip = Clip(start, end, stride, max_frames, fps)
    # Standard output is for the lines, if they go there; people read the rest.
    console = Console(stderr=json_lines == STDOUT, quiet=quiet, highlight=False)
    with ExitStack() as stack:
        names = expand(source)
        if settings.boxes and len(names) > 1:
            raise BadInput(f"--boxes has the people of one source, not of {len(names)}: run each by itself")
        patient = len(names) > 1 and reconnect > 0  # a camera that is off keeps no other one waiting
        sources = [stack.enter_context(open_source(name, clip, reconnect, patient)) for name in names]
        texts = {"json": json_lines, "csv": csv, "csv_long": csv_long, "coco": coco, "mot": mot}
        texts["angles"] = angles
        job = RunJob(sources, save, texts, overwrite, audio, annotations)
        job.check(report)
        for one in sources:
            if not one.info.width:
                say(f"{one.info.name} does not answer yet: it is tried for {reconnect:g} s, the others run")
        viewers: list[ViewerFactory] = []
        if show:
            window = WindowSink("hrpose-rt", style=style)
            stack.callback(window.close)
            viewers.append(lambda info, name: window.for_source(name) if job.concurrent else window)
        if serve:
            web = stack.enter_context(WebView(*parse_address(serve), token or "", style))
            console.print(f"watch at {web.url}")
            viewers.append(lambda info, name: web.panel(name if job.concurrent else "", name))
        live = stack.enter_context(LiveOutputs(push))
        viewers += live.viewers(job.concurrent)
        fetch_models(settings.pose, "" if settings.boxes else settings.detector)
        pipeline = stack.enter_context(PosePipeline(settings))
        console.print(describe(pipeline.info), soft_wrap=True)
        view = LiveView(Console(stderr=True, quiet=quiet))
        table = LatencyTable()
        status, begin = 0, time.perf_counter()
        try:
            with signals_as_exceptions(), view:
                status = job.run(pipeline, table, view, viewers, style, in_caller=show)
        except WindowClosed:
            pass
        except Terminated as ended:
            status = ended.status
        except KeyboardInterrupt:
            status = INTERRUPTED
        finally:
            elapsed_s = time.perf_counter() - begin
            live.close()  # now it is known what was sent
            try:  # before the table, which fails where nobody reads along; each comes without the other
                if report:
                    facts = pipeline.info.to_dict() | {
                        "following": pipeline.tracking_stats(),
                        "queues": {name: times.to_dict() for name, times in job.queues.items()},
                        **live.to_dict(),
                    }
                    write_report(report, facts, [s.info.name for s in sources], table, job.concurrent)
            finally:
                live.print_to(console)
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
