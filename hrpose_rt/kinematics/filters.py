"""Fill gaps of keypoints over time and filter them, after a run, when past and future are known."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from msgspec import Meta

from hrpose_rt.errors import MAX_NUMBER, BadInput, RuntimeMissing, install_hint
from hrpose_rt.structures import NonNegativeFloat, PositiveInt, check_fields
from hrpose_rt.types import F64, Bools

FILTERS = ("butterworth", "one-euro", "median", "none")
VELOCITY_CUTOFF_HZ = 2.0  # of the One-Euro filter


@dataclass(frozen=True, slots=True)
class Smoothing:
    """How gaps are filled and keypoints filtered.

    >>> from hrpose_rt.kinematics.filters import Smoothing
    >>> Smoothing(cutoff=4).filter
    'butterworth'

    Attributes:
        filter: "butterworth", "one-euro", "median" or "none".
        cutoff: Hertz, .001 or more; of One-Euro, the cutoff for a keypoint at rest.
        order: The order of Butterworth, an even number up to 100; each of its two passes has half of it.
        beta: Hertz that One-Euro adds per body height per second.
        window: Frames of the median, an odd number.
        fill_s: Gaps of at most this many seconds are filled.

    Raises:
        BadInput: A value is out of range.
    """

    filter: str = "butterworth"
    cutoff: Annotated[float, Meta(ge=1e-3, le=MAX_NUMBER)] = 6.0
    order: Annotated[int, Meta(ge=2, le=100)] = 4
    beta: NonNegativeFloat = 8.0
    window: PositiveInt = 5
    fill_s: NonNegativeFloat = 0.5

    def __post_init__(self) -> None:
        check_fields(self)
        if self.filter not in FILTERS:
            raise BadInput(f"there is no `filter` {self.filter}: choose {' or '.join(FILTERS)}")
        if self.order % 2:
            raise BadInput(f"`order` {self.order} is odd: it is shared by two passes, give an even number")
        if self.window % 2 == 0:
            raise BadInput(f"`window` {self.window} is even: a median needs a middle, give an odd number")


def smooth(keypoints: F64, rate_hz: float, smoothing: Smoothing) -> F64:
    """The keypoints (T, K, 2) with gaps filled and filtered, NaN in the gaps that stay.

    Args:
        keypoints: (T, K, 2) pixels of one person in T frames at even times; NaN where unknown.
        rate_hz: Frames per second.
        smoothing: What to do.

    Raises:
        BadInput: The cutoff is not below half the frame rate.
        RuntimeMissing: SciPy is not installed, and Butterworth needs it.
    """
    filled = fill_gaps(keypoints, round(smoothing.fill_s * rate_hz))
    if smoothing.filter == "butterworth":
        return butterworth(filled, rate_hz, smoothing.cutoff, smoothing.order)
    if smoothing.filter == "one-euro":
        return one_euro(filled, rate_hz, smoothing.cutoff, smoothing.beta)
    return median(filled, smoothing.window) if smoothing.filter == "median" else filled


def fill_gaps(keypoints: F64, longest: int) -> F64:
    """The keypoints (T, K, 2) with gaps of up to `longest` frames filled by straight lines.

    Frames before the first and after the last known position stay NaN.
    """
    filled, frames = keypoints.copy(), np.arange(len(keypoints))
    for k in range(keypoints.shape[1]):
        known = ~np.isnan(keypoints[:, k, 0])
        for start, stop in _runs(~known):
            if start > 0 and stop < len(known) and stop - start <= longest:
                for axis in (0, 1):
                    column = keypoints[:, k, axis]
                    filled[start:stop, k, axis] = np.interp(
                        frames[start:stop], (start - 1, stop), (column[start - 1], column[stop])
                    )
    return filled


def butterworth(keypoints: F64, rate_hz: float, cutoff_hz: float, order: int) -> F64:
    """Low-pass filter the keypoints (T, K, 2) forwards and backwards, so that nothing is delayed.

    Both passes have half the order. Together they halve the amplitude at the cutoff (-6 dB), as in
    Sports2D. A run of known frames that is too short for the filter stays as it is.
    """
    try:
        from scipy.signal import butter, sosfiltfilt
    except ImportError as error:
        raise RuntimeMissing(
            f"`filter` butterworth needs scipy: {install_hint('motion')}, or choose one-euro or median"
        ) from error
    if cutoff_hz >= rate_hz / 2:
        raise BadInput(
            f"`cutoff` {cutoff_hz:g} is not below half the frame rate, {rate_hz / 2:g} Hz: give a lower "
            "one, or take `filter` median"
        )
    sections = butter(order // 2, cutoff_hz, fs=rate_hz, output="sos")
    padding = 3 * (order // 2 + 1)  # frames mirrored at both ends, SciPy's default for such a filter
    filtered = keypoints.copy()
    for start, stop, k in _known_runs(keypoints):
        if stop - start > padding:
            filtered[start:stop, k] = sosfiltfilt(
                sections, keypoints[start:stop, k], axis=0, padlen=padding
            )
    return filtered


def one_euro(keypoints: F64, rate_hz: float, cutoff_hz: float, beta: float) -> F64:
    """The One-Euro filter (Casiez et al., CHI 2012) of the keypoints (T, K, 2), forwards, then backwards.

    The cutoff is `cutoff_hz` at rest, and `beta` hertz higher for each body height per second. The body
    height is the median vertical extent of the known keypoints.
    """
    known = ~np.isnan(keypoints[..., 1]).all(axis=1)
    if not known.any():
        return keypoints.copy()
    extent = np.nanmax(keypoints[known, :, 1], axis=1) - np.nanmin(keypoints[known, :, 1], axis=1)
    gain = beta / max(float(np.median(extent)), 1.0)
    filtered = keypoints.copy()
    for start, stop, k in _known_runs(keypoints):
        once = _one_euro_pass(keypoints[start:stop, k], rate_hz, cutoff_hz, gain)
        filtered[start:stop, k] = _one_euro_pass(once[::-1], rate_hz, cutoff_hz, gain)[::-1]
    return filtered


def _one_euro_pass(track: F64, rate_hz: float, cutoff_hz: float, gain: float) -> F64:
    """One pass over (T, 2) pixels; `gain` is hertz per pixel per second."""

    def share(cutoff: float) -> float:
        return float(1 / (1 + rate_hz / (2 * np.pi * cutoff)))

    filtered, velocity = track.copy(), np.zeros(2)
    for i in range(1, len(track)):
        measured = (track[i] - filtered[i - 1]) * rate_hz
        velocity = velocity + share(VELOCITY_CUTOFF_HZ) * (measured - velocity)
        speed = float(np.hypot(*velocity))
        filtered[i] = filtered[i - 1] + share(cutoff_hz + gain * speed) * (track[i] - filtered[i - 1])
    return filtered


def median(keypoints: F64, window: int) -> F64:
    """The running median of the keypoints (T, K, 2), over the known frames of each window."""
    if not len(keypoints):
        return keypoints.copy()
    half = window // 2
    padded = np.pad(keypoints, ((half, half), (0, 0), (0, 0)), constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, window, axis=0)  # (T, K, 2, window)
    known = ~np.isnan(keypoints)
    filtered = keypoints.copy()
    filtered[known] = np.nanmedian(windows[known], axis=-1)
    return filtered


def _known_runs(keypoints: F64) -> Iterator[tuple[int, int, int]]:
    """(start, stop, k) of every run of frames in which keypoint k is known."""
    for k in range(keypoints.shape[1]):
        for start, stop in _runs(~np.isnan(keypoints[:, k, 0])):
            yield start, stop, k


def _runs(flags: Bools) -> list[tuple[int, int]]:
    """(start, stop) of every run of true flags (T,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
