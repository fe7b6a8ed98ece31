"""The GPU benchmark, tried for a moment on whatever is here."""

import json
import runpy
from pathlib import Path

import pytest

from hrpose_rt.bench import flops
from tests.gpu.conftest import Bench
from tests.gpu.simulated import HAS_CUDA

pytestmark = [pytest.mark.gpu] if HAS_CUDA else []
slow = pytest.mark.gpu if HAS_CUDA else pytest.mark.slow


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16", "int8"])
def test_peak_of_gpu_is_measured_in_each_precision(precision: str, bench: Bench, monkeypatch) -> None:
    monkeypatch.setattr(flops, "CUDA_SIDE", 64)
    monkeypatch.setattr(flops, "PEAK_S", 0.01)
    assert flops.measure_cuda_peak("cuda:0", precision) > 0
    assert not bench.gpu.complaints
    assert flops.measure_cuda_peak("cuda:0", "int4") == 0


@slow
def test_gpu_benchmark_writes_report(tmp_path: Path) -> None:
    program = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "gpu.py"))
    report = json.loads(program["main"](tmp_path, quick=True).read_text())
    ways = len(report["ready_s"])
    assert {row["batch"] for row in report["batches"]} == {1, 4}
    assert len(report["batches"]) == 2 * ways and len(report["crowds"]) == len(report["files"]) == ways
    row = report["batches"][0]
    rate = row["batch"] * report["gflop"] / row["p50_ms"]  # GFLOP/ms
    assert row["peak_share"] == pytest.approx(rate / report["ceilings"]["fp16_tflops"], abs=1e-3)
