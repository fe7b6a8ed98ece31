"""Samples -> a report: JSON, and the values for Markdown and plots."""

import subprocess
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import numpy as np
from msgspec import Meta

from hrpose_rt.bench.crowd import CrowdTiming, Sample, Variant
from hrpose_rt.bench.stats import PiecewiseLine, fit, interval, percentiles
from hrpose_rt.errors import BadInput
from hrpose_rt.hardware import nvidia_gpus
from hrpose_rt.structures import convert, decode
from hrpose_rt.timing import CROWD_BINS, crowd_bin
from hrpose_rt.types import STAGES

CROWD_REPORT_SCHEMA = 1
LIBRARIES = ("numpy", "opencv-python", "av", "openvino", "onnxruntime", "torch", "trackers", "supervision")
ORIGINAL_LABELS = {"1-5": "1-5", "6-10": "5-10", "15-20": "15-20", "50+": "50+"}
BUSY = 0.25  # spread between rounds, corrected for people, above which the machine was busy with other work
NEIGHBOURS = 5  # frames after a return to which the frame of the return is compared
MIN_CHANGE = 0.03  # smaller changes of a median are not reported

Report = dict[str, Any]


_Total = TypedDict("_Total", {"p50": float, "p50_95%": tuple[float, float]})


class _CellRow(TypedDict):
    way: str
    scene: str
    total_ms: _Total


class _VariantRow(TypedDict):
    cpu: str
    threads: int


class _Shape(TypedDict):
    """The part of a report that `regressions` reads."""

    kind: Literal["crowd"]
    schema: Annotated[int, Meta(ge=1, le=CROWD_REPORT_SCHEMA)]
    ways: Annotated[dict[str, _VariantRow], Meta(min_length=1)]
    cells: list[_CellRow]


def build_report(
    variants: Sequence[Variant], cells: Sequence[CrowdTiming], untimed: dict[str, float], refused: str = ""
) -> Report:
    """All measurements as plain values.

    Args:
        variants, cells: The arguments and the result of `crowd.measure`.
        untimed, refused: The results of `crowd.check_untimed`.
    """
    return {
        "kind": "crowd",
        "schema": CROWD_REPORT_SCHEMA,
        "refused": refused,
        **provenance(),
        "ways": {variant.name: variant.networks.info.to_dict() for variant in variants},
        "stages_over_plain": untimed,
        "cells": [_cell(cell) for cell in cells],
        "bins": [
            {"way": variant.name, "bin": label, "original_label": ORIGINAL_LABELS.get(label, ""), **metrics}
            for variant in variants
            for label, metrics in _bins([cell for cell in cells if cell.variant == variant.name])
        ],
        "fit": {
            variant.name: _fit([c for c in cells if c.variant == variant.name]) for variant in variants
        },
        "reappearance": {
            variant.name: reappearance([c for c in cells if c.variant == variant.name])
            for variant in variants
        },
    }


def provenance() -> Report:
    """Time, version, commit, libraries and NVIDIA GPUs of the run."""
    return {
        "hrpose": version("hrpose-rt"),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "git": _revision(),
        "libraries": {name: installed for name in LIBRARIES if (installed := _version(name))},
        "gpus": [f"{gpu.name}, {gpu.arch}, driver {gpu.driver}" for gpu in nvidia_gpus()],
    }


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


def _revision() -> str:
    """The commit of the checkout; empty for an installed package."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    try:
        completed = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return completed.stdout.strip()


def _cell(cell: CrowdTiming) -> Report:
    rounds = _by_round(cell.samples)
    people = round(float(np.median([s.detected for s in cell.samples])))
    spread = _spread(cell.samples, rounds)
    return {
        "way": cell.variant,
        "scene": cell.source.info.name,
        "people": cell.source.people,
        **_metrics(cell.samples, rounds),
        "batches": [s.stop - s.start for s in cell.plan.split(people)],
        "memory_mib": cell.memory_mib,
        "spread": round(spread, 3),
        "busy": spread > BUSY,
    }


def _bins(cells: Sequence[CrowdTiming]) -> Iterable[tuple[str, Report]]:
    """Metrics by crowd size: the people of a scene, or the mean number detected in a round of a video."""
    samples: dict[str, list[Sample]] = {}
    rounds: dict[str, list[list[Sample]]] = {}
    for cell in cells:
        for round_samples in _by_round(cell.samples):
            scene = round_samples[0].present >= 0
            label = crowd_bin(
                cell.source.people if scene else round(float(np.mean([s.detected for s in round_samples])))
            )
            samples.setdefault(label, []).extend(round_samples)
            rounds.setdefault(label, []).append(round_samples)
    for label in CROWD_BINS:
        if label in samples:
            yield label, _metrics(samples[label], rounds[label])


def _by_round(samples: Sequence[Sample]) -> list[list[Sample]]:
    rounds: dict[int, list[Sample]] = {}
    for sample in samples:
        rounds.setdefault(sample.round, []).append(sample)
    return list(rounds.values())


def _metrics(samples: Sequence[Sample], rounds: Sequence[Sequence[Sample]]) -> Report:
    totals = [s.times.total for s in samples]
    present = sum(s.present for s in samples if s.present >= 0)
    with_truth = [s for s in samples if s.present >= 0]
    low, high = interval([[s.times.total for s in round_samples] for round_samples in rounds])
    return {
        "frames": len(samples),
        "present": round(present / len(with_truth), 1) if with_truth else None,
        "found": round(float(np.mean([s.detected for s in samples])), 1),
        "recall": round(sum(s.correct for s in with_truth) / max(present, 1), 3) if with_truth else None,
        "precision": round(
            sum(s.correct for s in with_truth) / max(sum(s.detected for s in with_truth), 1), 3
        )
        if with_truth
        else None,
        "total_ms": percentiles(totals) | {"p50_95%": [round(low, 3), round(high, 3)]},
        "worst_ms": round(max(totals), 3),
        "stages_ms": {name: percentiles([getattr(s.times, name) for s in samples]) for name in STAGES},
        "age_ms": percentiles([s.age_ms for s in samples]),
        "frames_a_second": round(1e3 / float(np.mean(totals)), 1),
    }


def _spread(samples: Sequence[Sample], rounds: Sequence[Sequence[Sample]]) -> float:
    """Difference between the rounds, as a share; frames are compared at equal numbers of people."""
    medians: dict[int, float] = {}
    for people in {s.detected for s in samples}:
        medians[people] = float(np.median([s.times.total for s in samples if s.detected == people]))
    excess = [
        float(np.median([s.times.total / medians[s.detected] for s in round_samples]))
        for round_samples in rounds
    ]
    return float(np.percentile(excess, 90) - np.percentile(excess, 10))


def _fit(cells: Sequence[CrowdTiming]) -> Report:
    samples = [s for cell in cells for s in cell.samples]
    line = fit([s.detected for s in samples], [s.times.total for s in samples])
    return {
        "ms_of_an_empty_frame": round(line.intercept, 3),
        "ms_a_person": round(line.slope, 3),
        "knees": [{"people": knee, "ms_a_person": round(slope, 3)} for knee, slope in line.breakpoints],
    }


def reappearance(cells: Sequence[CrowdTiming], people: int = 1) -> Report:
    """Latency ratio of frames on which at least `people` occluded people return to those right after."""
    ratios = []
    for cell in cells:
        for i, sample in enumerate(cell.samples):
            after = cell.samples[i + 1 : i + 1 + NEIGHBOURS]
            if sample.returned >= people and len(after) == NEIGHBOURS:
                ratios.append(sample.times.total / float(np.median([s.times.total for s in after])))
    if not ratios:
        return {"frames": 0}
    return {
        "frames": len(ratios),
        **{f"ratio_p{q}": round(float(np.percentile(ratios, q)), 3) for q in (50, 95)},
    }


def line_of(report: Report, variant: str) -> PiecewiseLine:
    """The fitted line of a variant in a report."""
    fitted = report["fit"][variant]
    knees = tuple((knee["people"], knee["ms_a_person"]) for knee in fitted["knees"])
    return PiecewiseLine(fitted["ms_of_an_empty_frame"], fitted["ms_a_person"], knees)


def load(path: Path) -> Report:
    """Read a report; raise BadInput if the file is not a report or the report was refused."""
    try:
        report: Report = decode(path.read_bytes(), dict[str, Any])
        convert(report, _Shape)
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{path} is no report of this version ({error}): give a report.json of bench crowd"
        ) from error
    if report.get("refused"):
        raise BadInput(f"{path} was refused, {report['refused']}")
    return report


def regressions(base: Report, now: Report) -> list[str]:
    """The cells whose medians differ by more than the noise of both reports.

    Raises:
        BadInput: The reports are from different machines, or have no cell in common.
    """
    machines = [next(iter(report["ways"].values())) for report in (base, now)]
    for field in ("cpu", "threads"):
        if machines[0][field] != machines[1][field]:
            raise BadInput(
                f"the reports are of different machines ({machines[0][field]} and {machines[1][field]}): "
                "compare those of one"
            )
    base_cells = {(cell["way"], cell["scene"]): cell for cell in base["cells"]}
    common = [cell for cell in now["cells"] if (cell["way"], cell["scene"]) in base_cells]
    if not common:
        raise BadInput("the reports have no cell in common: measure with the same options")
    lines = []
    for cell in common:
        base_ms, now_ms = base_cells[cell["way"], cell["scene"]]["total_ms"], cell["total_ms"]
        (low, high), (low2, high2) = base_ms["p50_95%"], now_ms["p50_95%"]
        change = now_ms["p50"] / base_ms["p50"] - 1
        if (low2 > high or low > high2) and abs(change) > MIN_CHANGE:
            lines.append(
                f"{cell['way']}, {cell['scene']}: {base_ms['p50']:.1f} -> {now_ms['p50']:.1f} ms "
                f"({change:+.1%}; 95% {low:.1f}-{high:.1f} and {low2:.1f}-{high2:.1f})"
            )
    return lines
