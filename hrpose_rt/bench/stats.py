"""Percentiles with confidence intervals, and piecewise linear fits."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hrpose_rt.types import F64

RESAMPLED = 1000
MAX_BREAKPOINTS = 2
P99_FROM = 200  # samples needed for a p99


def interval(blocks: Sequence[Sequence[float]], q: float = 50.0) -> tuple[float, float]:
    """95% confidence interval of the `q`th percentile, by bootstrap over blocks.

    Whole blocks are resampled, not single samples, since consecutive frames are similar.
    """
    filled = [np.asarray(block, np.float64) for block in blocks if len(block)]
    if not filled:
        return float("nan"), float("nan")
    rng = np.random.default_rng(0)
    drawn = [
        np.percentile(np.concatenate([filled[i] for i in rng.integers(0, len(filled), len(filled))]), q)
        for _ in range(RESAMPLED)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def ratio_interval(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """The ratio of the medians, `theirs` / `ours`, and its 95% interval by bootstrap over rounds.

    Args:
        ours, theirs: Milliseconds of the same rounds.
    """
    a, b = np.asarray(ours), np.asarray(theirs)
    rows = np.random.default_rng(0).integers(0, len(a), (RESAMPLED, len(a)))
    low, high = np.percentile(np.median(b[rows], axis=1) / np.median(a[rows], axis=1), [2.5, 97.5])
    return float(np.median(b) / np.median(a)), float(low), float(high)


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p90 and p95, and p99 if there are enough samples."""
    levels = [50, 90, 95] + [99] * (len(values) >= P99_FROM)
    return {f"p{q}": round(float(np.percentile(values, q)), 3) for q in levels}


@dataclass(frozen=True, slots=True)
class PiecewiseLine:
    """Milliseconds as a function of the number of people.

    Attributes:
        intercept: Milliseconds of a frame without people.
        slope: Milliseconds per person, up to the first breakpoint.
        breakpoints: Numbers of people where the slope changes, each with the slope from there on.
    """

    intercept: float
    slope: float
    breakpoints: tuple[tuple[float, float], ...] = ()

    def at(self, people: F64) -> F64:
        """Milliseconds (N,) for numbers of people (N,)."""
        ms, slope = self.intercept + self.slope * people, self.slope
        for knee, after in self.breakpoints:
            ms, slope = ms + (after - slope) * np.maximum(people - knee, 0), after
        return np.asarray(ms, np.float64)


def fit(people: Sequence[float], ms: Sequence[float]) -> PiecewiseLine:
    """The best fit; a breakpoint is added only if Schwarz's criterion (BIC, 1978) asks for it."""
    x, y = np.asarray(people, np.float64), np.asarray(ms, np.float64)
    breakpoints: list[float] = []
    coefficients, score = _with_breakpoints(x, y, breakpoints)
    candidates = np.unique(x)[2:-2]
    while len(breakpoints) < MAX_BREAKPOINTS and len(candidates):
        trials = [(*_with_breakpoints(x, y, sorted([*breakpoints, knee])), knee) for knee in candidates]
        better, lower, knee = min(trials, key=lambda trial: trial[1])
        if lower >= score - 10:  # a difference above 10 is "very strong" evidence on the usual scale
            break
        breakpoints.append(float(knee))
        coefficients, score = better, lower
    slopes = np.cumsum(coefficients[1:])
    return PiecewiseLine(
        float(coefficients[0]),
        float(slopes[0]),
        tuple(zip(sorted(breakpoints), slopes[1:].tolist(), strict=True)),
    )


def _with_breakpoints(x: F64, y: F64, breakpoints: list[float]) -> tuple[F64, float]:
    basis = np.stack([np.ones_like(x), x, *(np.maximum(x - knee, 0) for knee in breakpoints)], axis=1)
    coefficients = np.linalg.lstsq(basis, y, rcond=None)[0]
    error = float(((basis @ coefficients - y) ** 2).mean())
    penalty = (2 * len(breakpoints) + 2) * float(np.log(len(x)))
    return coefficients, len(x) * float(np.log(max(error, 1e-9))) + penalty
