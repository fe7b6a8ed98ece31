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
    settings: Settings,
    save: Annotated[
        str | None, typer.Option(help="Annotated .mp4 (of images: a folder or an image).")
    ] = None,
    audio: Annotated[bool, typer.Option(help="Keep a film's sound in what is saved.")] = True,
    json_lines: Annotated[
        str | None, typer.Option("--json", help="A line a frame as JSON; - for stdout.")
    ] = None,
    csv: Annotated[str | None, typer.Option(help="A row a person: box and joints.")] = None,
    csv_long: Annotated[str | None, typer.Option(help="A row a joint.")] = None,
    coco: Annotated[
        str | None,
        typer.Option(help="COCO's results; image_id is a picture's number, or the frame."),
    ] = None,
    annotations: Annotated[
        Path | None, typer.Option(help="COCO annotations that give --coco the ids of images.")
    ] = None,
    mot: Annotated[str | None, typer.Option(help="MOT Challenge's tracks.")] = None,
    report: Annotated[Path | None, typer.Option(help="The latency table as JSON.")] = None,
    show: Annotated[
        bool, typer.Option("--show", help="Show a window: space pauses, s saves, b hides boxes, q ends.")
    ] = False,
    serve: Annotated[
        str | None, typer.Option(help="[HOST:]PORT where a browser can watch; loopback without HOST.")
    ] = None,
    token: Annotated[
        str | None, typer.Option(help="What browsers must know to watch from elsewhere.")
    ] = None,
    start: Annotated[float, typer.Option(help="Begin at this second.")] = 0.0,
    end: Annotated[float | None, typer.Option(help="Stop before this second.")] = None,
    stride: Annotated[int, typer.Option(help="Take every so-manyth frame.")] = 1,
    max_frames: Annotated[int | None, typer.Option(help="Stop after so many frames.")] = None,
    fps: Annotated[
        float | None, typer.Option(help="Take folders of images for films of so many a second.")
    ] = None,
    reconnect: Annotated[
        float, typer.Option(help="Seconds to try for when a live source breaks off; 0 ends it.")
    ] = RECONNECT_S,
    kpt_score: Annotated[
        float, typer.Option(min=0, max=1, help="Do not draw joints that score less, 0..1.")
    ] = MIN_SCORE,
    trails: Annotated[
        float, typer.Option(min=0, help="Draw where people went, for so many seconds.")
    ] = 0.0,
    overwrite: options.Overwrite = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print errors only.")] = False,
    debug: options.Debug = False,
) -> None:
    """Find people and their poses; say what every frame cost, by people in it."""
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
                status = job.run(pipeline, table, view, viewers, kpt_score, trails)
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
                    facts = pipeline.info.to_dict() | {"following": pipeline.tracking_stats()}
                    write_report(report, facts, [s.info.name for s in sources], table, job.concurrent)
            finally:
                if table.frames:
                    console.print(
                        f"{table.frames} frames in {elapsed_s:.1f} s, "
                        f"{table.frames / elapsed_s:.1f} a second\n"
                        "milliseconds a frame, p50 / p95, by people in it:"
                    )
                    console.print(latency_table(table))
    raise typer.Exit(status)
