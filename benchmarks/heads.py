"""Recall of people in a crowd, with and without tiles, against annotated head points.

    python benchmarks/heads.py VIDEO.mp4 HEADS.json [TILES ...]

HEADS.json has `head_points_xy`: for each frame a list of head points, x and y in pixels. A head is found if
it lies in the upper third of a box; each box matches one head.
"""

import json
import sys
import time

import numpy as np

from hrpose_rt.config import Settings
from hrpose_rt.detection.tiling import Tiling
from hrpose_rt.geometry import assign
from hrpose_rt.hardware import cpu_features, cpu_name, usable_cores
from hrpose_rt.networks import open_detector
from hrpose_rt.sources.open import open_source
from hrpose_rt.timing import StageClock


def matched(heads: np.ndarray, boxes: np.ndarray) -> int:
    """The number of heads (N, 2) that match a box (M, 4), one to one."""
    x, y = heads[:, 0:1], heads[:, 1:2]
    third = boxes[:, 1] + (boxes[:, 3] - boxes[:, 1]) / 3
    inside = (x >= boxes[:, 0]) & (x <= boxes[:, 2]) & (y >= boxes[:, 1]) & (y <= third)
    rows, columns = assign(-inside.astype(np.float32))
    return int(inside[rows, columns].sum())


def measure(video: str, heads: list[np.ndarray], tiles: str) -> tuple[float, float, float]:
    """Recall and precision in 0..1, and frames per second, on the video's first `len(heads)` frames."""
    detector, _ = open_detector(Settings())
    found = wrong = 0
    spent, recent = [], np.zeros((0, 4), np.float32)
    with detector, open_source(video) as source:
        frame_hw = (source.info.height, source.info.width)
        tiling = Tiling(tiles, frame_hw, detector.input_hw_for(frame_hw))
        detector.warm_up(frame_hw, tiling.max_tiles)
        for frame, points in zip(source, heads, strict=False):
            begin = time.perf_counter()
            boxes = detector.detect(frame.image, StageClock(), tiling.choose(recent)).boxes
            spent.append(time.perf_counter() - begin)
            recent = boxes
            right = matched(points, boxes)
            found, wrong = found + right, wrong + len(boxes) - right
    people = sum(map(len, heads))
    return found / people, found / max(found + wrong, 1), float(1 / np.median(spent))


def main() -> None:
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    with open(sys.argv[2]) as file:
        frames = json.load(file)["head_points_xy"]
    heads = [np.array(points, np.float32).reshape(-1, 2) for points in frames]
    print("| tiles | recall | precision | frames a second |\n|---|---|---|---|")
    for tiles in sys.argv[3:] or ["off", "auto", "2x2", "2x3"]:
        recall, precision, fps = measure(sys.argv[1], heads, tiles)
        print(f"| {tiles} | {recall:.3f} | {precision:.3f} | {fps:.1f} |", flush=True)
    print(f"\n{usable_cores()} cores of {cpu_name()} ({', '.join(cpu_features())})")


if __name__ == "__main__":
    main()
