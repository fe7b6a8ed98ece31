"""Gaps and filters, against values worked out by hand."""

import sys

import numpy as np
import pytest

from hrpose_rt.errors import BadInput, RuntimeMissing
from hrpose_rt.kinematics.filters import Smoothing, butterworth, fill_gaps, median, one_euro, smooth

RATE = 100.0


def one_point(x: object) -> np.ndarray:
    """A keypoint (T, 1, 2) that moves along x; its y is unknown where x is, otherwise 0."""
    values = np.asarray(x, np.float64)
    return np.stack([values, np.where(np.isnan(values), np.nan, 0)], axis=-1)[:, None]


def wave(hertz: float, seconds: float = 8.0) -> np.ndarray:
    return one_point(np.sin(2 * np.pi * hertz * np.arange(seconds * RATE) / RATE))


def amplitude(keypoints: np.ndarray) -> float:
    """Of the middle half, where the ends do not count."""
    quarter = len(keypoints) // 4
    return float(np.abs(keypoints[quarter:-quarter, 0, 0]).max())


def test_short_gaps_are_filled_by_a_line_and_long_ones_stay() -> None:
    n = np.nan
    filled = fill_gaps(one_point([n, 0, n, n, 3, n, n, n, 9, n]), longest=2)[:, 0, 0]
    assert filled.tolist() == pytest.approx([n, 0, 1, 2, 3, n, n, n, 9, n], nan_ok=True)


def test_butterworth_halves_the_amplitude_at_the_cutoff() -> None:
    """Each of two passes leaves 1 / sqrt(2) there."""
    assert amplitude(butterworth(wave(6), RATE, 6, 4)) == pytest.approx(0.5, abs=0.005)
    # One octave below: 1 / (1 + (tan(pi 3 / 100) / tan(pi 6 / 100)) ** 4) of the bilinear transform.
    assert amplitude(butterworth(wave(3), RATE, 6, 4)) == pytest.approx(0.9426, abs=0.005)


def test_butterworth_does_not_delay() -> None:
    slow = wave(1)
    assert np.abs(butterworth(slow, RATE, 6, 4) - slow)[100:-100].max() < 0.01


def test_butterworth_filters_each_side_of_a_gap_by_itself() -> None:
    noisy = wave(40)
    noisy[300:320] = np.nan
    filtered = butterworth(noisy, RATE, 6, 4)
    assert np.isnan(filtered[300:320]).all() and not np.isnan(filtered[[299, 320]]).any()
    assert np.abs(filtered[20:280, 0, 0]).max() < 0.02
    short = one_point([0, 9, 0, 9])
    np.testing.assert_array_equal(butterworth(short, RATE, 6, 4), short)


def test_one_euro_smooths_at_rest_and_follows_when_fast() -> None:
    rng = np.random.default_rng(0)
    body = np.zeros((400, 2, 2))
    body[:, 1, 1] = 100  # the body height
    jitter = rng.normal(0, 1, 400)
    body[:, :, 0] += jitter[:, None]
    still = one_euro(body, RATE, 1.5, 8)
    assert np.abs(still[50:350, 0, 0]).std() < 0.4 * jitter.std()
    body[200:, :, 0] += 100  # one body height at once
    step = one_euro(body, RATE, 1.5, 8)
    assert step[220, 0, 0] == pytest.approx(100, abs=6)
    assert one_euro(body, RATE, 1.5, 0)[220, 0, 0] < 95


def test_median_drops_a_wrong_frame_and_keeps_a_step() -> None:
    n = np.nan
    filtered = median(one_point([0, 0, 9, 0, 0, 5, 5, 5, n]), window=3)[:, 0, 0]
    assert filtered.tolist() == pytest.approx([0, 0, 0, 0, 0, 5, 5, 5, n], nan_ok=True)


def test_smooth_fills_before_it_filters() -> None:
    walk = one_point(np.arange(100.0))
    walk[40:45] = np.nan
    for name in ("butterworth", "one-euro", "median", "none"):
        filtered = smooth(walk, RATE, Smoothing(filter=name, fill_s=0.05))
        assert filtered[42, 0, 0] == pytest.approx(42, abs=0.5), name
        assert np.isnan(smooth(walk, RATE, Smoothing(filter=name, fill_s=0.04))[42, 0, 0]), name


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            {"filter": "kalman"},
            "there is no `filter` kalman: choose butterworth or one-euro or median or none",
        ),
        ({"order": 3}, "`order` 3 is odd: it is shared by two passes, give an even number"),
        ({"window": 4}, "`window` 4 is even: a median needs a middle, give an odd number"),
        ({"order": 1000}, "`order` is 1000: expected int <= 100"),  # SciPy gives NaN
        ({"cutoff": 0.0}, "`cutoff` is 0.0: expected float >= 0.001"),
        ({"fill_s": -1.0}, "`fill_s` is -1.0: expected float >= 0.0"),
    ],
)
def test_wrong_settings_are_refused(wrong, words) -> None:
    with pytest.raises(BadInput) as raised:
        Smoothing(**wrong)
    assert str(raised.value) == words


def test_butterworth_needs_a_cutoff_below_half_the_rate_and_scipy(monkeypatch) -> None:
    with pytest.raises(BadInput, match="`cutoff` 6 is not below half the frame rate, 5 Hz: give a lower"):
        butterworth(wave(1), 10.0, 6, 4)
    monkeypatch.setitem(sys.modules, "scipy.signal", None)
    with pytest.raises(
        RuntimeMissing, match=r"butterworth needs scipy: pip install -e '\.\[motion\]' in the checkout"
    ):
        butterworth(wave(1), RATE, 6, 4)
