"""Clocks for the stages of a frame, and histograms of a long run in constant memory."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
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

    def merge(self, other: "Histogram") -> None:
        """Count all values of another histogram, too."""
        self._counts += other._counts
        self.count += other.count
        self.sum += other.sum
        self.min, self.max = min(self.min, other.min), max(self.max, other.max)

    def to_dict(self) -> dict[str, Any]:
        """Its numbers, from which `from_dict` makes it again: the buckets that are not empty, as pairs."""
        used = np.flatnonzero(self._counts)
        buckets = np.column_stack([used, self._counts[used]]).tolist()
        return {"sum": self.sum, "min": self.min, "max": self.max, "buckets": buckets}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Histogram":
        """The histogram with the numbers of `to_dict`."""
        made = cls()
        for bucket, count in content["buckets"]:
            made._counts[bucket] = count
        made.count, made.sum = int(made._counts.sum()), content["sum"]
        made.min, made.max = content["min"], content["max"]
        return made

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

    def merge(self, other: "LatencyTable") -> None:
        """Count all frames of another table, too. Percentiles are then those of all frames.

        >>> one, two = LatencyTable(), LatencyTable()
        >>> one.add(3, StageTimes(total=10.0))
        >>> two.add(3, StageTimes(total=30.0))
        >>> one.merge(two)
        >>> one.frames, one.histogram("1-5", "total").mean
        (2, 20.0)
        """
        for label, rows in other._bins.items():
            mine = self._bins.setdefault(label, {name: Histogram() for name in self.ROWS})
            for name, histogram in rows.items():
                mine[name].merge(histogram)

    def histograms(self) -> dict[str, Any]:
        """All numbers as plain values, from which `from_histograms` makes the table again."""
        return {
            label: {name: h.to_dict() for name, h in self._bins[label].items()} for label in self.bins()
        }

    @classmethod
    def from_histograms(cls, content: Mapping[str, Any]) -> "LatencyTable":
        """The table with the numbers of `histograms`."""
        made = cls()
        made._bins = {
            label: {name: Histogram.from_dict(rows[name]) for name in cls.ROWS}
            for label, rows in content.items()
        }
        return made

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
