"""Clocks and histograms."""

from itertools import count

import numpy as np
import pytest

from hrpose_rt.timing import Histogram, LatencyTable, StageClock, crowd_bin
from hrpose_rt.types import STAGES, StageTimes


@pytest.mark.parametrize(
    ("people", "label"),
    [
        *((0, "0"), (1, "1-5"), (5, "1-5"), (6, "6-10"), (10, "6-10"), (11, "11-14"), (14, "11-14")),
        *((15, "15-20"), (20, "15-20"), (21, "21-49"), (49, "21-49"), (50, "50+"), (500, "50+")),
    ],
)
def test_crowd_bins_have_no_gaps(people: int, label: str) -> None:
    assert crowd_bin(people) == label


def test_stage_clock_stages_and_other_add_up_to_total() -> None:
    ticks = count()  # each look at the clock is a second later
    clock = StageClock(now=lambda: float(next(ticks)))
    with clock.stage("detect"):
        pass
    for _ in range(2):
        with clock.stage("pose"):
            pass
    times = clock.times(read_ms=7.0)
    assert (times.detect, times.pose, times.total, times.read) == (1000, 2000, 7000, 7)
    assert times.other == 4000
    assert sum(getattr(times, name) for name in STAGES) == times.total


def test_stage_clock_counts_stage_that_raises() -> None:
    ticks = count()
    clock = StageClock(now=lambda: float(next(ticks)))
    with pytest.raises(KeyError), clock.stage("crop"):
        raise KeyError
    assert clock.times().crop == 1000


def test_histogram_percentiles_are_within_one_percent() -> None:
    values = np.random.default_rng(0).lognormal(2, 1, 5000)
    histogram = Histogram()
    for value in values:
        histogram.add(float(value))
    for q in (1, 50, 95, 99):
        exact = np.percentile(values, q, method="inverted_cdf")
        assert histogram.percentile(q) == pytest.approx(exact, rel=0.01)
    assert histogram.mean == pytest.approx(values.mean())
    assert (histogram.count, histogram.min, histogram.max) == (5000, values.min(), values.max())


def test_histogram_is_nan_when_empty_and_exact_for_one_value() -> None:
    histogram = Histogram()
    assert np.isnan(histogram.percentile(50))
    assert np.isnan(histogram.mean)
    histogram.add(12.5)
    assert histogram.percentile(50) == histogram.percentile(95) == 12.5


@pytest.mark.parametrize("value", [0.0, -0.001, 1e-9, 1e12])
def test_histogram_accepts_values_outside_buckets(value: float) -> None:
    histogram = Histogram()
    histogram.add(value)
    assert histogram.percentile(50) == value


def test_latency_table_bins_frames_by_people_count() -> None:
    table = LatencyTable()
    for people, total in ((60, 40.0), (2, 10.0), (3, 20.0), (0, 1.0)):
        table.add(people, StageTimes(total=total, pose=total / 2))
    assert table.bins() == ["0", "1-5", "50+"]
    assert table.frames == 4
    report = table.to_dict()
    assert report["1-5"]["frames"] == 2
    assert report["1-5"]["total"] == {"p50": 10.0, "p95": 20.0, "mean": 15.0}
    assert report["50+"]["pose"]["mean"] == 20.0


def test_tables_merged_from_their_numbers_equal_one_table() -> None:
    rng = np.random.default_rng(1)
    one, two, all_ = LatencyTable(), LatencyTable(), LatencyTable()
    for table, people in ((one, 3), (two, 3), (two, 30)):
        for total in rng.lognormal(3, 0.5, 50).tolist():
            table.add(people, StageTimes(total=total))
            all_.add(people, StageTimes(total=total))
    merged = LatencyTable.from_histograms(one.histograms())
    merged.merge(LatencyTable.from_histograms(two.histograms()))
    assert merged.to_dict() == all_.to_dict()
    assert merged.frames == 150
