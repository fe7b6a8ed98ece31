"""Drawings made of reports, as SVG: where a frame's time goes, and latency by people."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from hrpose_rt.pose.batching import CPU_BATCHES
from hrpose_rt.queues import MAX_FRAMES
from hrpose_rt.types import STAGES

Report = dict[str, Any]
Original = dict[str, tuple[str, str, int]]

PAPER, INK, SOFT, LINE = "#ffffff", "#1f2328", "#59636e", "#d1d9e0"
ORIGINAL_NETWORK = "hrnet-w32 384x288 int8"  # how `bench compare` calls it
OURS, SAME_NETWORK, ORIGINAL = "#2563c9", "#0f8a6d", "#c2571a"
STAGE_COLOURS = {
    "letterbox": "#7d8b99",
    "detect": "#2563c9",
    "track": "#0f8a6d",
    "crop": "#b7791f",
    "pose": "#c2571a",
    "heatmap": "#7c4dbd",
    "other": "#b0b8c0",
}
# Column by column: a step of a frame, and its work in two lines.
STEPS = {
    "read": ("decodes", "ahead"),
    "letterbox": ("resizes", "the frame"),
    "detect": ("finds", "people"),
    "track": ("gives", "them ids"),
    "crop": ("cuts", "them out"),
    "pose": ("computes", "heatmaps"),
    "heatmap": ("decodes", "keypoints"),
    "draw": ("draws", "skeletons"),
    "write": ("encodes", "and saves"),
}
# (name, first column, columns) of each thread in the drawing.
THREADS = (("reader", 0, 1), ("networks", 1, 6), ("writer", 7, 2))

WIDTH, MARGIN, LABEL, GAP, QUEUE = 1000, 14, 116, 8, 38  # pixels; a queue lies between two threads
BOX = (WIDTH - 2 * MARGIN - LABEL - 2 * QUEUE - 6 * GAP) / len(STEPS)
THREAD_Y, BOX_Y, BOX_H, TABLE_Y, ROW_H, BAR_H = 12, 70, 74, 206, 30, 34
MIN_FRAMES = 20  # of a crowd bin in the drawing; fewer frames say little about p50


def pipeline_drawing(report: Report) -> str:
    """Draw the steps of a frame, and the milliseconds of each step by number of people."""
    every: dict[str, Report] = report["latency_ms"]
    bins = {label: rows for label, rows in every.items() if rows["frames"] >= MIN_FRAMES} or every
    bars_y = TABLE_Y + ROW_H * len(bins) + 16
    height = bars_y + (BAR_H + 8) * len(bins) + 64
    parts = [_rect(0, 0, WIDTH, height, PAPER, rx=10), _text(MARGIN, THREAD_Y + 20, "threads", SOFT, 14)]
    for number, (name, first, columns) in enumerate(THREADS):
        parts += _thread(name, first, columns, with_queue=number > 0)
    parts += _batch_bracket()
    for column, (name, work) in enumerate(STEPS.items()):
        parts += _step(column, name, work)
    longest = max(sum(rows[name]["p50"] for name in STAGES) for rows in bins.values())
    for row, (label, rows) in enumerate(bins.items()):
        parts += _numbers(TABLE_Y + ROW_H * row, label, rows)
        parts += _bar(bars_y + (BAR_H + 8) * row, label, rows, longest)
    parts += _caption(height - 38, report, [rows["frames"] for rows in bins.values()])
    return _svg(height, parts)


def crowd_plot(
    crowd: Report, compared: Report, original: dict[str, tuple[str, str, int]], path: Path
) -> None:
    """Draw milliseconds a frame by people: this project and what the original experiment reported.

    Args:
        crowd: A report of `bench crowd`.
        compared: A report of `bench compare`, with the original's network in int8.
        original: Label of its crowd -> the seconds of a frame and of its worst frames, as text, and people.
        path: The SVG.
    """
    bins = {figures["original_label"]: figures["total_ms"] for figures in crowd["bins"]}
    with rc_context({"svg.hashsalt": path.stem, "font.size": 11}):
        figure = Figure(figsize=(8.8, 4.8), layout="constrained", facecolor=PAPER)
        axes = figure.subplots()
        (ran,) = crowd["ways"].values()
        cores = f"{ran['threads']} cores of {ran['cpu']}"
        _draw_ours(axes, [bins[label] for label in original], cores)
        _draw_same_network(axes, compared, [people for *_, people in original.values()], cores)
        for place, (usual, worst, _) in enumerate(original.values()):
            _draw_range(axes, place, usual, "original experiment, GTX 1080 Ti: a frame", 0.85)
            _draw_range(axes, place, worst, "original experiment, GTX 1080 Ti: its worst frames", 0.35)
        _finish(axes, list(original))
        figure.savefig(path, metadata={"Date": None})


def scale_plot(report: Report, path: Path) -> None:
    """Draw the p99 of the age of frames by number of cameras, before and after a server is lost."""
    with rc_context({"svg.hashsalt": path.stem, "font.size": 11}):
        figure = Figure(figsize=(8.8, 4.2), layout="constrained", facecolor=PAPER)
        axes = figure.subplots()
        for fill, colour in ((1.0, ORIGINAL), (0.75, OURS)):
            rows = [row for row in report["cameras"] if row["fill"] == fill and row["after"]]
            for when, style in (("before", "o-"), ("after", "o--")):
                ages = [row[when]["p99_ms"] for row in rows]
                label = f"servers filled to {fill:.0%}, {when} one is lost"
                axes.plot([row["cameras"] for row in rows], ages, style, color=colour, label=label)
        limit = report["assumed"]["age_limit_ms"]
        axes.axhline(limit, color=SOFT, lw=1, ls=":", label="limit of a server")
        axes.set(xscale="log", ylim=(0, 1.6 * limit), xlabel="cameras", ylabel="p99 of a frame's age, ms")
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(loc="upper right", frameon=False, fontsize=10, ncols=2)
        figure.savefig(path, metadata={"Date": None})


def _draw_ours(axes: Axes, totals: Sequence[Report], cores: str) -> None:
    places = range(len(totals))
    p50, p95 = ([total[q] for total in totals] for q in ("p50", "p95"))
    axes.fill_between(places, p50, p95, color=OURS, alpha=0.2, lw=0)
    axes.plot(places, p50, "o-", color=OURS, label=f"hrpose-rt on {cores}: p50, band to p95")
    for place, ms in zip(places, p50, strict=True):
        axes.annotate(
            f"{ms:.0f}", (place, ms), (0, -15), textcoords="offset points", ha="center", color=OURS
        )


def _draw_same_network(axes: Axes, compared: Report, crowds: Sequence[int], cores: str) -> None:
    ms = [
        next(
            line["ours_ms"]
            for line in compared["ratios"][f"frame with {people} people"]
            if line["ours"] == ORIGINAL_NETWORK
        )
        for people in crowds
    ]
    label = f"hrpose-rt on {cores}, with the original's HRNet-W32 in int8: p50"
    axes.plot(range(len(ms)), ms, "D--", color=SAME_NETWORK, ms=5, lw=1, label=label)


def _draw_range(axes: Axes, place: int, text: str, label: str, alpha: float) -> None:
    """A bar over the seconds in `text`, with the words behind them above it."""
    if not text:
        return
    seconds, _, note = text.partition(",")
    low, high = (1e3 * float(number) for number in seconds.split("-"))
    label = "" if label in axes.get_legend_handles_labels()[1] else label
    axes.bar(place, high - low, 0.34, low, color=ORIGINAL, alpha=alpha, label=label)
    axes.annotate(
        note.strip(),
        (place, high),
        (0, 6),
        textcoords="offset points",
        ha="center",
        fontsize=9,
        color=ORIGINAL,
    )


def _finish(axes: Axes, labels: Sequence[str]) -> None:
    axes.set_xticks(range(len(labels)), labels)
    axes.set(yscale="log", xlabel="people in the frame", ylabel="milliseconds a frame, log scale")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:g}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.08, y=0.16)
    axes.grid(axis="y", color=LINE, lw=0.7)
    axes.set_axisbelow(True)
    axes.legend(loc="upper left", frameon=False, fontsize=10)


def _left(column: int) -> float:
    """The left edge of a column. Between two threads there is a queue instead of a gap."""
    queues = sum(first <= column for _, first, _ in THREADS[1:])
    return MARGIN + LABEL + column * BOX + queues * QUEUE + (column - queues) * GAP


def _thread(name: str, first: int, columns: int, with_queue: bool) -> list[str]:
    left, right = _left(first), _left(first + columns - 1) + BOX
    pad = 6
    parts = [
        _rect(left - pad, THREAD_Y, right - left + 2 * pad, BOX_Y + BOX_H + 12 - THREAD_Y, "#f4f6f8", rx=8),
        _text(left, THREAD_Y + 20, name, SOFT, 14),
    ]
    if with_queue:
        middle = left - QUEUE / 2
        for place in range(MAX_FRAMES):
            parts.append(_rect(middle - 9.5 + 7 * place, BOX_Y + 12, 5, BOX_H - 24, SOFT, rx=1))
        parts.append(_text(middle, BOX_Y + BOX_H + 32, f"queue of {MAX_FRAMES}", SOFT, 13, "middle"))
    return parts


def _batch_bracket() -> list[str]:
    """A line over the steps that a batch of people goes through."""
    first = list(STEPS).index("crop")
    left, right, y = _left(first), _left(first + 2) + BOX, BOX_Y - 8
    path = f"M{left:g} {y + 5:g}V{y:g}H{right:g}V{y + 5:g}"
    text = f"for each batch of up to {CPU_BATCHES[-1]} people"
    return [
        f'<path d="{path}" fill="none" stroke="{SOFT}"/>',
        _text((left + right) / 2, y - 6, text, SOFT, 14, "middle"),
    ]


def _step(column: int, name: str, work: Sequence[str]) -> list[str]:
    left, colour = _left(column), STAGE_COLOURS.get(name, SOFT)
    parts = [
        _rect(left, BOX_Y, BOX, BOX_H, colour, rx=6),
        _text(left + BOX / 2, BOX_Y + 24, name, PAPER, 14, "middle", bold=True),
    ]
    for line, text in enumerate(work):
        parts.append(_text(left + BOX / 2, BOX_Y + 44 + 17 * line, text, PAPER, 13, "middle"))
    if column and not any(column == first for _, first, _ in THREADS):
        y = BOX_Y + BOX_H / 2
        parts.append(f'<path d="M{left - GAP + 2:g} {y - 5:g}l6 5l-6 5" fill="none" stroke="{INK}"/>')
    return parts


def _numbers(y: float, label: str, rows: Report) -> list[str]:
    """The p50 of every step, under its box."""
    cells = [
        _text(_left(column) + BOX / 2, y, f"{rows[name]['p50']:.1f}", INK, 17, "middle")
        for column, name in enumerate(STEPS)
    ]
    return [_text(MARGIN, y, f"{label} people", INK, 16), *cells]


def _bar(y: float, label: str, rows: Report, longest: float) -> list[str]:
    """The stages of a frame side by side, as long as they take."""
    x = MARGIN + LABEL
    scale = (WIDTH - MARGIN - 92 - x) / longest
    parts = [_text(MARGIN, y + 22, f"{label} people", INK, 16)]
    for name in STAGES:
        width = scale * rows[name]["p50"]
        parts.append(_rect(x, y, width, BAR_H, STAGE_COLOURS[name]))
        if width > 9 * len(name) + 8:
            parts.append(_text(x + width / 2, y + 22, name, PAPER, 15, "middle"))
        x += width
    parts.append(_text(x + 8, y + 22, f"{rows['total']['p50']:.1f} ms", INK, 17, bold=True))
    return parts


def _caption(y: float, report: Report, frames: Sequence[int]) -> list[str]:
    counts = " and ".join(map(str, frames))
    machine = f"{report['threads']} cores of {report['cpu']}"
    lines = (
        f"Milliseconds, p50 of {counts} frames. The bars are a frame in the thread of the networks.",
        f"make demo on {machine}, {report['runtime']} {report['precision']}",
    )
    return [_text(MARGIN, y + 22 * i, line, SOFT, 14) for i, line in enumerate(lines)]


def _rect(x: float, y: float, width: float, height: float, fill: str, rx: float = 0) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect {place} rx="{rx:g}" fill="{fill}"/>'


def _text(
    x: float, y: float, text: str, fill: str, size: int, anchor: str = "start", bold: bool = False
) -> str:
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{fill}" font-size="{size}" text-anchor="{anchor}"{weight}>'
        f"{escape(text)}</text>"
    )


def _svg(height: float, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" '
        'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif">'
    )
    return "\n".join([head, *parts, "</svg>\n"])
