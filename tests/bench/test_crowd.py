"""The crowd benchmark: results computed by hand, and reports that are refused."""

import json
import time

import numpy as np
import pytest
from typer.testing import CliRunner

from hrpose_rt.bench import report as reports
from hrpose_rt.bench import report_text
from hrpose_rt.bench.crowd import BLOCK, CrowdTiming, Sample, Variant, check_untimed, matches, measure
from hrpose_rt.bench.scenes import Scene
from hrpose_rt.bench.stats import PiecewiseLine, fit, interval, percentiles, ratio_interval
from hrpose_rt.cli.bench_crowd import parse_crowds
from hrpose_rt.cli.main import build_app
from hrpose_rt.config import Settings
from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.types import StageTimes
from tests.bench.test_scenes import RED
from tests.fakes import fake_networks


def sample(round: int, ms: float, detected: int = 2, returned: int = 0, untimed_ms: float = float("nan")):
    times = StageTimes(pose=ms, total=ms)
    return Sample(round, 4, detected, 2, returned, times, ms, untimed_ms)


def test_latency_fit_recovers_slope_and_breakpoint() -> None:
    people = np.arange(60.0)
    straight = fit(people, 10 + 2 * people)
    assert (straight.intercept, straight.slope, straight.breakpoints) == (
        pytest.approx(10),
        pytest.approx(2),
        (),
    )
    bent = fit(people, 10 + 2 * np.minimum(people, 30) + 0.5 * np.maximum(people - 30, 0))
    assert bent.slope == pytest.approx(2)
    assert bent.breakpoints == ((30.0, pytest.approx(0.5)),)
    assert bent.at(np.array([0.0, 40.0])) == pytest.approx([10, 75])


def test_latency_fit_of_noisy_line_has_no_breakpoint() -> None:
    people = np.repeat(np.arange(1.0, 50.0), 4)
    assert fit(people, 5 + people + np.random.default_rng(0).normal(0, 1, len(people))).breakpoints == ()


def test_bootstrap_bounds_contain_median_and_ratio() -> None:
    low, high = interval([[1.0, 2.0, 3.0], [2.0, 3.0, 4.0], [3.0, 4.0, 5.0]])
    assert low <= 3 <= high and low < high
    assert interval([[5.0]] * 4) == (5.0, 5.0)
    assert ratio_interval([10.0, 10.0], [30.0, 30.0]) == (3.0, 3.0, 3.0)


def test_latency_p99_needs_200_samples() -> None:
    assert set(percentiles([1.0] * 199)) == {"p50", "p90", "p95"}
    assert percentiles(list(range(201)))["p99"] == 198


def test_iou_match_counts_each_person_once() -> None:
    people = np.array([[0, 0, 10, 10], [100, 0, 110, 10]], np.float32)
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [200, 0, 210, 10]], np.float32)
    assert matches(boxes, people) == 1
    assert matches(boxes[:0], people) == matches(boxes, people[:0]) == 0


def test_report_refused_if_stage_sum_differs_from_untimed_latency() -> None:
    cell = CrowdTiming("ours", Scene([RED], 4), [sample(0, 10.0, untimed_ms=10.2), sample(0, 10.0)])
    assert check_untimed([cell]) == ({"ours": pytest.approx(10 / 10.2, abs=1e-3)}, "")
    cell.samples.append(sample(1, 10.0, untimed_ms=12.0))
    _, refused = check_untimed([cell])
    assert "stages of ours add up to 0.901 of" in refused and "keep the machine quiet" in refused


def test_report_refused_is_saved_but_load_raises_bad_input(report, tmp_path) -> None:
    refused = report | {"refused": "it was loud"}
    assert report_text.sentences(refused)[0] == "Refused: it was loud."
    with pytest.raises(BadInput, match=r"report\.json was refused, it was loud"):
        reports.load(report_text.save(refused, tmp_path)[0])


class SlowScene(Scene):
    """A scene on a machine that has other things to do."""

    def frame_and_truth(self, index):
        time.sleep(0.02)
        return super().frame_and_truth(index)


@pytest.mark.parametrize(("seconds", "least", "most"), [(0.0, 2, 2), (1.5, 3, 20)])
def test_measure_stops_at_time_limit(seconds, least, most) -> None:
    variant = Variant("ours", Settings(), fake_networks([3]))
    steps: list[str] = []
    begin = time.perf_counter()
    cells = measure([variant], [SlowScene([RED], 4, (64, 48))] * 3, 50, seconds, steps.append)
    assert time.perf_counter() - begin < seconds + 1.5
    assert all(least <= len(cell.samples) <= most for cell in cells)
    assert steps[0].startswith("warming up, ") and steps[-1].startswith("round ")


def test_reappearance_latency_ratio_to_following_frames() -> None:
    samples = [sample(0, 10.0), sample(0, 30.0, returned=6), *[sample(0, 20.0)] * 5]
    cell = CrowdTiming("ours", Scene([RED], 4), samples)
    assert reports.reappearance([cell], people=5) == {"frames": 1, "ratio_p50": 1.5, "ratio_p95": 1.5}
    assert reports.reappearance([cell], people=7) == {"frames": 0}


@pytest.fixture(scope="module")
def report():
    variant = Variant("ours", Settings(), fake_networks([3]))
    cells = measure([variant], [Scene([RED], 4, (320, 240)), Scene([RED], 60, (320, 240))], 4, 60)
    assert [len(cell.samples) for cell in cells] == [4 * BLOCK] * 2
    return reports.build_report([variant], cells, {"ours": 1.0})


def test_report_bins_have_found_people_and_stage_latencies(report) -> None:
    assert [bin["bin"] for bin in report["bins"]] == ["1-5", "50+"]
    small = report["bins"][0]
    assert small["frames"] == 4 * BLOCK and small["found"] == 3
    low, high = small["total_ms"]["p50_95%"]
    assert low <= small["total_ms"]["p50"] <= high
    assert set(small["stages_ms"]) >= {"detect", "pose", "other"}
    assert report["cells"][0]["batches"] == [2, 1]
    assert report["schema"] == 1 and report["libraries"]["numpy"]


def test_report_roundtrip_and_latency_regression(report, tmp_path) -> None:
    files = report_text.save(report, tmp_path)
    assert [file.name for file in files] == ["report.json", "report.md"]
    assert "| people | there | found |" in files[1].read_text()
    again = reports.load(files[0])
    assert reports.regressions(report, again) == []
    base, slow = (json.loads(json.dumps(report)) for _ in range(2))  # whatever was measured here
    p50 = report["cells"][1]["total_ms"]["p50"]
    base["cells"][1]["total_ms"]["p50_95%"] = [0.9 * p50, 1.1 * p50]
    slow["cells"][1]["total_ms"] |= {"p50": 2 * p50, "p50_95%": [1.9 * p50, 2.1 * p50]}
    assert len(reports.regressions(base, slow)) == 1
    assert "+100.0%" in reports.regressions(base, slow)[0]


def test_report_of_other_machine_or_schema_raises_bad_input(report, tmp_path) -> None:
    other = json.loads(json.dumps(report))
    other["ways"]["ours"]["cpu"] = "another"
    with pytest.raises(BadInput, match=r"different machines \(none and another\): compare those of one"):
        reports.regressions(report, other)
    for change, sentences in (
        ({"kind": "bounded"}, "kind: invalid"),
        ({"schema": 2}, "schema: expected int <= 1"),
        ({"ways": {}}, "ways: expected object of length >= 1"),
        ({"cells": [{"way": "a"}]}, r"cells\[0\]: object missing required field"),
    ):
        (tmp_path / "r.json").write_text(json.dumps(report | change))
        with pytest.raises(BadInput, match=rf"r\.json is no report of this version \({sentences}"):
            reports.load(tmp_path / "r.json")


def test_crowd_option_parses_bins_and_numbers() -> None:
    assert parse_crowds("5-10,3") == [6, 8, 10, 3]
    with pytest.raises(
        BadInput, match="--crowd many is not a crowd size: give numbers, or some of 1-5, 6-10, 15-20"
    ):
        parse_crowds("many")


def test_cli_bench_crowd_writes_report_and_plots(photos, tmp_path) -> None:
    command = ["bench", "crowd", "--crowd", "2", "--quick", "--output", str(tmp_path / "r")]
    done = CliRunner().invoke(build_app(), command)
    assert "composing\n" in done.stderr and "round 1 of 2\n" in done.stderr
    report = json.loads((tmp_path / "r" / "report.json").read_text())
    if isinstance(done.exception, RunBroken):  # on a busy machine it is refused, and there
        assert "the stages of" in report["refused"]
    else:
        assert done.exit_code == 0, done.output
        assert not report["refused"]
    assert "a person found" in done.output
    assert {"report.json", "latency.png", "stages.svg"} <= {p.name for p in (tmp_path / "r").iterdir()}
    with pytest.raises(BadInput, match=r"report\.json exists: choose another name"):
        CliRunner().invoke(build_app(), command, catch_exceptions=False)


def test_report_line_of_returns_fitted_line() -> None:
    fitted = {"fit": {"a": {"ms_of_an_empty_frame": 1, "ms_a_person": 2, "knees": []}}}
    assert reports.line_of(fitted, "a") == PiecewiseLine(1, 2)
