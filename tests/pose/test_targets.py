"""Joints -> heatmaps: by hand, against the original's way, and back again."""

import numpy as np
import pytest

from hrpose_rt.pose.heatmaps import HEATMAP_DECODERS
from hrpose_rt.pose.targets import TARGET_DECODERS, encode, target_sigma

HW = (64, 48)


def person(*xy: tuple[float, float]) -> np.ndarray:
    return np.array([xy], np.float32)


@pytest.mark.parametrize(("hw", "sigma"), [((64, 48), 2), ((64, 64), 2), ((96, 72), 3), ((32, 24), 1)])
def test_heatmap_target_sigma_scales_with_heatmap_size(hw, sigma) -> None:
    assert target_sigma(hw) == sigma


def the_originals_map(x: float, y: float) -> np.ndarray:
    """One joint's target as the original's loop makes it: a patch of 13x13 pasted where it fits."""
    cx, cy = int(x + 0.5), int(y + 0.5)
    patch_y, patch_x = np.mgrid[:13, :13] - 6
    patch = np.exp(-(patch_x**2 + patch_y**2) / (2 * 2**2))
    out = np.zeros(HW)
    for dy in range(-6, 7):
        for dx in range(-6, 7):
            if 0 <= cy + dy < HW[0] and 0 <= cx + dx < HW[1]:
                out[cy + dy, cx + dx] = patch[dy + 6, dx + 6]
    return out


@pytest.mark.parametrize("xy", [(20.2, 30.7), (0, 0), (47.4, 63.3), (-3.2, 5), (50.9, 10), (10, 68.4)])
def test_heatmap_target_classic_equals_reference_loop(xy) -> None:
    maps, inside = encode(person(xy), HW, "classic")
    np.testing.assert_allclose(maps[0, 0], the_originals_map(*xy), atol=1e-6)
    assert inside.all()


def test_heatmap_target_window_outside_map_is_masked() -> None:
    far = person((-8.6, 5), (-8.4, 5), (53.4, 5), (53.6, 5), (5, 69.4), (5, 69.6))
    _, inside = encode(far, HW, "classic")
    assert inside[0].tolist() == [False, True, True, False, True, False]


def test_heatmap_target_dark_and_udp_are_subpixel_and_udp_is_windowed() -> None:
    (dark, _), (udp, _) = encode(person((20.3, 30.6)), HW, "dark"), encode(person((20.3, 30.6)), HW, "udp")
    by_hand = np.exp(-((22 - 20.3) ** 2 + (29 - 30.6) ** 2) / 8)
    assert dark[0, 0, 29, 22] == udp[0, 0, 29, 22] == pytest.approx(by_hand, rel=1e-5)
    assert udp[0, 0, 31, 27] == 0 < dark[0, 0, 31, 27]  # seven columns from the nearest pixel


@pytest.mark.parametrize("kind", TARGET_DECODERS)
def test_heatmap_target_decodes_to_same_keypoints(kind) -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform((6, 6), (41, 57), (3, 17, 2)).astype(np.float32)
    maps, _ = encode(truth, HW, kind)
    decoded, scores = HEATMAP_DECODERS[TARGET_DECODERS[kind]](maps)
    far = np.linalg.norm(decoded - truth, axis=2).max()
    assert far < {"classic": 0.71, "dark": 0.03, "udp": 0.12}[kind]
    assert scores.min() > 0.88


def test_heatmap_target_of_no_people_is_empty() -> None:
    maps, inside = encode(np.zeros((0, 17, 2), np.float32), HW, "dark")
    assert (maps.shape, inside.shape) == ((0, 17, 64, 48), (0, 17))
