"""Batches timed in turn, operations counted by hand."""

import json
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from hrpose_rt.bench.engine import RuntimeCandidate, time_engines
from hrpose_rt.bench.flops import count_flops, measure_peak
from hrpose_rt.cli.bench import _gpus
from hrpose_rt.cli.main import build_app
from hrpose_rt.errors import BadInput
from hrpose_rt.runtimes.ort import OnnxRuntime
from hrpose_rt.runtimes.ov import OpenVinoRuntime
from tests.export.test_half import graph
from tests.fakes import FakeRuntime


def test_flops_of_onnx_graph_match_hand_count(tmp_path: Path) -> None:
    onnx.save(graph(), tmp_path / "g.onnx")
    # 3x3x3 into 4 channels at 8x8, then 4 into 2 at 16x16; a multiply-add is two.
    assert count_flops(tmp_path / "g.onnx", (8, 8)) == 2 * (8 * 8 * 4 * 27 + 16 * 16 * 2 * 4)


def test_time_engines_interleaves_runtimes_per_batch_size() -> None:
    order: list[str] = []

    def fake(name: str) -> FakeRuntime:
        def answer(batch: np.ndarray) -> np.ndarray:
            order.append(name)
            time.sleep(0.002)
            return np.zeros((len(batch), 1))

        runtime = FakeRuntime(answer)
        runtime.name = name
        return runtime

    variants = [RuntimeCandidate(fake(name), (8, 8), flops=1e6, peak=1e9) for name in "ab"]
    cells = time_engines(variants, [1, 4], seconds=0.01)
    assert [(cell.runtime, cell.batch) for cell in cells] == [("a", 1), ("b", 1), ("a", 4), ("b", 4)]
    assert order[:4] == ["a", "a", "b", "b"]
    assert order[4:20] == ["a"] * 4 + ["b"] * 4 + ["a"] * 4 + ["b"] * 4
    for cell in cells:
        assert 0 < cell.p50_ms <= cell.p95_ms and cell.rounds >= 5
        assert cell.a_second == pytest.approx(1e3 * cell.batch / cell.p50_ms, rel=0.01)
        assert cell.peak_share == pytest.approx(cell.batch / cell.p50_ms, rel=0.01, abs=0.001)


@pytest.mark.slow
@pytest.mark.parametrize("int8", [False, True])
@pytest.mark.parametrize("threads", [1, 2])
def test_peak_flops_of_fp32_and_int8_are_plausible(int8: bool, threads: int) -> None:
    precision = "int8" if int8 else "fp32"
    for runtime in (
        lambda path: OnnxRuntime(path, threads),
        lambda path: OpenVinoRuntime(path, precision, threads),
    ):
        assert 1e9 < measure_peak(runtime, int8) < 1e15


def test_cli_bench_engine_skips_unsupported_precision(tmp_path: Path) -> None:
    options = ["--runtime", "onnxruntime", "--precision", "fp32,bf16", "--batch", "1", "--seconds", "0.1"]
    command = ["bench", "engine", "hrnet-w16-lite", *options, "--output", str(tmp_path / "r.json")]
    done = CliRunner().invoke(build_app(), command, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "r.json").read_text())
    assert [(cell["runtime"], cell["precision"]) for cell in report["cells"]] == [("onnxruntime", "fp32")]
    assert report["gflop"] == pytest.approx(1.9, abs=0.5) and report["peak_gflops"]["onnxruntime fp32"] > 1
    with pytest.raises(BadInput, match=r"r\.json exists: choose another name"):
        CliRunner().invoke(build_app(), command, catch_exceptions=False)


@pytest.mark.parametrize(
    ("options", "sentences"),
    [
        (["--batch", "1,x"], "--batch 1,x is no list of sizes: give numbers with commas"),
        (["--precision", "int3"], "no `precision` 'int3'"),
    ],
)
def test_cli_bench_engine_rejects_invalid_options(options, sentences) -> None:
    with pytest.raises(BadInput, match=sentences):
        CliRunner().invoke(
            build_app(), ["bench", "engine", "hrnet-w16-lite", *options], catch_exceptions=False
        )


def test_report_of_gpu_names_each_measured_one(monkeypatch) -> None:
    monkeypatch.setattr("hrpose_rt.cli.bench.gpu_facts", lambda number: {"name": f"GPU {number}"})
    measured = []
    for device in ("cuda:1", "cpu", "cuda"):
        runtime = FakeRuntime(lambda batch: batch)
        runtime.device = device
        measured.append(RuntimeCandidate(runtime, (8, 8), 1.0, 0.0))
    assert _gpus(measured) == {"cuda": {"name": "GPU 0"}, "cuda:1": {"name": "GPU 1"}}
