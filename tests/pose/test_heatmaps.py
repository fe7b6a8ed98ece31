"""Heatmaps -> keypoints: by hand, and against the straightforward way."""

import cv2
import numpy as np
import pytest

from hrpose_rt.pose.heatmaps import (
    HEATMAP_DECODERS,
    dark_kernel,
    decode_dark,
    decode_quarter,
    decode_udp,
    find_peaks,
    merge_flipped,
)

H, W = 64, 48


def gaussian(x: float, y: float, sigma: float = 2.0, peak: float = 1.0) -> np.ndarray:
    rows, cols = np.mgrid[:H, :W]
    return (peak * np.exp(-((cols - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))).astype(np.float32)


def one_map(**pixels: float) -> np.ndarray:
    """A map of zeros but for pixels named y_x."""
    heatmap = np.zeros((1, 1, H, W), np.float32)
    for name, value in pixels.items():
        y, x = map(int, name.removeprefix("p").split("_"))
        heatmap[0, 0, y, x] = value
    return heatmap


@pytest.mark.parametrize("decode", HEATMAP_DECODERS.values(), ids=HEATMAP_DECODERS)
def test_heatmap_decoders_without_people_return_empty(decode) -> None:
    points, scores = decode(np.zeros((0, 17, H, W), np.float32))
    assert (points.shape, scores.shape) == ((0, 17, 2), (0, 17))


@pytest.mark.parametrize("decode", HEATMAP_DECODERS.values(), ids=HEATMAP_DECODERS)
def test_heatmap_without_positive_peak_decodes_to_origin(decode) -> None:
    points, scores = decode(np.full((1, 2, H, W), -0.5, np.float32))
    assert points.tolist() == [[[0, 0], [0, 0]]]
    assert scores.tolist() == [[-0.5, -0.5]]


def test_heatmap_peak_tie_takes_first() -> None:
    x, y, score = find_peaks(one_map(p5_9=2, p5_20=2, p8_3=2))
    assert (x.item(), y.item(), score.item()) == (9, 5, 2)


@pytest.mark.parametrize(
    ("pixels", "point"),
    [
        ({"p10_20": 1, "p10_21": 0.5}, (20.25, 10)),
        ({"p10_20": 1, "p10_19": 0.5}, (19.75, 10)),
        ({"p10_20": 1, "p11_20": 0.2, "p9_20": 0.1}, (20, 10.25)),
        ({"p10_20": 1}, (20, 10)),  # equal neighbours: no side is higher
        ({"p10_1": 1, "p10_2": 0.5}, (1, 10)),  # the bounds are strict, and hold for both axes
        ({"p1_20": 1, "p1_21": 0.5}, (20, 1)),
        ({"p10_2": 1, "p10_3": 0.5}, (2.25, 10)),
        ({"p10_46": 1, "p10_47": 0.5}, (46.25, 10)),
        ({"p10_47": 1, "p10_46": 0.5}, (47, 10)),
        ({"p62_20": 1, "p63_20": 0.5}, (20, 62.25)),
        ({"p63_20": 1, "p62_20": 0.5}, (20, 63)),
    ],
)
def test_quarter_offset_points_to_higher_neighbour(pixels, point) -> None:
    points, scores = decode_quarter(one_map(**pixels))
    assert tuple(points[0, 0]) == point
    assert scores[0, 0] == 1


def test_dark_finds_subpixel_centre() -> None:
    centres = [(20.3, 30.4), (10.0, 10.0), (24.5, 40.49), (8.25, 50.75)]
    heatmaps = np.stack([gaussian(x, y) for x, y in centres])[None]
    points, scores = decode_dark(heatmaps)
    np.testing.assert_allclose(points[0], centres, atol=0.02)
    np.testing.assert_array_equal(scores, heatmaps.max(axis=(2, 3)))


def dark_the_long_way(heatmap: np.ndarray) -> tuple[float, float]:
    """One map as CONVENTIONS has it: blur all of it, scale it to the old maximum, then Taylor."""
    y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
    h, w = heatmap.shape
    side = 3 if h == 32 else 11
    border = (side - 1) // 2
    padded = np.pad(heatmap, border)
    blurred = cv2.GaussianBlur(padded, (side, side), 0)[border:-border, border:-border]
    blurred = blurred * heatmap.max() / blurred.max()
    log = np.log(np.maximum(blurred, 1e-10)).astype(np.float64)
    if not (1 < x < w - 2 and 1 < y < h - 2):
        return float(x), float(y)
    g = np.array([log[y, x + 1] - log[y, x - 1], log[y + 1, x] - log[y - 1, x]]) / 2
    hxx = (log[y, x + 2] - 2 * log[y, x] + log[y, x - 2]) / 4
    hyy = (log[y + 2, x] - 2 * log[y, x] + log[y - 2, x]) / 4
    hxy = (log[y + 1, x + 1] - log[y - 1, x + 1] - log[y + 1, x - 1] + log[y - 1, x - 1]) / 4
    if hxx * hyy - hxy * hxy == 0:
        return float(x), float(y)
    dx, dy = np.linalg.solve(np.array([[hxx, hxy], [hxy, hyy]]), g)
    return x - dx, y - dy


def test_dark_equals_reference_implementation_up_to_border() -> None:
    rng = np.random.default_rng(1)
    centres = rng.uniform((0, 0), (W - 1, H - 1), (60, 2))
    centres[:8] = [(0, 0), (1, 1), (2, 2), (3, 3), (W - 1, H - 1), (W - 2, 20), (W - 3, 20), (5, H - 3)]
    maps = [
        gaussian(x, y, 1.5 + rng.random(), 0.3 + rng.random()) + 0.4 * gaussian(x + 4, y - 3)
        for x, y in centres
    ]
    heatmaps = np.stack(maps)[None]
    points, _ = decode_dark(heatmaps)
    expected = np.array([dark_the_long_way(m) for m in maps])
    np.testing.assert_allclose(points[0], expected, atol=1e-3)


@pytest.mark.parametrize("peak", [1, 2e-9, 3e-10])
def test_dark_is_independent_of_peak_height(peak: float) -> None:
    # With g1 = exp(-1/8), g2 = exp(-4/8), g3 = exp(-9/8) columns 18 to 22 of the blurred map are as
    # g2 + g3/2, g1 + g2/2, 1 + g1/2, g1 + 1/2, g2 + g1/2: gx = .0768, hxx = -.2368, and so .324. Fainter
    # than 1e-10 all of it was cut off before it was scaled to the old maximum.
    points, _ = decode_dark(one_map(p30_20=peak, p30_21=peak / 2))
    np.testing.assert_allclose(points[0, 0], (20.324, 30), atol=2e-3)


def test_dark_of_faint_heatmaps_equals_reference_implementation() -> None:
    rng = np.random.default_rng(4)
    heatmaps = rng.normal(0, 1e-10, (1, 40, H, W)).astype(np.float32)  # half of what is around is cut off
    heatmaps[0, range(40), 30, 20] = 2e-9
    points, _ = decode_dark(heatmaps)
    expected = np.array([dark_the_long_way(m) for m in heatmaps[0]])
    np.testing.assert_allclose(points[0], expected, atol=1e-3)


@pytest.mark.parametrize(("hw", "side"), [((32, 24), 3), ((64, 48), 11), ((64, 64), 11), ((96, 72), 11)])
def test_dark_blur_kernel_size_by_heatmap_size(hw: tuple[int, int], side: int) -> None:
    assert dark_kernel(hw) == side


def test_dark_of_32x24_heatmap_uses_3x3_blur() -> None:
    # 1 and .5 beside it, blurred by 1/4 1/2 1/4: .25, .625, .5, .125 from column 9 on, then scaled to 1.
    heatmaps = np.zeros((1, 1, 32, 24), np.float32)
    heatmaps[0, 0, 15, 10:12] = 1, 0.5
    expected = dark_the_long_way(heatmaps[0, 0])
    np.testing.assert_allclose(decode_dark(heatmaps)[0][0, 0], expected, atol=1e-4)
    log = np.log([1e-10, 0.4, 1, 0.8, 0.2])
    step = (log[3] - log[1]) / 2 / ((log[4] - 2 * log[2] + log[0]) / 4)
    np.testing.assert_allclose(expected, (10 - step, 15), atol=1e-3)
    rows, cols = np.mgrid[:32, :24]
    centres = np.random.default_rng(5).uniform(4, 19, (30, 2))
    maps = [np.exp(-((cols - x) ** 2 + (rows - y) ** 2) / 2).astype(np.float32) for x, y in centres]
    points, _ = decode_dark(np.stack(maps)[None])
    np.testing.assert_allclose(points[0], [dark_the_long_way(m) for m in maps], atol=1e-3)


def test_flip_test_swaps_joints_and_shifts_one_column() -> None:
    direct = np.zeros((1, 3, 1, 4), np.float32)
    mirrored = np.arange(12, dtype=np.float32).reshape(1, 3, 1, 4)
    merged = merge_flipped(direct, mirrored, flip_order=[0, 2, 1])
    # Channel 0 is 0 1 2 3, seen from the other side 3 2 1 0, moved right with its first value kept.
    assert (2 * merged[0, 0, 0]).tolist() == [3, 3, 2, 1]
    assert (2 * merged[0, 1, 0]).tolist() == [11, 11, 10, 9]
    assert (2 * merged[0, 2, 0]).tolist() == [7, 7, 6, 5]


def udp_the_long_way(heatmap: np.ndarray) -> tuple[float, float]:
    """One map as CONVENTIONS has it: blurred, scaled, clipped, its logarithm padded with its border."""
    y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
    border = 5
    blurred = cv2.GaussianBlur(np.pad(heatmap, border), (11, 11), 0)
    blurred = blurred[border:-border, border:-border]
    blurred = blurred * heatmap.max() / blurred.max()
    log = np.pad(np.log(blurred.clip(1e-3, 50)).astype(np.float64), 1, mode="edge")
    y, x = y + 1, x + 1
    g = np.array([log[y, x + 1] - log[y, x - 1], log[y + 1, x] - log[y - 1, x]]) / 2
    middle = log[y, x]
    hxx = log[y, x + 1] - 2 * middle + log[y, x - 1]
    hyy = log[y + 1, x] - 2 * middle + log[y - 1, x]
    corners = log[y + 1, x + 1] + log[y - 1, x - 1]
    sides = log[y, x + 1] + log[y + 1, x] + log[y, x - 1] + log[y - 1, x]
    hxy = (corners - sides + 2 * middle) / 2
    eps = np.finfo(np.float32).eps
    dx, dy = np.linalg.solve(np.array([[hxx + eps, hxy], [hxy, hyy + eps]]), g)
    return x - 1 - dx, y - 1 - dy


def test_udp_equals_reference_implementation_up_to_border() -> None:
    rng = np.random.default_rng(2)
    centres = rng.uniform((0, 0), (W - 1, H - 1), (60, 2))
    centres[:4] = [(0, 20), (W - 1, 30), (20, 0), (30, H - 1)]
    maps = [gaussian(x, y, 1.5 + rng.random(), 0.3 + rng.random()) for x, y in centres]
    points, scores = decode_udp(np.stack(maps)[None])
    expected = np.array([udp_the_long_way(m) for m in maps])
    np.testing.assert_allclose(points[0], expected, atol=5e-3)
    np.testing.assert_allclose(scores[0], [m.max() for m in maps])


def test_flip_test_with_udp_does_not_shift() -> None:
    mirrored = np.arange(4, dtype=np.float32).reshape(1, 1, 1, 4)
    merged = merge_flipped(np.zeros_like(mirrored), mirrored, flip_order=[0], udp=True)
    assert (2 * merged[0, 0, 0]).tolist() == [3, 2, 1, 0]
