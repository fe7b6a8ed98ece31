"""`hrpose-rt bench bounded`: what a budget costs in precision, and whether it is kept."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.console import Console

from hrpose_rt.bench.crowd import BenchSource
from hrpose_rt.bench.report_text import budget_rows, id_sentences, jitter_sentence, return_sentences
from hrpose_rt.cli import options
from hrpose_rt.cli.bench_crowd import SIZES_WH, as_table, parse_crowds
from hrpose_rt.cli.outputs import check_free
from hrpose_rt.config import Settings
from hrpose_rt.errors import BadInput
from hrpose_rt.export.examples import packaged_or
from hrpose_rt.networks import Networks, open_networks
from hrpose_rt.paths import write_json

if TYPE_CHECKING:
    from hrpose_rt.bench.scenes import Scene

BUDGET_OF_PEOPLE = 10  # people whose p50 without a budget is the default budget
TUNE_FRAMES = 60


@options.with_settings(
    *("pose", "detector", "runtime", "precision", "device", "tracker", "memory", "detect_every", "tiles"),
    *("max_pose_age", "threads"),
)
def bench_bounded(
    settings: Settings,
    crowd: Annotated[str, typer.Option(help="Compose scenes with these numbers of people.")] = "10,50,200",
    source: Annotated[
        list[str] | None, typer.Option(help="Also measure this video, shown 2x2. May be repeated.")
    ] = None,
    people: Annotated[
        Path | None, typer.Option(help="Cut people out of the photos in this folder.")
    ] = None,
    budget_ms: Annotated[
        float,
        typer.Option(help="Set the budget in milliseconds; 0 takes the p50 of 10 people without one."),
    ] = 0.0,
    frames: Annotated[int, typer.Option(help="Run N frames of each crowd.")] = 250,
    scenes: Annotated[int, typer.Option(help="Compose N scenes for each number of people.", min=1)] = 1,
    seed: Annotated[int, typer.Option(help="Set the seed of the first scene of each size.")] = 0,
    output: Annotated[Path | None, typer.Option(help="Write the results to this JSON file.")] = None,
    overwrite: options.Overwrite = False,
    debug: options.Debug = False,
) -> None:
    """Run crowds with and without a budget: latency, similarity of poses, ids kept and regained."""
    from hrpose_rt.bench.budget import WARM_UP_FRAMES, measure_bounded
    from hrpose_rt.bench.cutouts import cut_out
    from hrpose_rt.bench.jitter import measure_jitter
    from hrpose_rt.bench.mosaic import Mosaic
    from hrpose_rt.bench.report import provenance
    from hrpose_rt.bench.scenes import Scene

    if frames < 4 * WARM_UP_FRAMES:
        raise BadInput(f"--frames is {4 * WARM_UP_FRAMES} or more, not {frames}")
    if output:
        check_free(output, overwrite)
    settings = replace(settings, budget_ms=budget_ms)
    with open_networks(settings) as networks, Console(stderr=True).status("composing") as status:
        cutouts = cut_out(packaged_or(people), networks)
        if not cutouts:
            raise BadInput("nobody in the photos can be cut out: give others to --people")
        if not budget_ms:
            settings = replace(
                settings, budget_ms=_usual_ms(settings, networks, Scene(cutouts, BUDGET_OF_PEOPLE))
            )
        seeds = [(count, seed + i) for count in parse_crowds(crowd) for i in range(scenes)]
        feeds = [Scene(cutouts, count, SIZES_WH["720p"], seed=one) for count, one in seeds]
        videos = [Mosaic(video, 2, SIZES_WH["720p"], detector=networks.detector) for video in source or []]
        every: list[BenchSource] = [*feeds, *videos]
        rows = [measure_bounded(settings, networks, source, frames, status.update) for source in every]
        for row, (_, one) in zip(rows, seeds, strict=False):  # videos have no seed
            row["seed"] = one
        status.update("people who stand still")
        jitter = measure_jitter(settings, networks, cutouts, seed=seed)
    Console().print(as_table(budget_rows(rows)))
    print(*id_sentences(rows), *return_sentences(rows), jitter_sentence(jitter), sep="\n")
    what = f"{networks.info.pose.model} {networks.info.pose.precision}"
    print(f"{what}, budget {settings.budget_ms:.1f} ms")
    print(networks.info.hardware)
    if output:
        report = {
            "kind": "bounded",
            "schema": 1,
            **provenance(),
            "ways": networks.info.to_dict(),
            "rows": rows,
        }
        report["jitter"] = jitter
        write_json(output, report, indent=1)


def _usual_ms(settings: Settings, networks: Networks, scene: "Scene") -> float:
    """The time of a frame of the scene without a budget, when no one is hidden."""
    from hrpose_rt.pipeline import PosePipeline

    pipeline = PosePipeline(replace(settings, budget_ms=0.0), networks)
    session = pipeline.begin(scene.info)
    spent = []
    for index in range(TUNE_FRAMES):
        result = session.process(scene.frame(index))
        if abs(len(result) - BUDGET_OF_PEOPLE) <= 2:
            spent.append(result.times.total)
    return float(np.median(spent)) if spent else float(result.times.total)
