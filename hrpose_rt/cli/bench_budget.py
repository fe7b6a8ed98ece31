"""`hrpose-rt bench bounded`: what a budget costs in precision, and whether it is kept."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich.console import Console

from hrpose_rt.bench.crowd import Feed
from hrpose_rt.cli import options
from hrpose_rt.cli.bench_crowd import SIZES_WH, as_table, packaged_or, parse_crowds
from hrpose_rt.cli.outputs import check_free
from hrpose_rt.config import Settings
from hrpose_rt.errors import BadInput
from hrpose_rt.networks import Networks, machine_facts, open_networks

if TYPE_CHECKING:
    from hrpose_rt.bench.scenes import Scene

LIKE = 10  # people whose unbounded p50 is the budget, where none is given
TUNE_FRAMES = 60
DEFAULTS = Settings()


def bench_bounded(
    crowd: Annotated[str, typer.Option(help="Numbers of people in composed scenes.")] = "10,50,200",
    source: Annotated[
        list[str] | None, typer.Option(help="A film, shown 2x2; may be given several times.")
    ] = None,
    people: Annotated[Path | None, typer.Option(help="A folder of photos to cut people out of.")] = None,
    budget_ms: Annotated[
        float, typer.Option(help="Without it, what 10 people take without a budget (p50).")
    ] = 0.0,
    frames: Annotated[int, typer.Option(help="Of each crowd.")] = 250,
    scenes: Annotated[int, typer.Option(help="Of each number of people.", min=1)] = 1,
    seed: Annotated[int, typer.Option(help="Of the first composed scene of each size.")] = 0,
    pose: options.Pose = DEFAULTS.pose,
    detector: options.DetectorName = DEFAULTS.detector,
    runtime: options.RuntimeName = "auto",
    precision: options.Precision = "auto",
    device: options.Device = "auto",
    tracker: options.Tracker = DEFAULTS.tracker,
    memory: options.Memory = DEFAULTS.memory_s,
    detect_every: options.DetectEvery = None,
    tiles: options.Tiles = "off",
    max_pose_age: options.MaxPoseAge = DEFAULTS.max_pose_age,
    threads: options.Threads = 0,
    output: Annotated[Path | None, typer.Option(help="The figures as JSON.")] = None,
    overwrite: options.Overwrite = False,
    debug: options.Debug = False,
) -> None:
    """Run crowds under a budget and without: latency, likeness of the poses, ids kept and regained."""
    from hrpose_rt.bench.budget import WARM, measure_bounded
    from hrpose_rt.bench.cutouts import cut_out
    from hrpose_rt.bench.jitter import measure_jitter
    from hrpose_rt.bench.mosaic import Mosaic
    from hrpose_rt.bench.report import provenance
    from hrpose_rt.bench.scenes import Scene

    if frames < 4 * WARM:
        raise BadInput(f"--frames is {4 * WARM} or more, not {frames}")
    if output:
        check_free(output, overwrite)
    settings = Settings(
        *(pose, detector, runtime, precision),
        device=device,
        threads=threads,
        tracker=tracker,
        memory_s=memory,
        detect_every=options.parse_every(detect_every),
        tiles=tiles,
        max_pose_age=max_pose_age,
        budget_ms=budget_ms,
    )
    with open_networks(settings) as networks, Console(stderr=True).status("composing") as status:
        cutouts = cut_out(packaged_or(people), networks)
        if not cutouts:
            raise BadInput("nobody in the photos can be cut out: give others to --people")
        if not budget_ms:
            settings = replace(settings, budget_ms=_usual_ms(settings, networks, Scene(cutouts, LIKE)))
        seeds = [(count, seed + i) for count in parse_crowds(crowd) for i in range(scenes)]
        feeds = [Scene(cutouts, count, SIZES_WH["720p"], seed=one) for count, one in seeds]
        films = [Mosaic(film, 2, SIZES_WH["720p"], detector=networks.detector) for film in source or []]
        every: list[Feed] = [*feeds, *films]
        rows = [measure_bounded(settings, networks, feed, frames, status.update) for feed in every]
        for row, (_, one) in zip(rows, seeds, strict=False):  # films have none
            row["seed"] = one
        status.update("people who stand still")
        jitter = measure_jitter(settings, networks, cutouts, seed=seed)
    Console().print(as_table(table(rows)))
    print(*ids_words(rows), *returning_words(rows), jitter_words(jitter), sep="\n")
    facts = machine_facts(settings)
    what = f"{networks.facts['models']['pose']} {networks.facts['precision']}"
    print(f"{what}, budget {settings.budget_ms:.1f} ms")
    print(f"{facts['threads']} cores of {facts['cpu']} ({', '.join(facts['cpu_features'])})")
    if output:
        report = {"kind": "bounded", "schema": 1, **provenance(), "ways": networks.facts, "rows": rows}
        report["jitter"] = jitter
        output.write_text(json.dumps(report, indent=1) + "\n")


def table(rows: list[dict[str, Any]]) -> list[list[str]]:
    """What was measured as a table, its head first."""
    times = ["free p50", "bounded p50", "p95", "of budget"]
    lines = [["crowd", "found", *times, "OKS", "no pose", "pose age p95", "own id", "wrong id"]]
    for row in rows:
        ids = row.get("ids", {}).get("bounded", {})
        lines.append(
            [
                row["scene"] + (f", scene {row['seed']}" if row.get("seed") else ""),
                *(f"{row['found']:g}", f"{row['free_ms']['p50']:.1f}"),
                *(f"{row['bounded_ms']['p50']:.1f}", f"{row['bounded_ms']['p95']:.1f}"),
                *(f"{row['p95_over_budget']:.2f}", "" if row["oks"] is None else f"{row['oks']:.3f}"),
                f"{row['without_counterpart']:.2f}",
                f"{row['pose_age']['p95']:g}" if row["pose_age"] else "",
                *(f"{ids[key]:.2f}" if ids else "" for key in ("own_id", "wrong_id")),
            ]
        )
    return lines


def ids_words(rows: list[dict[str, Any]]) -> list[str]:
    """All who came back, in all scenes together, with a budget and without."""
    known, lines = [row["ids"] for row in rows if "ids" in row], []
    for way, words in (("bounded", "under the budget"), ("free", "without one")):
        back = sum(ids[way]["came_back"] for ids in known)
        if back:
            own, wrong = (
                sum(ids[way][key] * ids[way]["came_back"] for ids in known) / back
                for key in ("own_id", "wrong_id")
            )
            lines.append(
                f"Of {back} people who came back from behind a curtain {words}, {own:.3f} had their own id "
                f"again and {wrong:.3f} somebody else's."
            )
    return lines


def returning_words(rows: list[dict[str, Any]]) -> list[str]:
    """What frames take in which many come back, against those right after them."""
    back = [again for row in rows if (again := row.get("reappearance", {})).get("frames")]
    if not back:
        return []
    ratios, count = [again["ratio"] for again in back], sum(again["frames"] for again in back)
    span = f"{min(ratios):.2f} to {max(ratios):.2f} times" if len(back) > 1 else f"{ratios[0]:.2f} times"
    middle = f", in the middle {np.median(ratios):.2f}" if len(back) > 1 else ""
    return [
        f"Frames in which five or more come back ({count}, scenes: {len(back)}) have {span} the p95 of "
        f"those right after them{middle}."
    ]


def jitter_words(jitter: dict[str, Any]) -> str:
    """What was measured of people who stand still, in a sentence."""
    steps = [
        f"{figures['mean']:.4f} {name} (p95 {figures['p95']:.4f})"
        for name in ("estimated", "filtered")
        if (figures := jitter[name])["mean"] is not None
    ]
    what = " and ".join(steps) or "no joint was sure enough to tell"
    return (
        f"Joints of {jitter['people']} people who stand still, under noise of {jitter['noise']:g} grey "
        f"levels, step from frame to frame, in body heights: {what}."
    )


def _usual_ms(settings: Settings, networks: Networks, scene: "Scene") -> float:
    """What a frame of the scene takes without a budget, when nobody is hidden."""
    from hrpose_rt.pipeline import PosePipeline

    pipeline = PosePipeline(replace(settings, budget_ms=0.0), networks)
    session = pipeline.begin(scene.info)
    spent = []
    for index in range(TUNE_FRAMES):
        result = session.process(scene.frame(index))
        if abs(len(result) - LIKE) <= 2:
            spent.append(result.times.total)
    return float(np.median(spent)) if spent else float(result.times.total)
