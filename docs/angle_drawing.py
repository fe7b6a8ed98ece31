"""The drawing of the angles in docs/movement.md; the degrees in it are computed from the drawn figure."""

from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Arc

from hrpose_rt.kinematics.angles import ANGLES, angle_names, joint_angles
from hrpose_rt.skeleton import find_skeleton

INK, LIMB, JOINT, SEGMENT, BASE = "#1f2328", "#b0b8c0", "#0f8a6d", "#2563c9", "#7d8b99"
SKELETON = find_skeleton("halpe26")
# A person who faces right, seen from the side; pixels, y downwards. Both sides are alike.
FIGURE = {
    "head": (132, 8),
    "neck": (116, 56),
    "shoulder": (116, 56),
    "elbow": (152, 104),
    "wrist": (204, 92),
    "hip": (88, 150),
    "knee": (150, 190),
    "ankle": (122, 258),
    "heel": (112, 272),
    "big_toe": (158, 272),
}
LIMBS = ("head neck", "neck hip", "shoulder elbow", "elbow wrist", "hip knee", "knee ankle", "heel big_toe")
LABELS = {  # where the text of an angle stands, in pixels from its corner or the middle of its segment
    "ankle": (40, 2),
    "knee": (14, 30),
    "hip": (-66, 24),
    "shoulder": (26, -6),
    "elbow": (28, 18),
    "foot": (34, 12),
    "shank": (36, 6),
    "thigh": (36, -10),
    "arm": (30, -14),
    "forearm": (14, 16),
    "trunk": (-70, 0),
    "head": (40, 0),
}
RADIUS = 22.0


def draw_angles(path: Path) -> None:
    """Write the SVG."""
    joints, segments = (
        ("ankle", "knee", "hip", "shoulder", "elbow"),
        ("foot", "shank", "thigh", "trunk", "arm", "forearm", "head"),
    )
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "angles", "font.family": "sans-serif"}):
        figure = Figure(figsize=(9, 5.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        for axes, names, title in (
            (left, joints, "joint angles: from the dashed line to the limb"),
            (right, segments, "segment angles: from the horizontal to the limb"),
        ):
            _figure(axes, title)
            for name in names:
                _angle(axes, name)
        figure.savefig(path, metadata={"Date": None})


def _figure(axes: Axes, title: str) -> None:
    for limb in LIMBS:
        (x1, y1), (x2, y2) = (FIGURE[point] for point in limb.split())
        axes.plot([x1, x2], [y1, y2], color=LIMB, lw=5, solid_capstyle="round", zorder=1)
    axes.set(aspect="equal", xlim=(10, 260), ylim=(300, -20))
    axes.set_title(title, fontsize=11, color=INK)
    axes.set_axis_off()


def _angle(axes: Axes, name: str) -> None:
    """The arc of an angle, its two lines, and its degrees."""
    column = name if name in ("trunk", "head") else f"left_{name}"
    (angle,) = (a for a in ANGLES if a.name == column)
    start, end = (np.array(FIGURE[point.removeprefix("left_")], float) for point in angle.segment)
    corner = np.array(FIGURE[name], float) if angle.base else (start + end) / 2
    colour = JOINT if angle.base else SEGMENT
    base = np.array([1.0, 0.0])
    if angle.base:
        a, b = (np.array(FIGURE[point.removeprefix("left_")], float) for point in angle.base)
        base = b - a
    limb = end - start
    if name in ("hip", "shoulder"):  # both are measured up the body, and drawn down the limb
        base, limb = -base, -limb
    if name == "ankle":  # 0 is a right angle to the foot: draw from there, along the toes' direction
        base, limb = np.array([limb[1], -limb[0]]), -base
    base, limb = base / np.hypot(*base), limb / np.hypot(*limb)
    axes.plot(*zip(corner, corner + 1.6 * RADIUS * base, strict=True), color=BASE, ls=(0, (3, 2)), lw=1.3)
    axes.plot(*zip(corner, corner + 1.6 * RADIUS * limb, strict=True), color=colour, lw=2)
    # The axis points down, so that degrees grow clockwise here; an arc goes the short way.
    from_deg, to_deg = (float(np.degrees(np.arctan2(v[1], v[0]))) for v in (base, limb))
    turn = (to_deg - from_deg + 180) % 360 - 180
    first, last = sorted((from_deg, from_deg + turn))
    axes.add_patch(
        Arc((corner[0], corner[1]), 2 * RADIUS, 2 * RADIUS, theta1=first, theta2=last, color=colour, lw=1.6)
    )
    x, y = corner + LABELS[name]
    axes.text(x, y, f"{name} {degrees(column):.0f}°", color=colour, fontsize=9.5, va="center")


def degrees(column: str) -> float:
    """An angle of the drawn figure."""
    sided = [joint.removeprefix("left_").removeprefix("right_") for joint in SKELETON.joints]
    keypoints = np.array([[FIGURE.get(joint, (0, 0)) for joint in sided]], np.float64)
    scores = np.array([[joint in FIGURE for joint in sided]], np.float64)
    return float(joint_angles(keypoints, scores, SKELETON)[0, angle_names(SKELETON).index(column)])
