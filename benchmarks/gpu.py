"""Measure an NVIDIA GPU: its ceilings, the batch curve, latency by crowd size, and files per second.

    python benchmarks/gpu.py [FOLDER] [--quick]

Takes under five minutes and writes FOLDER/<GPU>.json after each part; FOLDER is benchmarks/results/gpu by
default. Needs only PyTorch, NumPy and OpenCV. The network is an HRNet-W32 with random weights. It runs in
PyTorch, eager and as CUDA graphs, which runs use. For TensorRT use
`hrpose-rt bench engine --runtime tensorrt`. Times are what the host waits for, from the call until the GPU
is done. --quick tries the program on any machine.
"""

import argparse
import json
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from hrpose_rt.hardware import gpu_facts
from hrpose_rt.nets.hrnet import HRNet
from hrpose_rt.nets.hrnet_config import CONFIGS
from hrpose_rt.nets.preprocessing import hrnet_on_crops
from hrpose_rt.nets.spec import EngineSpec
from hrpose_rt.pose.estimator_cuda import CudaPoseEstimator
from hrpose_rt.runtimes.cuda_frames import FrameUploader
from hrpose_rt.runtimes.torch_eager import EagerRuntime
from hrpose_rt.runtimes.torch_graphs import GraphRuntime
from hrpose_rt.timing import StageClock

RESULTS = Path(__file__).parent / "results" / "gpu"
SCHEMA = 1
HW, MAPS = (256, 192), (64, 48)
FRAME_HW = (720, 1280)
FILES, PEOPLE_IN_A_FILE = 20, 4
STAGES = ("crop", "pose", "heatmap", "other")
Row = dict[str, Any]


class Benchmark:
    """One run on one device.

    Args:
        quick: Use a small network and a short time per measurement.
    """

    def __init__(self, quick: bool) -> None:
        self._quick = quick
        self.model = "hrnet-w16-lite" if quick else "hrnet-w32"
        self._device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
        self._on_gpu = self._device.type == "cuda"
        self._batches = (1, PEOPLE_IN_A_FILE) if quick else (1, 2, 4, 8, 12, 16, 24, 32, 48, 64)
        self._crowds = (2,) if quick else (1, 5, 10, 20, 50, 100)
        self._spec = EngineSpec(self.model, "pose", (HW,), "fp16", "", "coco17", MAPS)
        self._ways: dict[str, Any] = {}

    def facts(self) -> Row:
        """The GPU and its state."""
        versions = {"schema": SCHEMA, "torch": torch.__version__, "cuda": torch.version.cuda}
        return versions | {"gpu": gpu_facts()}

    def ceilings(self) -> Row:
        """Peak rates of a device: operations per second of matrix products, bytes per second of a copy."""
        side = 256 if self._quick else 8192
        a, b = (torch.randn(side, side, device=self._device).half() for _ in range(2))
        found = {"fp16_tflops": round(2e-9 * side**3 / self._timed(lambda: a @ b)[0], 4)}
        if self._on_gpu:
            eights = [
                torch.randint(-100, 100, (side, side), device=self._device).to(torch.int8) for _ in range(2)
            ]
            ms = self._timed(lambda: torch._int_mm(*eights))[0]
            found["int8_tops"] = round(2e-9 * side**3 / ms, 1)
            block = torch.empty(2**27 if self._quick else 2**31, dtype=torch.uint8, device=self._device)
            other = torch.empty_like(block)
            ms = self._timed(lambda: other.copy_(block))[0]
            found["copy_gb_s"] = round(2e-6 * block.numel() / ms)  # bytes read and written
        return found

    def gflop(self) -> float:
        """Operations per crop, in 1e9."""
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            self._network()(torch.zeros((1, *HW, 3), dtype=torch.uint8))
        return round(counter.get_total_flops() / 1e9, 3)

    def open(self) -> Row:
        """Open every runtime available here; returns the seconds until each was ready."""
        seconds = {}
        for precision in self._precisions():
            begin = time.perf_counter()
            eager = EagerRuntime(self._network(), precision, torch.get_num_threads(), str(self._device))
            self._ways[f"torch {precision}"] = eager
            seconds[f"torch {precision}"] = round(time.perf_counter() - begin, 1)
        if self._on_gpu:
            begin = time.perf_counter()
            self._ways["graphs fp16"] = graphs = GraphRuntime(self._network(), "fp16", 1, str(self._device))
            graphs.warm_up([(batch, *HW, 3) for batch in self._batches])
            seconds["graphs fp16"] = round(time.perf_counter() - begin, 1)
        return seconds

    def curve(self, gflop: float, peak: float) -> list[Row]:
        """Times by batch size, from crops on the device to heatmaps on the device."""
        rows = []
        for batch in self._batches:
            crops = torch.randint(0, 256, (batch, *HW, 3), device=self._device).to(torch.uint8)
            for way, runtime in self._ways.items():
                p50, p95 = self._timed(lambda run=runtime, crops=crops: run.infer_device(crops))
                share = round(batch * gflop / p50 / peak, 4) if peak else 0.0  # GFLOP/ms of TFLOP/s
                row = {"way": way, "batch": batch, "p50_ms": p50, "p95_ms": p95}
                rows.append(row | {"crops_s": round(1e3 * batch / p50), "peak_share": share})
                print(f"{way:<12}{batch:>4} crops  {p50:>9.3f} ms, p95 {p95:>9.3f}, {share:.1%} of fp16")
        return rows

    def crowds(self) -> list[Row]:
        """Times of the poses in a 720p frame in memory, by number of people, with stage times."""
        rows = []
        frames = [np.random.default_rng(i).integers(0, 256, (*FRAME_HW, 3), np.uint8) for i in range(4)]
        for way in self._ways:
            estimator = self._estimator(way)
            for people in self._crowds:
                clocks: list[Any] = []
                boxes = _boxes(people)

                def once(estimator: Any = estimator, boxes: Any = boxes, clocks: Any = clocks) -> None:
                    clock = StageClock()
                    estimator.estimate(frames[len(clocks) % 4], boxes, clock)
                    clocks.append(clock.times())

                p50, p95 = self._timed(once)
                stages = {s: round(float(np.median([getattr(c, s) for c in clocks])), 3) for s in STAGES}
                rows.append({"way": way, "people": people, "p50_ms": p50, "p95_ms": p95, **stages})
                print(f"{way:<12}{people:>4} people {p50:>9.3f} ms, p95 {p95:>9.3f}, {stages}")
        return rows

    def files(self) -> list[Row]:
        """JPEG files per second, from disk to the poses of four people in each."""
        smooth = cv2.resize(np.random.default_rng(0).integers(0, 256, (9, 16, 3), np.uint8), FRAME_HW[::-1])
        rows = []
        with tempfile.TemporaryDirectory() as folder:
            paths = [f"{folder}/{i}.jpg" for i in range(2 if self._quick else FILES)]
            for path in paths:
                cv2.imwrite(path, smooth)
            for way in self._ways:
                estimator = self._estimator(way)

                def once(estimator: Any = estimator) -> None:
                    for path in paths:
                        estimator.estimate(cv2.imread(path), _boxes(PEOPLE_IN_A_FILE), StageClock())

                rows.append({"way": way, "files_s": round(1e3 * len(paths) / self._timed(once)[0], 1)})
                print(
                    f"{way:<12}{rows[-1]['files_s']:>8} files a second, {PEOPLE_IN_A_FILE} people in each"
                )
        return rows

    def _precisions(self) -> tuple[str, ...]:
        if not self._on_gpu:
            return ("fp32",)
        # Turing and older emulate bf16.
        return ("fp16", "bf16") if torch.cuda.is_bf16_supported(including_emulation=False) else ("fp16",)

    def _network(self) -> torch.nn.Module:
        torch.manual_seed(0)
        return hrnet_on_crops(HRNet(CONFIGS[self.model])).eval()

    def _estimator(self, way: str) -> CudaPoseEstimator:
        return CudaPoseEstimator(self._ways[way], self._spec, FrameUploader(self._device))

    def _timed(self, work: Callable[[], Any]) -> tuple[float, float]:
        """Median and 95th percentile in milliseconds, measured until the device is done."""
        least, seconds, times = (1, 0.0, []) if self._quick else (5, 1.2, [])
        for _ in range(1 if self._quick else 3):
            work()
        self._wait()
        begin = time.perf_counter()
        while len(times) < least or time.perf_counter() - begin < seconds:
            start = time.perf_counter()
            work()
            self._wait()
            times.append(1e3 * (time.perf_counter() - start))
        p50, p95 = np.percentile(times, [50, 95])
        return round(float(p50), 3), round(float(p95), 3)

    def _wait(self) -> None:
        if self._on_gpu:
            torch.cuda.synchronize()


def _boxes(people: int) -> np.ndarray:
    x = np.linspace(0, 1100, people)
    return np.stack([x, x / 4, x + 120, x / 4 + 360], 1).astype(np.float32)


def main(folder: Path, quick: bool = False) -> Path:
    """Measure; returns the path of the report."""
    benchmark = Benchmark(quick)
    report: Row = {"model": benchmark.model, "facts": benchmark.facts()}
    name = re.sub(r"[^a-z0-9]+", "-", report["facts"]["gpu"].get("name", "none").lower())
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"

    def keep(part: str, found: Any) -> Any:
        report[part] = found
        path.write_text(json.dumps(report, indent=1) + "\n")
        return found

    with torch.inference_mode():
        gflop = keep("gflop", benchmark.gflop())
        ceilings = keep("ceilings", benchmark.ceilings())
        print(report["facts"], ceilings, f"{gflop} GFLOP a crop")
        keep("ready_s", benchmark.open())
        keep("batches", benchmark.curve(gflop, ceilings["fp16_tflops"]))
        keep("crowds", benchmark.crowds())
        keep("files", benchmark.files())
    if torch.cuda.is_available():
        keep("memory_mib", round(torch.cuda.max_memory_allocated() / 2**20))
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=RESULTS)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    print(main(given.folder, given.quick))
