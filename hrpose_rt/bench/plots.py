"""Plots of a report, as PNG and SVG."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hrpose_rt.bench.crowd import CrowdTiming
from hrpose_rt.bench.report import Report, line_of
from hrpose_rt.types import STAGES

WIDTH = 4  # numbers of people that share a point of the curves


def save_plots(report: Report, cells: Sequence[CrowdTiming], folder: Path) -> list[Path]:
    """Write latency by people, stages and a histogram; returns the paths of the files."""
    plots: dict[str, Any] = {"latency": _latency, "stages": _stages, "histogram": _histogram}
    files = []
    for name, draw in plots.items():
        figure = Figure(figsize=(8, 4.5), layout="constrained")
        draw(figure.subplots(), report, cells)
        for suffix in ("png", "svg"):
            files.append(folder / f"{name}.{suffix}")
            figure.savefig(files[-1], dpi=120, metadata={"Date": None} if suffix == "svg" else None)
    return files


def _latency(axes: Axes, report: Report, cells: Sequence[CrowdTiming]) -> None:
    for variant in report["ways"]:
        samples = [s for cell in cells if cell.variant == variant for s in cell.samples]
        counts = np.array([s.detected for s in samples])
        total = np.array([s.times.total for s in samples])
        groups = [total[counts // WIDTH == g] for g in np.unique(counts // WIDTH)]
        people = np.array([counts[counts // WIDTH == g].mean() for g in np.unique(counts // WIDTH)])
        p50, p95 = (np.array([np.percentile(group, q) for group in groups]) for q in (50, 95))
        (curve,) = axes.plot(people, p50, ".-", label=f"{variant}, p50")
        axes.fill_between(
            people, p50, p95, alpha=0.2, color=curve.get_color(), label=f"{variant}, up to p95"
        )
        axes.plot(people, line_of(report, variant).at(people), "--", lw=1, color=curve.get_color())
    axes.set(xlabel="people found", ylabel="ms a frame", ylim=(0, None))
    axes.legend()


def _stages(axes: Axes, report: Report, cells: Sequence[CrowdTiming]) -> None:
    labels = [f"{bin['bin']}\n{bin['way']}" for bin in report["bins"]]
    bottom = np.zeros(len(labels))
    for name in STAGES:
        height = np.array([bin["stages_ms"][name]["p50"] for bin in report["bins"]])
        axes.bar(labels, height, bottom=bottom, label=name)
        bottom += height
    axes.set(xlabel="people", ylabel="ms a frame, p50 of each stage")
    axes.tick_params(axis="x", labelsize=7)
    axes.legend()


def _histogram(axes: Axes, report: Report, cells: Sequence[CrowdTiming]) -> None:
    for variant in report["ways"]:
        totals = [s.times.total for cell in cells if cell.variant == variant for s in cell.samples]
        axes.hist(totals, bins=60, alpha=0.6, label=variant)
    axes.set(xlabel="ms a frame", ylabel="frames")
    axes.legend()
