"""Metrics of a run in the Prometheus format."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from hrpose_rt.result import FrameResult
from hrpose_rt.types import STAGES

BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.033, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Metrics:
    """Frames, people, stage latencies, dropped frames and age, labelled by source name."""

    def __init__(self) -> None:
        self._all = CollectorRegistry()
        label = ("source",)
        self._frames = Counter("hrpose_frames", "Frames done.", label, registry=self._all)
        self._dropped = Counter(
            "hrpose_dropped_frames", "Frames dropped to stay live.", label, registry=self._all
        )
        self._people = Gauge("hrpose_people", "People in the newest frame.", label, registry=self._all)
        self._age = Gauge(
            "hrpose_age_seconds", "Since the newest frame done was in memory.", label, registry=self._all
        )
        self._stages = Histogram(
            "hrpose_stage_seconds",
            "What a frame cost, by stage, and in total.",
            ("source", "stage"),
            buckets=BUCKETS_S,
            registry=self._all,
        )

    def add(self, source: str, result: FrameResult) -> None:
        """Count a finished frame of a source."""
        self._frames.labels(source).inc()
        self._dropped.labels(source).inc(result.frame.dropped)
        self._people.labels(source).set(len(result))
        captured_s = result.frame.captured_s
        self._age.labels(source).set_function(lambda: time.perf_counter() - captured_s)
        for stage in (*STAGES, "total"):
            self._stages.labels(source, stage).observe(max(0.0, getattr(result.times, stage)) / 1e3)

    def forget(self, source: str) -> None:
        """Remove the metrics of a source that another has replaced."""
        for metric in (self._frames, self._dropped, self._people, self._age):
            metric.remove_by_labels({"source": source})
        self._stages.remove_by_labels({"source": source})

    def text(self) -> bytes:
        """All metrics as text, for a scrape."""
        return generate_latest(self._all)
