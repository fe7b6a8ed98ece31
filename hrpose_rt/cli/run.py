"""`hrpose-rt run`: people, ids and poses in videos, images and cameras."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hrpose_rt.cli import options
from hrpose_rt.cli import run_steps as steps
from hrpose_rt.cli.app import Command
from hrpose_rt.cli.display import describe
from hrpose_rt.cli.job import RunJob
from hrpose_rt.cli.live import LiveOutputs
from hrpose_rt.cli.models import fetch_models
from hrpose_rt.config import Clip, Settings
from hrpose_rt.drawing.style import MIN_SCORE, DrawStyle, parse_labels
from hrpose_rt.errors import BadInput
from hrpose_rt.pipeline import PosePipeline
from hrpose_rt.sinks.text import STDOUT
from hrpose_rt.sinks.web import WebView, parse_address
from hrpose_rt.sources.base import RECONNECT_S
from hrpose_rt.sources.open import expand
from hrpose_rt.timing import LatencyTable


@options.with_settings(*options.SETTINGS)
def run(
    context: typer.Context,
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
    hwaccel: options.Hwaccel = "none",
    save: Annotated[
        str | None,
        options.output_option("--save", "-o", help="Annotated .mp4 (of images: a folder or an image)."),
    ] = None,
    audio: Annotated[bool, options.output_option(help="Keep the sound of a video that is saved.")] = True,
    encoder: options.EncoderName = "x264",
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
    mqtt: Annotated[
        str | None,
        options.output_option(help="Publish events to mqtt://[USER:PASSWORD@]HOST[:PORT]/TOPIC."),
    ] = None,
    webhook: Annotated[
        str | None,
        options.output_option(help="Post events as JSON to an http or https address."),
    ] = None,
    min_fps: Annotated[
        float | None,
        options.output_option(help="Frame rate below which an event says so; 90% of a live source's."),
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
    from_report: Annotated[
        Path | None,
        options.input_option(help="The sources and options of a report; outputs are not in it."),
    ] = None,
    overwrite: options.OverwriteOutput = False,
    quiet: Annotated[bool, options.output_option("--quiet", help="Print errors only.")] = False,
    debug: options.Debug = False,
    settings: Settings = Settings(),
) -> None:
    """Estimate the poses of all people, and report what every frame cost by how many were in it."""
    style = DrawStyle(
        min_score=kpt_score,
        canvas=canvas,
        panel=panel,
        trails_s=trails,
        regions=tuple(region for region in settings.regions if region),
        color=color,
        line_width=line_width,
        labels=parse_labels(labels),
        blur_faces=blur_faces,
    )
    clip = Clip(start, end, stride, max_frames, fps)
    texts = {"json": json_lines, "csv": csv, "csv_long": csv_long, "coco": coco, "mot": mot}
    texts["angles"] = angles
    # Standard output is for the lines, if they go there; people read the rest.
    console = Console(stderr=json_lines == STDOUT, quiet=quiet, highlight=False)
    with ExitStack() as stack:
        names = expand(source)
        if settings.boxes and len(names) > 1:
            raise BadInput(f"--boxes has the people of one source, not of {len(names)}: run each by itself")
        sources = steps.open_sources(stack, names, clip, reconnect, hwaccel)
        job = RunJob(sources, save, texts, overwrite, audio, annotations, encoder)
        config = context.params.get("config")
        job.check(report, steps.files_read(source, settings, annotations, config))
        if from_report:  # only the new report may take its place
            job.check(None, [str(from_report)])
        steps.name_silent(sources, reconnect)
        viewers = [steps.show_window(stack, job, style)] if show else []
        web = stack.enter_context(WebView(*parse_address(serve), token or "", style)) if serve else None
        if web:
            viewers.append(steps.show_page(web, job))
            console.print(f"watch at {web.url}")
        live = stack.enter_context(LiveOutputs(push, mqtt, webhook, min_fps))
        viewers += live.viewers(job.concurrent)
        fetch_models(settings)
        pipeline = stack.enter_context(PosePipeline(settings))
        console.print(describe(pipeline.info), soft_wrap=True)
        facts = {"options": Command.used(context), **pipeline.info.to_dict()}
        if web:
            web.facts = facts
        facts = {"sources": [one.info.name for one in sources], **facts}
        table = LatencyTable()
        with steps.summed_up(console, report, facts, job, pipeline, table, live):
            status = steps.run_until_stopped(job, pipeline, table, viewers, style, show, quiet)
    raise typer.Exit(status)
