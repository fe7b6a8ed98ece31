"""Plots of the angles of a person over time."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from hrpose_rt.kinematics.angles import angle_names
from hrpose_rt.kinematics.motion import Motion

COLUMNS = 4
LEFT_COLOUR, RIGHT_COLOUR, MIDDLE_COLOUR, RAW_COLOUR = "#2563c9", "#c2571a", "#0f8a6d", "#b0b8c0"


def save_angle_plot(path: Path, motion: Motion) -> None:
    """A PNG with a graph for each angle: before the filter in grey, after it in colour.

    Left and right of the same angle share a graph.
    """
    names = angle_names(motion.skeleton)
    graphs: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        if not np.isnan(motion.angles[:, i]).all():
            graphs.setdefault(name.removeprefix("left_").removeprefix("right_"), []).append(i)
    rows = max(1, -(-len(graphs) // COLUMNS))
    figure = Figure(figsize=(4 * COLUMNS, 2.4 * rows), layout="constrained")
    axes = figure.subplots(rows, COLUMNS, squeeze=False, sharex=True).ravel()
    for axis, (title, columns) in zip(axes, graphs.items(), strict=False):
        for i in columns:
            side, colour = _side(names[i])
            axis.plot(motion.track.times_s, motion.raw_angles[:, i], color=RAW_COLOUR, lw=0.8)
            axis.plot(motion.track.times_s, motion.angles[:, i], color=colour, lw=1.5, label=side, zorder=3)
        axis.set_title(title, fontsize=10)
        axis.grid(alpha=0.3)
        axis.tick_params(labelbottom=True)
    for axis in axes[len(graphs) :]:
        axis.set_axis_off()
    figure.supylabel("degrees")
    figure.supxlabel(f"seconds; person {motion.track.id}: left blue, right orange, before the filter grey")
    figure.savefig(path, format="png", dpi=90)


def _side(name: str) -> tuple[str, str]:
    for side, colour in (("left", LEFT_COLOUR), ("right", RIGHT_COLOUR)):
        if name.startswith(f"{side}_"):
            return side, colour
    return "", MIDDLE_COLOUR
