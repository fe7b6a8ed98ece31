"""A batch as one page for browsers, in one file: plots by number of people, and a table of videos."""

from collections.abc import Iterable, Sequence
from html import escape
from string import Template
from urllib.parse import quote

from hrpose_rt.batch.manifest import Entry
from hrpose_rt.timing import LatencyTable
from hrpose_rt.types import STAGES

COLOURS = dict(zip(STAGES, "#7d8b99 #2563c9 #0f8a6d #b7791f #c2571a #7c4dbd #b0b8c0".split(), strict=True))
CURVES = "#7d8b99 #5bb0e8 #2563c9 #0f8a6d #b7791f #c2571a #7c4dbd".split()  # by crowd bin
WIDTH, LEFT, RIGHT, ROW, PLOT = 720, 64, 70, 30, 260  # pixels of the plots
TAIL = 99.5  # percentile of the slowest crowd at which the curves end
REASON = '<div class="reason">{}</div>'
STEPS = (1, 2, 5)  # between the lines of an axis, times a power of ten

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Batch $name</title>
<link rel="icon" href="data:,">
<style>
  :root { color-scheme: light dark; --page: #fff; --ink: #202124; --soft: #5f6368; --rule: #dadce0;
          --link: #1a5fd0; --mark: #9a5b00; }
  @media (prefers-color-scheme: dark) {
    :root { --page: #17191c; --ink: #e8eaed; --soft: #9aa0a6; --rule: #3c4043; --link: #8ab4f8;
            --mark: #f9ab00; }
  }
  body { margin: 1.5rem auto; max-width: 60rem; padding: 0 1rem; background: var(--page);
         color: var(--ink); font: 1rem/1.45 system-ui, sans-serif; overflow-wrap: anywhere; }
  h1 { margin: 0; font-size: 1.4rem; }
  h2 { margin: 2rem 0 .5rem; font-size: 1.1rem; }
  p { margin: .3rem 0; color: var(--soft); }
  a { color: var(--link); }
  .mark { color: var(--mark); }
  .scroll { overflow-x: auto; }
  table { width: 100%; border-collapse: collapse; }
  th, td { padding: .2rem 0 .2rem .8rem; border-bottom: 1px solid var(--rule); text-align: right;
           vertical-align: top; font-variant-numeric: tabular-nums; white-space: nowrap; }
  th { font-weight: 400; color: var(--soft); }
  th:first-child, td:first-child, .reason { text-align: left; white-space: normal; }
  th:first-child, td:first-child { padding-left: 0; min-width: 6rem; }
  tr.total > * { font-weight: 600; color: var(--ink); }
  svg { display: block; width: 100%; max-width: ${width}px; height: auto; }
  svg text { fill: var(--soft); font-size: 13px; }
  svg .rule { stroke: var(--rule); }
  svg path { fill: none; stroke-width: 2; }
  .legend span { display: inline-block; margin-right: 1rem; white-space: nowrap; }
  .legend i { display: inline-block; width: .8em; height: .8em; margin-right: .3em; }
</style>
</head>
<body>
<h1>Batch $name</h1>
<p>$status</p>
$plots
<h2>Videos</h2>
<div class="scroll">$videos</div>
</body>
</html>
""")


def page(name: str, status: str, entries: Sequence[Entry], table: LatencyTable) -> str:
    """The page as HTML.

    Args:
        name: The name of the batch.
        status: A line about all of it.
        entries: Its videos. Those that failed come first.
        table: The latencies of all frames.
    """
    plots = ""
    if table.frames:
        plots = (
            "<h2>Where the time of a frame goes</h2><p>Mean milliseconds of each stage, by people in the "
            f"frame</p>{_legend(COLOURS)}{_bars(table)}"
            "<h2>How long frames take</h2><p>Share of the frames that take at most that long, by people in "
            f"the frame</p>{_legend(dict(zip(table.bins(), CURVES, strict=False)))}{_curves(table)}"
            "<h2>Milliseconds of a frame</h2><p>p50 / p95, by people in the frame</p>"
            f'<div class="scroll">{_latencies(table)}</div>'
        )
    parts = {"name": escape(name), "status": escape(status), "plots": plots, "videos": _videos(entries)}
    return PAGE.substitute(parts, width=WIDTH)


def _table(head: Iterable[str], rows: Iterable[tuple[str, Iterable[str]]]) -> str:
    """A table. Cells are HTML; each row has a class, which may be empty."""
    body = "".join(
        f'<tr class="{name}">' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>\n"
        for name, cells in rows
    )
    names = "".join(f"<th>{cell}</th>" for cell in head)
    return f"<table><thead><tr>{names}</tr></thead><tbody>\n{body}</tbody></table>"


def _videos(entries: Sequence[Entry]) -> str:
    ordered = sorted(entries, key=lambda entry: entry.state != "failed")
    return _table(
        ("video", "state", "frames", "people", "seconds", "frames a second", REASON.format("reason")),
        (("", _video_cells(entry)) for entry in ordered),
    )


def _video_cells(entry: Entry) -> list[str]:
    name = escape(entry.name)
    if entry.frames:
        name = f'<a href="{quote(entry.name)}/">{name}</a>'
    state = f'<span class="mark">{entry.state}</span>' if entry.state == "failed" else entry.state
    rate = f"{entry.frames / entry.seconds:.1f}" if entry.seconds else ""
    cells = [name, state, f"{entry.frames:,}", f"{entry.people:,}", f"{entry.seconds:,.1f}", rate]
    return [*cells, REASON.format(escape(entry.reason))]


def _latencies(table: LatencyTable) -> str:
    bins = table.bins()
    frames = [f"{table.histogram(label, 'total').count:,}" for label in bins]
    rows: list[tuple[str, list[str]]] = [("", ["frames", *frames])]
    for name in table.ROWS:
        histograms = [table.histogram(label, name) for label in bins]
        cells = [f"{h.percentile(50):.1f} / {h.percentile(95):.1f}" for h in histograms]
        rows.append(("total" if name == "total" else "", [name, *cells]))
    return _table(["people", *bins], rows)


def _legend(colours: dict[str, str]) -> str:
    items = (f'<span><i style="background:{colour}"></i>{name}</span>' for name, colour in colours.items())
    return f'<p class="legend">{"".join(items)}</p>'


def _svg(height: int, title: str, parts: Iterable[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{title}">\n'
        + "\n".join(parts)
        + "</svg>"
    )


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'


def _axis(most: float, height: int) -> tuple[float, list[str]]:
    """Pixels per millisecond, and the lines of the axis of time."""
    scale = (WIDTH - LEFT - RIGHT) / most
    steps = (step * 10.0**power for power in range(-3, 7) for step in STEPS)
    step = next(step for step in steps if most / step <= 8)
    parts = []
    for i in range(int(most / step) + 1):
        x = LEFT + scale * i * step
        parts.append(f'<line class="rule" x1="{x:.1f}" x2="{x:.1f}" y1="6" y2="{height - 22}"/>')
        parts.append(_text(x, height - 6, f"{i * step:g}"))
    return scale, [*parts, _text(WIDTH - 4, height - 6, "ms", "end")]


def _bars(table: LatencyTable) -> str:
    """A bar for each crowd size, of the means of the stages, which add up to the mean of the total."""
    bins = table.bins()
    totals = {label: table.histogram(label, "total").mean for label in bins}
    height = ROW * len(bins) + 34
    scale, parts = _axis(max(*totals.values(), 1e-3), height)
    for row, label in enumerate(bins):
        x, y = float(LEFT), 10 + ROW * row
        parts.append(_text(LEFT - 8, y + 16, label, "end"))
        for stage in STAGES:
            mean = table.histogram(label, stage).mean
            parts.append(
                f'<rect x="{x:.1f}" y="{y}" width="{max(0.0, scale * mean):.1f}" height="{ROW - 8}" '
                f'fill="{COLOURS[stage]}"><title>{stage}: {mean:.1f} ms</title></rect>'
            )
            x += scale * mean
        parts.append(_text(x + 6, y + 16, f"{totals[label]:.1f}", "start"))
    return _svg(height, "Mean milliseconds of each stage by people", parts)


def _curves(table: LatencyTable) -> str:
    """A curve for each crowd size: the share of its frames below each time."""
    totals = {label: table.histogram(label, "total") for label in table.bins()}
    most = max(histogram.percentile(TAIL) for histogram in totals.values())
    scale, parts = _axis(max(most, 1e-3), PLOT)
    bottom, top = PLOT - 22, 10
    for share in (0, 25, 50, 75, 100):
        y = bottom - (bottom - top) * share / 100
        parts.append(f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(LEFT - 8, y + 4, f"{share}%", "end"))
    for (label, histogram), colour in zip(totals.items(), CURVES, strict=False):
        points = [
            (LEFT + scale * histogram.percentile(q), bottom - (bottom - top) * q / 100)
            for q in range(1, 101)
            if histogram.percentile(q) <= most
        ]
        line = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        parts.append(f'<path stroke="{colour}" d="M{line}"><title>{label} people</title></path>')
    return _svg(PLOT, "Share of the frames that take at most that long by people", parts)
