"""SimCC vectors against hand-computed cases."""

import numpy as np
import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.nets.spec import EngineSpec
from hrpose_rt.pose.decoding import check_shape, keypoint_decoder
from hrpose_rt.pose.estimator import HostPoseEstimator
from hrpose_rt.pose.simcc import SimccDecoder
from hrpose_rt.timing import StageClock
from tests.fakes import FakeRuntime

GRID_HW = (8, 6)
SPEC = EngineSpec("rtm", "pose", ((256, 192),), "fp32", "", "coco17", (512, 384), "simcc")


def vectors(x: int, y: int, at_x: float = 0.9, at_y: float = 0.7, joints: int = 2) -> np.ndarray:
    """(1, joints, 6 + 8) vectors with one peak along x and one along y."""
    output = np.zeros((1, joints, sum(GRID_HW)), np.float32)
    output[..., x], output[..., GRID_HW[1] + y] = at_x, at_y
    return output


def test_simcc_point_is_highest_bin_and_score_the_lower_maximum() -> None:
    points, scores = SimccDecoder(GRID_HW, [0, 1]).decode(vectors(4, 7))
    assert points.tolist() == [[[4, 7], [4, 7]]] and points.dtype == np.float32
    assert scores == pytest.approx(0.7)


def test_simcc_of_no_people_has_the_usual_shapes() -> None:
    points, scores = SimccDecoder(GRID_HW, [0, 1]).decode(np.zeros((0, 2, 14), np.float32))
    assert points.shape == (0, 2, 2) and scores.shape == (0, 2)


def test_simcc_flip_mirrors_x_keeps_y_and_swaps_sides() -> None:
    decoder = SimccDecoder(GRID_HW, [1, 0])
    direct = vectors(1, 2)
    mirrored = np.zeros_like(direct)
    mirrored[0, 1, 6 - 1 - 1], mirrored[0, 1, 6 + 2] = 0.9, 0.7  # joint 0 of the mirrored person is joint 1
    merged = decoder.merge_flipped(direct, mirrored)
    assert merged[0, 0, 1] == pytest.approx(0.9) and merged[0, 0, 6 + 2] == pytest.approx(0.7)
    assert merged[0, 1, 1] == pytest.approx(0.45)


def test_estimator_maps_simcc_bins_to_the_frame() -> None:
    output = np.zeros((17, 384 + 512), np.float32)
    output[:, 2 * 48], output[:, 384 + 2 * 64] = 0.9, 0.8  # a quarter of the crop from its left and top
    runtime = FakeRuntime(lambda batch: np.broadcast_to(output, (len(batch), *output.shape)))
    with HostPoseEstimator(runtime, SPEC, flip_test=False) as estimator:
        estimator.warm_up()
        box = np.array([[100, 100, 220, 260]], np.float32)  # its crop is 150 x 200 pixels
        poses = estimator.estimate(np.zeros((400, 400, 3), np.uint8), box, StageClock())
    np.testing.assert_allclose(poses.keypoints[0], [[160 - 150 / 4, 180 - 200 / 4]] * 17, atol=1e-3)
    assert poses.scores[0] == pytest.approx([0.8] * 17)


@pytest.mark.parametrize(("own", "asked"), [("simcc", "dark"), ("dark", "udp"), ("udp", "quarter")])
def test_decoder_of_other_weights_is_refused(own, asked) -> None:
    spec = EngineSpec("net", "pose", ((256, 192),), "fp32", "", "coco17", (64, 48), own)
    with pytest.raises(BadInput, match=f"net is read with {own}, which `decode` {asked} does not fit"):
        keypoint_decoder(spec, asked)


def test_simcc_output_of_another_shape_is_named() -> None:
    words = r"rtm gives SimCC vectors \(26, 896\), and coco17 in its spec asks for \(17, 896\): give"
    with pytest.raises(BadInput, match=words):
        check_shape((26, 896), SPEC)


def test_simcc_points_equal_those_of_rtmlib() -> None:
    tools = pytest.importorskip(
        "rtmlib.tools.pose_estimation.post_processings", reason="rtmlib is not here"
    )
    rng = np.random.default_rng(0)
    x, y = rng.random((9, 17, 384), np.float32), rng.random((9, 17, 512), np.float32)
    points, _ = SimccDecoder((512, 384), list(range(17))).decode(np.concatenate([x, y], axis=2))
    np.testing.assert_allclose(points, tools.get_simcc_maximum(x, y)[0], atol=1e-4)
