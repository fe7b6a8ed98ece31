"""`hrpose-rt bench compare`: compare with other programs, by ratios from one run."""

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from hrpose_rt.bench.compare import Baseline, BenchFrame, Candidate, compare, ratios
from hrpose_rt.bench.cutouts import Cutout, cut_out
from hrpose_rt.bench.report_text import ratio_rows
from hrpose_rt.bench.scenes import Scene
from hrpose_rt.cli import options
from hrpose_rt.cli.bench_crowd import as_table
from hrpose_rt.cli.outputs import check_free
from hrpose_rt.config import Settings
from hrpose_rt.console import say
from hrpose_rt.errors import BadInput
from hrpose_rt.export.examples import packaged_or
from hrpose_rt.networks import Networks, hardware_info, open_networks
from hrpose_rt.paths import write_json
from hrpose_rt.timing import StageClock

CROPS_OF = 20  # people in the comparison with given boxes
FRAMES_WITH = (3, 8, 18, 60)
SMALL, LARGE = (256, 192), (384, 288)
BENCH_FRAMES = 5


def bench_compare(
    people: Annotated[
        Path | None, typer.Option(help="Cut people out of the photos in this folder.")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="Use these HRNet-W32 weights for all. Default: random; they cost the same."),
    ] = None,
    rounds: Annotated[int, typer.Option(help="Measure every program on N frames.")] = 10,
    output: Annotated[Path | None, typer.Option(help="Write the results to this JSON file.")] = None,
    overwrite: options.Overwrite = False,
    debug: options.Debug = False,
) -> None:
    """Compare HRNet-W32 here with the original's loop, rtmlib, eager PyTorch and an Ultralytics network."""
    from hrpose_rt.bench.report import provenance

    if rounds < 3:
        raise BadInput(f"--rounds is 3 or more, not {rounds}")
    if output:
        check_free(output, overwrite)
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory() as name, console.status("getting ready") as status:
        folder = Path(name)
        checkpoint = weights or random_w32(folder)
        variants = _variants(checkpoint)
        comparisons: dict[str, list[dict[str, Any]]] = {}
        with ExitStack() as stack:
            default = stack.enter_context(open_networks(Settings()))
            opened = {
                variant: stack.enter_context(open_networks(settings))
                for variant, settings in variants.items()
            }
            small = {variant: networks for variant, networks in opened.items() if "384x288" not in variant}
            ours = [Candidate(variant, _pose(networks)) for variant, networks in small.items()]
            theirs = _baselines(
                stack, folder, [("one_by_one.py", str(checkpoint)), ("batched_eager.py", str(checkpoint))]
            )
            cutouts = cut_out(packaged_or(people), default)
            compare([*ours, *theirs], _bench_frames(default, cutouts, CROPS_OF), rounds, status.update)
            comparisons[f"crops of {CROPS_OF} people to keypoints"] = ratios(ours, theirs)
        with ExitStack() as stack:
            default = stack.enter_context(open_networks(Settings()))
            opened = {
                variant: stack.enter_context(open_networks(settings))
                for variant, settings in variants.items()
                if "int8" in variant
            }
            opened["embedded models"] = default
            theirs = _baselines(stack, folder, [("original.py", str(checkpoint)), ("yolo_pose.py",)])
            for count in FRAMES_WITH:
                ours = [Candidate(variant, _frame(networks)) for variant, networks in opened.items()]
                theirs = [Candidate(them.name, them.work) for them in theirs]
                compare([*ours, *theirs], _bench_frames(default, cutouts, count), rounds, status.update)
                comparisons[f"frame with {count} people"] = ratios(ours, theirs)
    for what, lines in comparisons.items():
        print(f"{what}:")
        Console().print(as_table(ratio_rows(lines)))
    hardware = hardware_info()
    print(hardware)
    if output:
        report = {"kind": "compare", "schema": 1, **provenance(), **hardware.to_dict(), "weights": "given"}
        if not weights:
            report["weights"] = "random"
        write_json(output, report | {"ratios": comparisons}, indent=1)


def random_w32(folder: Path) -> Path:
    """Write a checkpoint of HRNet-W32 with random weights."""
    import torch

    from hrpose_rt.nets.hrnet import HRNet
    from hrpose_rt.nets.hrnet_config import W32

    torch.manual_seed(0)
    torch.save(HRNet(W32).state_dict(), folder / "hrnet-w32-random.pth")
    return folder / "hrnet-w32-random.pth"


def _variants(checkpoint: Path) -> dict[str, Settings]:
    """Settings for HRNet-W32 by precision and size; missing engines are built."""
    from hrpose_rt.export.engines import export
    from hrpose_rt.export.request import ExportRequest
    from hrpose_rt.nets.zoo import find_model

    model = find_model(str(checkpoint), "pose")
    variants = {}
    for (h, w), precision in [(SMALL, "fp32"), (SMALL, "bf16"), (SMALL, "int8"), (LARGE, "int8")]:
        stored = "int8" if precision == "int8" else "fp32"
        exported = export(
            model, "pose", ExportRequest(precision=stored, input_hw=(h, w), verify=False), say
        )
        variants[f"hrnet-w32 {h}x{w} {precision}"] = Settings(pose=str(exported.path), precision=precision)
    return variants


def _baselines(stack: ExitStack, folder: Path, commands: list[tuple[str, ...]]) -> list[Candidate]:
    opened = [stack.enter_context(Baseline(command[0], command[1:], folder)) for command in commands]
    return [Candidate(baseline.name, baseline) for baseline in opened]


def _pose(networks: Networks) -> Callable[[BenchFrame], float]:
    def work(frame: BenchFrame) -> float:
        begin = time.perf_counter()
        networks.estimator.estimate(frame.image, frame.boxes, StageClock())
        return 1e3 * (time.perf_counter() - begin)

    return work


def _frame(networks: Networks) -> Callable[[BenchFrame], float]:
    """Run the detector, then pose the given boxes, so that finding few people gains no speed."""

    def work(frame: BenchFrame) -> float:
        begin = time.perf_counter()
        networks.detector.detect(frame.image, StageClock())
        networks.estimator.estimate(frame.image, frame.boxes, StageClock())
        return 1e3 * (time.perf_counter() - begin)

    return work


def _bench_frames(networks: Networks, cutouts: list[Cutout], count: int) -> list[BenchFrame]:
    scene = Scene(cutouts, count, occluders=False)
    scenes = [scene.frame_and_truth(10 * i) for i in range(BENCH_FRAMES)]
    networks.detector.warm_up(scenes[0][0].image.shape[:2])
    return [BenchFrame(frame.image, truth.boxes) for frame, truth in scenes]
