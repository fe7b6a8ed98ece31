"""Measure the project's promises about speed on this machine; exit with 1 if one is broken.

    python benchmarks/limits.py [VIDEO]

VIDEO should be 720p with up to twenty people in it; without it the sample video is made. Ratios are
taken from runs that alternate within this process. The machine should be idle.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

import hrpose_rt
from hrpose_rt.config import Settings
from hrpose_rt.drawing.style import DrawStyle
from hrpose_rt.hardware import cpu_features, cpu_name, usable_cores
from hrpose_rt.nets.zoo import DEFAULT_POSE, find_model
from hrpose_rt.runtimes.open import open_engine
from hrpose_rt.runtimes.ov import cpu_has_bf16
from hrpose_rt.sinks.video import VideoSink
from hrpose_rt.skeleton import COCO17
from hrpose_rt.tracking.library_trackers import ASSOCIATORS
from hrpose_rt.tracking.optical_flow import torso_grid
from hrpose_rt.tracking.person_tracker import PersonTracker
from hrpose_rt.tracking.reid import LostTracks
from hrpose_rt.types import Detections, Poses

ROOT = Path(__file__).parents[1]
DEFAULTS = Settings()
BESIDE_THE_NETWORKS = ("letterbox", "crop", "heatmap", "track", "draw")


@dataclass(frozen=True)
class Limit:
    """One promise and its measurement."""

    promise: str
    limit: float
    measured: float
    unit: str

    @property
    def kept(self) -> bool:
        return self.measured <= self.limit


def sample_video(folder: Path) -> Path:
    path = folder / "sample.mp4"
    subprocess.run([sys.executable, ROOT / "samples" / "sample_video.py", path], check=True)
    return path


def frame_costs(video: Path) -> Iterator[Limit]:
    """Cost of a frame beside the networks, the share of time outside all stages, and drawing."""
    beside, other, draw20 = [], [], []
    for result in hrpose_rt.stream(str(video)):
        begin = time.perf_counter()
        result.draw(style=DrawStyle(panel=True))
        draw_ms = 1e3 * (time.perf_counter() - begin)
        times = asdict(result.times) | {"draw": draw_ms}
        cost = sum(times[name] for name in BESIDE_THE_NETWORKS)
        beside.append(cost / (4 + 0.6 * len(result)))
        other.append(times["other"] / times["total"])
        if len(result) >= 20:
            draw20.append(draw_ms * 20 / len(result))
    yield Limit("beside the networks, of 4 ms + 0.6 ms a person (p50)", 1, median(beside), "of it")
    yield Limit("beside the networks, of 4 ms + 0.6 ms a person (p95)", 1, quantile(beside, 95), "of it")
    yield Limit("time without a name, of the total (p50)", 0.03, median(other), "of it")
    if draw20:
        yield Limit("drawing twenty people (p50)", 4, median(draw20), "ms")


def tracking() -> Iterator[Limit]:
    """CPU time of tracking 500 people, from boxes and keypoints to ids."""
    rng = np.random.default_rng(0)
    noise = cv2.GaussianBlur(rng.integers(0, 256, (720, 1280, 3), np.uint8), (0, 0), 3)
    tracker = PersonTracker(
        ASSOCIATORS[DEFAULTS.tracker](25.0, DEFAULTS.det_score), COCO17, LostTracks(DEFAULTS.memory_s)
    )
    row, column = np.divmod(np.arange(500), 25)
    stand = np.stack([50.0 * column, 35.0 * row, 50.0 * column + 30, 35.0 * row + 60], axis=1)
    scores = np.full((500, 17), 0.8, np.float32)
    spent = []
    for i in range(25):
        image = np.roll(noise, 2 * i, axis=1)
        walked = np.array([2.0 * i, 0, 2.0 * i, 0])
        boxes = (stand + walked + rng.normal(0, 1, (500, 4))).astype(np.float32)
        begin = time.process_time()
        tracker.predict(image, i / 25)
        tracker.update(Detections.found(boxes, scores[:, 0]))
        people = len(tracker)
        poses = Poses.estimated(torso_grid(tracker.boxes, 17), scores[:people])
        tracker.finish(np.arange(people), poses)
        spent.append(1e3 * (time.process_time() - begin) / 500)
    yield Limit("tracking one of 500 people, processor time (p50)", 0.1, median(spent), "ms")


def batch_of_eight() -> Iterator[Limit]:
    """One batch of eight against eight batches of one, alternating."""
    crops = np.random.default_rng(0).integers(0, 255, (8, 256, 192, 3), np.uint8)
    for precision in ("fp32", "bf16") if cpu_has_bf16() else ("fp32",):
        runtime, _ = open_engine(find_model(DEFAULT_POSE, "pose"), "pose", "openvino", precision)
        runtime.warm_up([(8, 256, 192, 3), (1, 256, 192, 3)])

        def together(infer: Callable[..., object] = runtime.infer) -> None:
            infer(crops)

        def one_by_one(infer: Callable[..., object] = runtime.infer) -> None:
            for i in range(8):
                infer(crops[i : i + 1])

        ratios = [seconds(together) / seconds(one_by_one) for _ in range(40)]
        yield Limit(
            f"a batch of eight, of eight single crops, {precision} (p50)", 1, median(ratios), "of it"
        )


def mp4_sink(video: Path, folder: Path) -> Iterator[Limit]:
    """CPU time of the mp4 sink alone."""
    with hrpose_rt.open_source(str(video), hrpose_rt.Clip(max_frames=150)) as source:
        frames = list(source)
    sink = VideoSink(folder / "sink.mp4", source.info)
    results = hrpose_rt.stream(str(video), clip=hrpose_rt.Clip(max_frames=1))
    result = next(results)
    results.close()
    begin = time.process_time()
    for frame in frames:
        sink.write(replace(result, frame=frame), frame.image)
    sink.close()
    cpu_ms = 1e3 * (time.process_time() - begin) / len(frames)
    yield Limit("mp4 sink, processor time a frame", 20, cpu_ms, "ms")


def first_frame(video: Path) -> Iterator[Limit]:
    """Time from the start of the process to the first frame's poses."""
    command = [sys.executable, "-m", "hrpose_rt", "run", str(video), "--json", "-", "--quiet"]
    spent = []
    for _ in range(3):
        begin = time.perf_counter()
        with subprocess.Popen([*command, "--max-frames", "1"], stdout=subprocess.PIPE) as process:
            assert process.stdout
            process.stdout.readline()  # information about the source
            process.stdout.readline()  # the first frame
            spent.append(time.perf_counter() - begin)
    yield Limit("first frame's poses after the start of the process", 5, median(spent), "s")


def seconds(work: Callable[[], None]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def median(values: list[float]) -> float:
    return float(np.median(values))


def quantile(values: list[float], percent: float) -> float:
    return float(np.percentile(values, percent))


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        video = Path(sys.argv[1]) if len(sys.argv) > 1 else sample_video(folder)
        limits = [
            *first_frame(video),
            *frame_costs(video),
            *tracking(),
            *batch_of_eight(),
            *mp4_sink(video, folder),
        ]
    machine = f"{usable_cores()} cores of {cpu_name()} ({', '.join(cpu_features())})"
    table = Table(title=machine, title_justify="left")
    for column in ("promise", "at most", "measured", ""):
        table.add_column(column)
    for limit in limits:
        verdict = "kept" if limit.kept else "[red]broken[/red]"
        table.add_row(limit.promise, f"{limit.limit:g}", f"{limit.measured:.3g} {limit.unit}", verdict)
    Console(width=110).print(table)
    return 0 if all(limit.kept for limit in limits) else 1


if __name__ == "__main__":
    sys.exit(main())
