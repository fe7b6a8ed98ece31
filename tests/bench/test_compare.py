"""Baselines as programs, and ratios by hand."""

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from hrpose_rt.bench import compare as comparing
from hrpose_rt.bench.compare import Baseline, BenchFrame, Candidate, compare, ratios
from hrpose_rt.bench.report_text import ratio_rows
from hrpose_rt.cli.bench_compare import random_w32
from hrpose_rt.errors import BadInput, RunBroken

FRAME = BenchFrame(np.zeros((64, 96, 3), np.uint8), np.array([[10, 5, 40, 60]], np.float32))


def test_compare_interleaves_candidates_and_gives_latency_ratio() -> None:
    order: list[tuple[str, int]] = []

    def work(name: str, ms: float):
        def one(frame: BenchFrame) -> float:
            order.append((name, int(frame.boxes[0, 0])))
            return ms

        return one

    frames = [BenchFrame(FRAME.image, FRAME.boxes + i) for i in range(2)]
    ours, theirs = Candidate("ours", work("ours", 10.0)), Candidate("theirs", work("theirs", 35.0))
    compare([ours, theirs], frames, 3)
    assert [name for name, _ in order] == ["ours", "theirs"] * 4  # the first round only warms up
    assert order[0][1] == order[1][1]
    assert ours.ms == [10.0] * 3
    (line,) = ratios([ours], [theirs])
    assert (line["ratio"], line["95%"]) == (3.5, [3.5, 3.5])
    assert ratio_rows([line])[1] == ["ours", "10.0", "theirs", "35.0", "3.50", "3.50-3.50"]


def test_baseline_start_failure_raises_with_reason(tmp_path: Path) -> None:
    with pytest.raises(RunBroken, match=r"a baseline ended: python batched_eager\.py WEIGHTS\.pth"):
        Baseline("batched_eager.py", (), tmp_path)
    with pytest.raises(BadInput, match=r"none\.py is not installed with the package: run this in a check"):
        Baseline("none.py", (), tmp_path)


@pytest.fixture
def program(tmp_path: Path, monkeypatch):
    """Writes a baseline, which serves what `work` is in its text, and gives its name."""
    baselines = Path(__file__).parents[2] / "benchmarks" / "baselines"
    folder = tmp_path / "benchmarks" / "baselines"
    folder.mkdir(parents=True)
    shutil.copy(baselines / "protocol.py", folder)
    monkeypatch.setattr(comparing, "models_folder", lambda: tmp_path / "models")

    def write(text: str) -> str:
        (folder / "ours.py").write_text(f"import os\nfrom protocol import serve\n{text}\n")
        return "ours.py"

    return write


def test_baseline_stdout_noise_goes_to_log(program, tmp_path: Path) -> None:
    name = program(
        """print("Creating new settings")
os.system("echo a library in C")
def work(image, boxes):
    print("found nobody")
serve("noisy", work)"""
    )
    with Baseline(name, (), tmp_path) as baseline:
        assert baseline.name == "noisy"
        assert 0 < baseline(FRAME) < 1e3
        assert 0 < baseline(FRAME) < 1e3
    printed = ["Creating new settings", "a library in C", "found nobody", "found nobody"]
    assert (tmp_path / "ours.log").read_text().splitlines() == printed


def child_processes() -> set[int]:
    """Process ids; other tests may have left some, such as multiprocessing's resource tracker."""
    children = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            _, _, facts = stat.read_text().rpartition(") ")
            if int(facts.split()[1]) == os.getpid():
                children.add(int(stat.parent.name))
    return children


def test_baseline_crash_leaks_no_file_descriptor_or_process(program, tmp_path: Path) -> None:
    open_files, children = sorted(os.listdir("/proc/self/fd")), child_processes()
    with pytest.raises(RunBroken, match="a baseline ended: RuntimeError: no weights"):
        Baseline(program('print("loading")\nraise RuntimeError("no weights")'), (), tmp_path)
    with pytest.raises(ValueError, match="Expecting value"):
        Baseline(program('os.write(int(os.environ["HRPOSE_ANSWERS"]), b"ready\\n")'), (), tmp_path)
    name = program('def work(image, boxes): os._exit(3)\nserve("short-lived", work)')
    with Baseline(name, (), tmp_path) as baseline:
        for _ in range(2):
            with pytest.raises(RunBroken, match="a baseline ended: it says not why"):
                baseline(FRAME)
    assert sorted(os.listdir("/proc/self/fd")) == open_files
    assert child_processes() == children


@pytest.mark.slow
@pytest.mark.parametrize("program", ["batched_eager.py", "one_by_one.py", "original.py", "yolo_pose.py"])
def test_baseline_returns_latency_ms(program: str, tmp_path: Path) -> None:
    pytest.importorskip("torchvision")
    arguments = () if program == "yolo_pose.py" else (str(random_w32(tmp_path)),)
    with Baseline(program, arguments, tmp_path) as baseline:
        begin = time.perf_counter()
        ms = baseline(FRAME)
        assert 1 < ms <= 1e3 * (time.perf_counter() - begin)
        assert "fp32" in baseline.name or "original" in baseline.name
