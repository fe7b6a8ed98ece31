"""Clocks for the stages of a frame, and histograms of a long run in constant memory."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from hrpose_rt.types import EXTRA_STAGES, STAGES, StageTimes

CROWD_BINS = ("0", "1-5", "6-10", "11-14", "15-20", "21-49", "50+")
_BIN_STARTS = (0, 1, 6, 11, 15, 21, 50)

Clock = Callable[[], float]


def crowd_bin(people: int) -> str:
    """The crowd bin that a frame with this many people falls into."""
    return CROWD_BINS[sum(people >= start for start in _BIN_STARTS) - 1]


class StageClock:
    """Times one frame: create it, enter stages (each any number of times), read the times."""

    def __init__(self, now: Clock = time.perf_counter) -> None:
        self._now = now
        self._spent = dict.fromkeys(STAGES, 0.0)
        self._start = now()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time spent inside to the stage `name`."""
        begin = self._now()
        try:
            yield
        finally:
            self._spent[name] += self._now() - begin

    def times(self, read_ms: float = 0.0) -> StageTimes:
        """The stages so far in milliseconds; `other` is the rest of the total."""
        total = self._now() - self._start
        ms = {name: 1e3 * spent for name, spent in self._spent.items()}
        ms["other"] = 1e3 * total - sum(ms.values())
        return StageTimes(**ms, total=1e3 * total, read=read_ms)


class TotalClock(StageClock):
    """Times only the total, to measure the cost of timing the stages."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Do nothing."""
        yield


class Histogram:
    """Counts of positive values in buckets 1% wide: percentiles within 1%, for any number of values.

    In milliseconds, the buckets reach from a microsecond to a day. Values outside are counted in the
    first or the last bucket.
    """

    _LOW, _GROWTH, _BUCKETS = 1e-3, 1.01, 2550

    def __init__(self) -> None:
        self._counts = np.zeros(self._BUCKETS, np.int64)
        self.count, self.sum, self.min, self.max = 0, 0.0, math.inf, -math.inf

    def add(self, value: float) -> None:
        """Count one value."""
        bucket = math.log(max(value, self._LOW) / self._LOW) / math.log(self._GROWTH)
        self._counts[min(int(bucket), self._BUCKETS - 1)] += 1
        self.count += 1
        self.sum += value
        self.min, self.max = min(self.min, value), max(self.max, value)

    @property
    def mean(self) -> float:
        """The mean; NaN without values."""
        return self.sum / self.count if self.count else math.nan

    def percentile(self, q: float) -> float:
        """The value below which `q` percent of the values lie; NaN without values."""
        if not self.count:
            return math.nan
        rank = max(1, math.ceil(q / 100 * self.count))
        bucket = int(np.searchsorted(np.cumsum(self._counts), rank))
        middle = self._LOW * self._GROWTH ** (bucket + 0.5)
        return float(min(max(middle, self.min), self.max))


class LatencyTable:
    """Histograms of the stage latencies of a run, by number of people in the frame."""

    ROWS = (*STAGES, "total", *EXTRA_STAGES)

    def __init__(self) -> None:
        self._bins: dict[str, dict[str, Histogram]] = {}

    def add(self, people: int, times: StageTimes) -> None:
        """Count a frame with `people` in it."""
        label = crowd_bin(people)
        if label not in self._bins:
            self._bins[label] = {name: Histogram() for name in self.ROWS}
        for name, histogram in self._bins[label].items():
            histogram.add(getattr(times, name))

    @property
    def frames(self) -> int:
        """The number of frames."""
        return sum(bins["total"].count for bins in self._bins.values())

    def bins(self) -> list[str]:
        """The crowd bins that occurred, smallest first."""
        return [label for label in CROWD_BINS if label in self._bins]

    def histogram(self, label: str, row: str) -> Histogram:
        """The histogram of a stage (or of `total`, `read` ...) in a crowd bin that occurred."""
        return self._bins[label][row]

    def to_dict(self) -> dict[str, Any]:
        """For a report: bin -> frames and, for every row, p50, p95 and mean in milliseconds."""
        report: dict[str, Any] = {}
        for label in self.bins():
            rows = self._bins[label]
            report[label] = {"frames": rows["total"].count} | {
                name: {
                    "p50": round(h.percentile(50), 3),
                    "p95": round(h.percentile(95), 3),
                    "mean": round(h.mean, 3),
                }
                for name, h in rows.items()
            }
        return report
