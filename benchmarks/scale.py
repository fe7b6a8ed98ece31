"""Simulate an archive on many workers and cameras on many servers, from the measured costs of a frame.

    python benchmarks/scale.py

It reads `results/crowd.json`, takes two minutes and writes `results/scale.json`, from which `tables.py`
makes the page. Nothing here ran on more than one machine: the costs of frames are measured, and the rest is
a discrete-event simulation with the assumptions in `ASSUMED`. The tests compare it with closed forms.
"""

import json
import math
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from scale_model import (
    AGE_LIMIT_S,
    DROPPED_LIMIT,
    Draw,
    Failures,
    Fleet,
    Loss,
    capacity,
    frame_costs,
    run_archive,
)

RESULTS = Path(__file__).parent / "results"
ASSUMED: dict[str, Any] = {
    "archive_hours": 1000,
    "archive_fps": 25,
    # The share of an archive's parts by people in their frames.
    "shares": {"1-5": 0.7, "6-10": 0.2, "15-20": 0.08, "50+": 0.02},
    "part_minutes": [1, 10, 60],
    "hours_between_failures": 24.0,  # of one worker
    "worker_returns_s": 120.0,
    "camera_fps": 5,
    "camera_people": "1-5",
    "age_limit_ms": 1e3 * AGE_LIMIT_S,
    "dropped_limit": DROPPED_LIMIT,
    "cameras_move_after_s": 5.0,
}
WORKERS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
CAMERAS = (1, 10, 100, 1000, 10_000)
SERVER_FILL = (1.0, 0.75)  # of the cameras that a server can take
SECONDS, LOSS_AT = 24.0, 8.0  # of a fleet's simulation; when a server is lost
NETWORK_STAGES = ("detect", "pose")


def archive_rows(bins: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Every part length on every number of workers, with and without failures."""
    failures = Failures(3600 * ASSUMED["hours_between_failures"], ASSUMED["worker_returns_s"])
    rows = []
    for minutes in ASSUMED["part_minutes"]:
        frames = 60 * minutes * ASSUMED["archive_fps"]
        parts = ASSUMED["archive_hours"] * 60 // minutes
        crowds = rng.choice(list(ASSUMED["shares"]), parts, p=list(ASSUMED["shares"].values()))
        parts_s = [frames / bins[crowd]["frames_a_second"] for crowd in crowds]
        for workers in WORKERS:
            clean = run_archive(parts_s, workers, None, rng)
            failing = run_archive(parts_s, workers, failures, rng)
            rows.append(
                {
                    "part_minutes": minutes,
                    "workers": workers,
                    "hours": round(clean.took_s / 3600, 3),
                    "speed_up": round(sum(parts_s) / clean.took_s, 2),
                    "frames_a_second": round(frames * parts / clean.took_s, 1),
                    **{f"failing_{name}": round(value, 2) for name, value in asdict(failing).items()},
                    "lost_share": round(failing.lost_s / sum(parts_s), 6),
                }
            )
    return rows


def camera_rows(cost_s: Draw, most: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Every number of cameras on the servers that it needs, before and after one of them is lost."""
    gap_s, loss = 1 / ASSUMED["camera_fps"], Loss(LOSS_AT, ASSUMED["cameras_move_after_s"])
    rows = []
    for fill in SERVER_FILL:
        for cameras in CAMERAS:
            servers = math.ceil(cameras / max(1, int(fill * most)))
            run = Fleet(cameras, servers, lambda: gap_s, cost_s).run(SECONDS, rng, loss)
            after = run.figures(LOSS_AT + loss.moved_s + 1, SECONDS - 1) if servers > 1 else None
            rows.append(
                {
                    "fill": fill,
                    "cameras": cameras,
                    "servers": servers,
                    "before": run.figures(1, LOSS_AT - 1),
                    "missed": len(run.missed) if servers > 1 else None,
                    "after": after,
                }
            )
    return rows


def main() -> None:
    """Simulate everything and write the results."""
    crowd = json.loads((RESULTS / "crowd.json").read_text())
    bins, rng = {figures["bin"]: figures for figures in crowd["bins"]}, np.random.default_rng(0)
    cameras, way = bins[ASSUMED["camera_people"]], next(iter(crowd["ways"].values()))
    cost_s = frame_costs(cameras["total_ms"], cameras["worst_ms"], rng)
    gap_s = 1 / ASSUMED["camera_fps"]
    most = capacity(cost_s, gap_s, rng)
    rest_ms = sum(s["p50"] for name, s in cameras["stages_ms"].items() if name not in NETWORK_STAGES)
    report = {
        "kind": "scale",
        "schema": 1,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "assumed": ASSUMED,
        "costs_of": {"file": "crowd.json", "created": crowd["created"]},
        **{key: way[key] for key in ("cpu", "cpu_features", "threads")},
        "capacity": {
            "cpu": most,
            "rest_ms": round(rest_ms, 3),
            "computed_without_networks": int(1e3 / rest_ms // ASSUMED["camera_fps"]),
            "by_people": {
                people: capacity(frame_costs(b["total_ms"], b["worst_ms"], rng), gap_s, rng)
                for people, b in bins.items()
            },
        },
        "archive": archive_rows(bins, rng),
        "cameras": camera_rows(cost_s, most, rng),
    }
    (RESULTS / "scale.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
