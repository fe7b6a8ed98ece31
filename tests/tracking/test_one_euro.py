"""The One-Euro filter by hand, and what it does to jitter and to motion."""

import numpy as np
import pytest

from hrpose_rt.tracking.one_euro import BETA, MIN_CUTOFF_HZ, VELOCITY_CUTOFF_HZ, one_euro

DT = np.array([0.04], np.float32)
TALL = np.array([200.0], np.float32)


def share(cutoff: float) -> float:
    return 1 / (1 + 1 / (2 * np.pi * cutoff * 0.04))


def run(measured: np.ndarray) -> np.ndarray:
    """A joint's x over time, filtered."""
    keypoints, velocity = np.zeros((1, 1, 2), np.float32), np.zeros((1, 1, 2), np.float32)
    keypoints[0, 0, 0] = measured[0]
    out = [measured[0]]
    for x in measured[1:]:
        keypoints, velocity = one_euro(keypoints, velocity, np.array([[[x, 0]]], np.float32), DT, TALL)
        out.append(float(keypoints[0, 0, 0]))
    return np.array(out)


def test_one_euro_step_matches_formula() -> None:
    speed = share(VELOCITY_CUTOFF_HZ) * 10 / 0.04
    expected = share(MIN_CUTOFF_HZ + BETA * speed / 200) * 10
    assert run(np.array([0.0, 10.0]))[1] == pytest.approx(expected, rel=1e-5)


def test_one_euro_halves_jitter_of_still_joint() -> None:
    noise = np.random.default_rng(0).normal(0, 1, 200)
    assert run(noise)[20:].std() < 0.5 * noise[20:].std()


def test_one_euro_follows_moving_joint_with_small_lag() -> None:
    walk = 4.0 * np.arange(100)  # half a body height a second
    assert abs(run(walk)[50:] - walk[50:]).max() < 0.03 * TALL[0]


def test_one_euro_accepts_zero_people() -> None:
    none = np.zeros((0, 17, 2), np.float32)
    keypoints, velocity = one_euro(none, none, none, np.zeros(0, np.float32), np.zeros(0, np.float32))
    assert keypoints.shape == velocity.shape == (0, 17, 2)
