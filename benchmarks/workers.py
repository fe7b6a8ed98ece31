"""Videos a minute of `hrpose-rt batch`: one worker with all cores against a worker for each core.

    python benchmarks/workers.py [VIDEO] [--clips N] [--seconds S] [--rounds N]

The clips are parts of VIDEO, or of the sample video of `make demo`. Both ways take turns, so that other
load affects both alike; keep the machine quiet meanwhile. A time is that of the whole call, with the start
of its workers. Writes `results/workers.json`, from which `tables.py` fills docs/scale.md.
"""

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hrpose_rt.config import Clip
from hrpose_rt.networks import hardware_info
from hrpose_rt.sources.open import open_source

RESULTS = Path(__file__).parent / "results"
SAMPLES = Path(__file__).parents[1] / "samples"


def write_clips(video: Path, count: int, seconds: float, table: Path) -> int:
    """Write a table of parts of a video for `batch`; returns the frames of all."""
    with open_source(video) as source:
        length_s = (source.info.frames or 0) / source.info.fps
    if length_s < seconds:
        raise SystemExit(f"{video} is {length_s:.1f} s long: give fewer --seconds")
    starts = [i * (length_s - seconds) / max(count - 1, 1) for i in range(count)]
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(
            [("source", "start", "end"), *((video, round(s, 3), round(s + seconds, 3)) for s in starts)]
        )
    frames = 0
    for start in starts:
        with open_source(video, Clip(round(start, 3), round(start + seconds, 3))) as source:
            frames += sum(1 for _ in source)
    return frames


def run_batch(table: Path, workers: int, threads: int) -> float:
    """Seconds of one call."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "hrpose_rt", "batch", str(table), "--output", f"{folder}/out"]
        command += ["--workers", str(workers), "--threads", str(threads), "--quiet"]
        begin = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - begin


def measure(video: Path, count: int, seconds: float, rounds: int) -> dict[str, Any]:
    """Both ways by turns, after a first round that is not counted."""
    hardware = hardware_info()
    cores = hardware.threads
    took: dict[int, list[float]] = {1: [], cores: []}
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "clips.csv"
        frames = write_clips(video.resolve(), count, seconds, table)
        for _ in range(rounds + 1):
            for workers, times in took.items():
                times.append(run_batch(table, workers, cores))
    ratios = [one / many for one, many in zip(took[1][1:], took[cores][1:], strict=True)]
    return {
        "kind": "workers",
        "schema": 1,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **hardware.to_dict(),
        "clips": count,
        "frames": frames,
        "videos_a_minute": {
            str(workers): round(60 * count / statistics.median(times[1:]), 2)
            for workers, times in took.items()
        },
        "ratio": {
            "median": round(statistics.median(ratios), 3),
            "rounds": [round(ratio, 3) for ratio in ratios],
        },
    }


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video", nargs="?", type=Path)
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        video = given.video
        if video is None:
            sys.path.insert(0, str(SAMPLES))
            from sample_video import make_sample_video

            video = make_sample_video(Path(folder) / "sample.mp4")
        report = measure(video, given.clips, given.seconds, given.rounds)
    (RESULTS / "workers.json").write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
