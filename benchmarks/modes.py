"""What the modes of `hrpose-rt run --mode` cost on videos: processor time, and the boxes that are kept.

    python benchmarks/modes.py VIDEO.mp4 ... [--seconds 2]

All modes take each frame in turn, so other work on the machine disturbs them alike. The figures are
relative to the mode "balanced", whose processor time is 1. Another mode keeps a box of it if one of its own
overlaps that box with an IoU of at least .5.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from hrpose_rt import Clip, FrameResult, PosePipeline, Settings, open_source
from hrpose_rt.config import MODES
from hrpose_rt.geometry import iou
from hrpose_rt.hardware import cpu_features, cpu_name, usable_cores
from hrpose_rt.types import F32

KEPT_IOU = 0.5


def measure(video: Path, pipelines: dict[str, PosePipeline], seconds: float) -> None:
    """Print a line for each mode."""
    spent: dict[str, list[float]] = {mode: [] for mode in pipelines}
    kept, boxes = dict.fromkeys(pipelines, 0), 0
    with ExitStack() as stack:
        sources = [stack.enter_context(open_source(video, Clip(end=seconds))) for _ in pipelines]
        runs = [iter(one.stream(source)) for one, source in zip(pipelines.values(), sources, strict=True)]
        while found := frame_of_all(dict(zip(pipelines, runs, strict=True)), spent):
            boxes += len(found["balanced"])
            for mode, others in found.items():
                kept[mode] += int((iou(found["balanced"], others).max(axis=1, initial=0) >= KEPT_IOU).sum())
    totals = {mode: sum(times[1:-1]) for mode, times in spent.items()}  # the first opens, the last closes
    frames = len(spent["balanced"]) - 1
    ms = 1e3 * totals["balanced"] / (frames - 1)
    print(f"{video.name}: {frames} frames, {boxes / frames:.1f} people a frame, {ms:.0f} ms")
    for mode, total in totals.items():
        share, ratio = kept[mode] / max(boxes, 1), total / totals["balanced"]
        print(f"  {mode}: {ratio:.2f} of the processor time, {share:.1%} of the boxes")


def frame_of_all(runs: dict[str, Iterator[FrameResult]], spent: dict[str, list[float]]) -> dict[str, F32]:
    """The boxes of the next frame by mode; empty after the last. Adds each mode's seconds to `spent`."""
    results = {}
    for mode, run in runs.items():
        begin = time.process_time()
        results[mode] = next(run, None)
        spent[mode].append(time.process_time() - begin)
    return {mode: result.detections.boxes for mode, result in results.items() if result is not None}


def main(videos: list[Path], seconds: Annotated[float, typer.Option(help="Of each video.")] = 2.0) -> None:
    """Measure all modes on each video."""
    pipelines = {mode: PosePipeline(Settings.for_mode(mode)) for mode in MODES}
    for video in videos:
        measure(video, pipelines, seconds)
    for pipeline in pipelines.values():
        pipeline.close()
    print(f"{usable_cores()} cores of {cpu_name()} ({', '.join(cpu_features())})")


if __name__ == "__main__":
    typer.run(main)
