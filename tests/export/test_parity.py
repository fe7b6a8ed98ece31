"""How far an engine may be from fp32."""

import numpy as np
import pytest

from hrpose_rt.export.parity import LIMITS, compare_boxes, compare_poses
from hrpose_rt.nets.spec import EngineSpec

HEIGHTS = np.full(3, 200, np.float32)


def spec(precision: str) -> EngineSpec:
    """A network with 4 pixels of the input per heatmap pixel."""
    return EngineSpec("net", "pose", ((256, 192),), precision, "", "coco17", (64, 48))


def blobs(shift: float = 0.0, peak: float = 0.9) -> np.ndarray:
    """(3, 2, 64, 48) heatmaps with a Gaussian each, `shift` cells to the right of (20, 30)."""
    y, x = np.mgrid[:64, :48]
    one = peak * np.exp(-((x - 20 - shift) ** 2 + (y - 30) ** 2) / 8)
    return np.broadcast_to(one, (3, 2, 64, 48)).astype(np.float32).copy()


def test_parity_of_equal_heatmaps_has_no_violations() -> None:
    parity = compare_poses(blobs(), blobs(), HEIGHTS, spec("fp32"))
    assert parity.violations == ()
    assert parity.metrics == {
        "crops": 3,
        "joints": 6,
        "median_px": 0,
        "p95_px": 0,
        "max_px": 0,
        "moved": 0,
        "heatmap_error": 0,
    }


@pytest.mark.parametrize(
    ("precision", "shift", "good"),
    [
        ("fp32", 0.01, True),  # 0.04 pixels of the input
        ("fp32", 0.02, False),
        ("fp16", 0.06, True),
        ("fp16", 0.07, False),
        ("bf16", 0.07, True),
        ("bf16", 0.08, False),
        ("int8", 0.17, True),
        ("int8", 0.18, False),
    ],
)
def test_parity_limits_are_in_network_input_pixels(precision, shift, good) -> None:
    parity = compare_poses(blobs(), blobs(shift), HEIGHTS, spec(precision))
    assert parity.metrics["median_px"] == pytest.approx(4 * shift, abs=0.004)
    assert (parity.violations == ()) == good, parity


def test_parity_fails_if_over_one_percent_of_joints_jump() -> None:
    expected = np.concatenate([blobs()] * 20)
    outputs = expected.copy()
    outputs[0, 0] = blobs(10)[0, 0]
    compared = compare_poses(expected, outputs, np.full(60, 200, np.float32), spec("int8"))
    assert compared.metrics["moved"] == pytest.approx(1 / 120, abs=1e-4) and compared.violations == ()
    outputs[1, 0] = blobs(10)[0, 0]
    compared = compare_poses(expected, outputs, np.full(60, 200, np.float32), spec("int8"))
    assert compared.violations == ("moved is 0.0167, 0.01 is allowed",)


def test_parity_ignores_low_score_joints() -> None:
    parity = compare_poses(blobs(peak=0.2), blobs(5, peak=0.2), HEIGHTS, spec("fp32"))
    assert parity.metrics["joints"] == 0 and parity.violations == ()


def test_parity_of_nan_heatmaps_is_violation() -> None:
    broken = blobs()
    broken[0, 0, 0, 0] = np.nan
    with np.errstate(invalid="ignore"):
        assert (
            "some heatmaps are not finite"
            in compare_poses(blobs(), broken, HEIGHTS, spec("int8")).violations
        )


def test_parity_matches_detector_boxes_one_to_one() -> None:
    def output(*rows: list[float]) -> np.ndarray:
        return np.array([rows], np.float32)

    one, two = [10, 10, 60, 110, 0.9, 0], [200, 10, 260, 110, 0.8, 0]
    near = [10, 11, 60, 111, 0.8, 0]
    parity = compare_boxes([output(one, two)], [output(near, two)], "int8")
    assert parity.metrics == {"pictures": 1, "boxes": 2, "matched": 1, "score_difference": 0.05}
    parity = compare_boxes([output(one, two)], [output([30, 10, 80, 110, 0.9, 0])], "int8")
    assert parity.metrics["matched"] == 0
    assert parity.violations == ("0 of the boxes are matched, 0.7 at least are asked for",)


def test_parity_limits_cover_every_precision() -> None:
    assert set(LIMITS) == {"fp32", "fp16", "bf16", "int8"}
