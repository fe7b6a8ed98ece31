"""`hrpose-rt batch`: many videos, by several workers, in as many calls as it takes."""

from dataclasses import replace
from typing import Annotated

import typer
from rich.console import Console

from hrpose_rt.batch.manifest import Manifest, open_manifest
from hrpose_rt.batch.names import SUMMARY
from hrpose_rt.batch.options import PARQUET, Options
from hrpose_rt.batch.schedule import Redo, Schedule, waiting_of
from hrpose_rt.batch.summary import summary_of
from hrpose_rt.batch.videos import find_videos
from hrpose_rt.batch.workers import MAX_WORKERS, LocalPool, Place, Pool
from hrpose_rt.cli import options
from hrpose_rt.cli.batch_view import BatchView
from hrpose_rt.cli.display import latency_table
from hrpose_rt.cli.exit import status_after
from hrpose_rt.cli.models import fetch_models
from hrpose_rt.config import Clip, Settings
from hrpose_rt.drawing.style import DrawStyle

BATCH_SETTINGS = tuple(name for name in options.SETTINGS if name != "boxes")
MAX_NAMED = 20  # failed videos that the end of a call names; the manifest has all


@options.with_settings(*BATCH_SETTINGS)
def batch(
    source: Annotated[
        list[str],
        typer.Argument(
            help="Videos, folders, patterns, URLs, and lists or tables (.csv, .jsonl) of these."
        ),
    ],
    output: Annotated[
        str,
        options.output_option("--output", "-o", help="The folder or URL of the batch, with one per video."),
    ],
    outputs: Annotated[
        str, options.output_option(help="What each video gets: json, csv, csv_long, coco, mot, video, ...")
    ] = "json",
    parquet: Annotated[
        bool, options.output_option("--parquet", help="Also a table of the people of all videos.")
    ] = False,
    start: Annotated[
        float,
        options.input_option(parser=options.parse_seconds, metavar="TIME", help="Start at this second."),
    ] = 0.0,
    end: Annotated[
        float | None,
        options.input_option(parser=options.parse_seconds, metavar="TIME", help="Stop before this second."),
    ] = None,
    stride: Annotated[int, options.input_option(help="Process every Nth frame.")] = 1,
    split: Annotated[
        float, options.speed_option(help="Cut long videos into parts of this many seconds; 0 cuts none.")
    ] = 0.0,
    workers: Annotated[
        int, options.speed_option(help="Processes, each with its own networks; 0 is one for two cores.")
    ] = 0,
    ray: Annotated[
        str, options.speed_option(help="Workers of Ray: local, auto, or the host:port of a cluster.")
    ] = "",
    gpus_per_worker: Annotated[
        float, options.speed_option(help="GPUs that Ray gives each worker; .25 puts four on one.")
    ] = 0.0,
    retry_failed: Annotated[
        bool, options.input_option("--retry-failed", help="Run those again that failed.")
    ] = False,
    hwaccel: options.Hwaccel = "none",
    encoder: options.EncoderName = "x264",
    canvas: Annotated[
        str, options.output_option(help="Draw on the video, on a blur of it, or on black.")
    ] = "video",
    blur_faces: Annotated[
        bool, options.output_option("--blur-faces", help="Blur the heads of the people found.")
    ] = False,
    overwrite: Annotated[
        bool,
        options.output_option("--overwrite", help="Run those again whose settings or files have changed."),
    ] = False,
    quiet: Annotated[bool, options.output_option("--quiet", help="Print errors only.")] = False,
    debug: options.Debug = False,
    settings: Settings = Settings(),
) -> None:
    """Run many videos, each into a folder of its own. A second call goes on where the first one stopped."""
    place = Place.divided(ray, workers, settings.threads, gpus_per_worker)
    names = tuple(
        dict.fromkeys(name.strip().replace("-", "_") for name in outputs.split(",") if name.strip())
    )
    if parquet and PARQUET not in names:
        names += (PARQUET,)
    style = DrawStyle(
        canvas=canvas, blur_faces=blur_faces, regions=tuple(one for one in settings.regions if one)
    )
    settings = replace(settings, threads=place.threads)
    what = Options(
        settings=settings,
        outputs=names,
        stride=stride,
        split_s=split,
        style=style,
        hwaccel=hwaccel,
        encoder=encoder,
    )
    videos = find_videos(source, Clip(start, end, stride))
    fetch_models(settings)
    console = Console(quiet=quiet, highlight=False)
    with open_manifest(output) as manifest:
        waiting = waiting_of(manifest, videos, what, Redo(retry_failed, overwrite))
        console.print(f"{len(videos)} videos, {len(waiting)} to run")
        status = 0
        try:
            if waiting:
                pool = _open_pool(place, what, manifest, len(waiting))
                console.print(f"Workers: {pool.count}. Threads of each: {place.threads}.")
                with BatchView(Console(stderr=True, quiet=quiet), waiting) as view:
                    Schedule(manifest, what, view).run(pool, waiting)
        except KeyboardInterrupt as ended:
            status = status_after(ended)
        failed = _sum_up(manifest, console)
    raise typer.Exit(status or (1 if failed else 0))


def _open_pool(place: Place, what: Options, manifest: Manifest, videos: int) -> Pool:
    """The workers, no more than there are videos, unless these are cut."""
    most = MAX_WORKERS if what.split_s else videos
    if not place.address:
        return LocalPool(min(place.workers, most), what)
    from hrpose_rt.batch.ray_pool import RayPool

    return RayPool(place, what, None if manifest.store.url else manifest.folder, most)


def _sum_up(manifest: Manifest, console: Console) -> bool:
    """Print and write the summary; whether a video has failed."""
    summary = summary_of(manifest)
    summary.write(manifest.store)
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    for entry in summary.failed[:MAX_NAMED]:
        errors.print(f"{entry.name} failed: {entry.reason}", markup=False)
    if len(summary.failed) > MAX_NAMED:
        where = manifest.store.url or manifest.folder
        more = len(summary.failed) - MAX_NAMED
        errors.print(f"{more} more have failed: {where}/{SUMMARY}", markup=False)
    console.print(str(summary))
    if summary.table.frames:
        console.print("milliseconds a frame, p50 / p95, by people in it:")
        console.print(latency_table(summary.table))
    return bool(summary.failed)
