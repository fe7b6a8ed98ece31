"""Baselines as programs, and ratios by hand."""

import time
from pathlib import Path

import numpy as np
import pytest

from hrpose_rt.bench.compare import Baseline, Contestant, Shot, compare, ratios
from hrpose_rt.cli.bench_compare import random_w32, rows
from hrpose_rt.errors import BadInput, RunBroken

SHOT = Shot(np.zeros((64, 96, 3), np.uint8), np.array([[10, 5, 40, 60]], np.float32))


def test_everybody_is_measured_in_turn_on_the_same_frames() -> None:
    order: list[tuple[str, int]] = []

    def work(name: str, ms: float):
        def one(shot: Shot) -> float:
            order.append((name, int(shot.boxes[0, 0])))
            return ms

        return one

    shots = [Shot(SHOT.image, SHOT.boxes + i) for i in range(2)]
    ours, theirs = Contestant("ours", work("ours", 10.0)), Contestant("theirs", work("theirs", 35.0))
    compare([ours, theirs], shots, 3)
    assert [name for name, _ in order] == ["ours", "theirs"] * 4  # the first round only warms up
    assert order[0][1] == order[1][1]
    assert ours.ms == [10.0] * 3
    (line,) = ratios([ours], [theirs])
    assert (line["ratio"], line["95%"]) == (3.5, [3.5, 3.5])
    assert rows([line])[1] == ["ours", "10.0", "theirs", "35.0", "3.50", "3.50-3.50"]


def test_a_baseline_that_ends_says_why(tmp_path: Path) -> None:
    with pytest.raises(RunBroken, match=r"a baseline ended: python batched_eager\.py WEIGHTS\.pth"):
        Baseline("batched_eager.py", (), tmp_path)
    with pytest.raises(BadInput, match=r"none\.py is not installed with the package: run this in a check"):
        Baseline("none.py", (), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("program", ["batched_eager.py", "one_by_one.py", "original.py", "yolo_pose.py"])
def test_a_baseline_answers_with_milliseconds(program: str, tmp_path: Path) -> None:
    pytest.importorskip("torchvision")
    arguments = () if program == "yolo_pose.py" else (str(random_w32(tmp_path)),)
    with Baseline(program, arguments, tmp_path) as baseline:
        begin = time.perf_counter()
        ms = baseline(SHOT)
        assert 1 < ms <= 1e3 * (time.perf_counter() - begin)
        assert "fp32" in baseline.name or "original" in baseline.name
