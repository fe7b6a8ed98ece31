"""Boxes and maps, by hand."""

import numpy as np
import pytest

from hrpose_rt.detection.letterbox import Letterbox
from hrpose_rt.geometry import (
    MAX_COST,
    assign,
    boxes_to_centre_size,
    crop_affines,
    heatmap_to_frame,
    input_to_heatmap,
    iou,
    nms,
    oks,
    oks_nms,
    vote,
    xywh_to_xyxy,
    xyxy_to_xywh,
)

NOBODY = np.zeros((0, 4), np.float32)


def boxes(*rows: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(rows, np.float32)


def test_iou_of_half_overlapping_squares_is_one_third() -> None:
    a, b = boxes((0, 0, 2, 2)), boxes((1, 0, 3, 2))
    np.testing.assert_allclose(iou(a, b), [[1 / 3]], rtol=1e-6)


def test_iou_is_one_for_same_box_and_zero_for_line_or_disjoint() -> None:
    square = boxes((0, 0, 2, 2))
    others = boxes((0, 0, 2, 2), (1, 1, 1, 2), (5, 5, 6, 6))
    np.testing.assert_array_equal(iou(square, others), [[1, 0, 0]])
    np.testing.assert_array_equal(iou(boxes((1, 1, 1, 1)), boxes((1, 1, 1, 1))), [[0]])


def test_iou_of_zero_boxes_is_empty() -> None:
    assert iou(NOBODY, boxes((0, 0, 1, 1))).shape == (0, 1)
    assert iou(NOBODY, NOBODY).shape == (0, 0)


@pytest.mark.parametrize(
    ("cost", "pairs"),
    [
        ([[1, 2], [2, 4]], [(0, 1), (1, 0)]),  # 2 + 2 is less than 1 + 4
        ([[-3], [-5], [-4]], [(1, 0)]),
        ([[9, 1, 9]], [(0, 1)]),
        ([[0, -2, 0], [0, -3, -2]], [(0, 1), (1, 2)]),
        (np.zeros((0, 3)), []),
        (np.zeros((2, 0)), []),
        (np.zeros((0, 0)), []),
    ],
)
def test_assign_finds_the_lowest_total(cost, pairs) -> None:
    rows, columns = assign(np.array(cost, np.float32))
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == pairs
    assert rows.dtype == columns.dtype == np.int64


def test_assign_of_ties_is_the_same_every_time() -> None:
    tied = np.zeros((6, 8), np.float32)
    first = [index.tolist() for index in assign(tied)]
    assert all([index.tolist() for index in assign(tied.copy())] == first for _ in range(20))
    assert first[0] == [0, 1, 2, 3, 4, 5] and len(set(first[1])) == 6


@pytest.mark.parametrize("cost", [np.nan, np.inf, -np.inf, MAX_COST])
def test_assign_refuses_costs_that_are_no_ordinary_numbers(cost) -> None:
    with pytest.raises(ValueError, match="numbers between plus and minus 1000000"):
        assign(np.array([[1, cost], [1, 1]], np.float32))


@pytest.mark.parametrize("kind", ["normal", "tied", "mostly impossible", "mostly none"])
def test_assign_costs_as_little_as_scipy(kind: str) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(0)
    for n, m in rng.integers(1, 25, (300, 2)):
        cost = rng.normal(size=(n, m)).astype(np.float32)
        if kind == "tied":
            cost = rng.integers(0, 3, (n, m)).astype(np.float32)
        elif kind == "mostly impossible":
            cost = np.where(rng.random((n, m)) < 0.7, np.float32(1e4), cost)
        elif kind == "mostly none":
            cost = np.where(rng.random((n, m)) < 0.8, np.float32(0), -abs(cost))
        rows, columns = assign(cost)
        assert rows.tolist() == sorted(set(rows.tolist())) and len(set(columns.tolist())) == min(n, m)
        least = cost[optimize.linear_sum_assignment(cost)].sum(dtype=np.float64)
        assert cost[rows, columns].sum(dtype=np.float64) == pytest.approx(least, abs=1e-6)


def test_nms_keeps_best_box_of_each_cluster_in_score_order() -> None:
    heap = boxes((0, 0, 10, 10), (0, 0, 10, 9), (20, 0, 30, 10))
    scores = np.array([0.5, 0.9, 0.7], np.float32)
    assert nms(heap, scores, 0.6).tolist() == [1, 2]
    assert nms(heap, scores, 0.95).tolist() == [1, 2, 0]


def test_nms_does_not_let_a_suppressed_box_suppress() -> None:
    chain = boxes((0, 0, 10, 10), (4, 0, 14, 10), (8, 0, 18, 10))  # each overlaps the next by 3/7
    scores = np.array([0.9, 0.8, 0.7], np.float32)
    assert nms(chain, scores, 0.4).tolist() == [0, 2]


def test_nms_of_zero_boxes_is_empty() -> None:
    assert nms(NOBODY, np.zeros(0, np.float32), 0.5).tolist() == []


def test_vote_averages_boxes_that_nearly_cover_each_other_by_score() -> None:
    heap = boxes(
        (0, 0, 10, 10), (0, 0, 10, 8), (0, 0, 10, 6), (20, 0, 30, 10)
    )  # IoU with the first: .8, .6, 0
    scores = np.array([0.6, 0.2, 0.4, 0.3], np.float32)
    voted = vote(heap, scores, np.array([0, 3]), 0.75)
    np.testing.assert_allclose(voted, [[0, 0, 10, (0.6 * 10 + 0.2 * 8) / 0.8], [20, 0, 30, 10]], rtol=1e-6)


def test_vote_takes_boxes_of_score_zero_and_no_boxes() -> None:
    square = boxes((1, 2, 3, 4))
    np.testing.assert_allclose(vote(square, np.zeros(1, np.float32), np.array([0]), 0.75), square)
    assert vote(NOBODY, np.zeros(0, np.float32), np.zeros(0, np.int64), 0.75).shape == (0, 4)


@pytest.mark.parametrize(
    ("frame_hw", "size_wh", "offset_xy"),
    [
        ((720, 1280), (640, 360), (0, 12)),  # wide: bars above and below
        ((1280, 720), (216, 384), (212, 0)),  # high: bars at the sides
        ((1, 1), (384, 384), (128, 0)),
        ((1, 5000), (640, 1), (0, 191)),
    ],
)
def test_letterbox_centres_frame(frame_hw, size_wh, offset_xy) -> None:
    letterbox = Letterbox.fit(frame_hw, (384, 640))
    assert (letterbox.size_wh, letterbox.offset_xy) == (size_wh, offset_xy)


def test_letterbox_maps_boxes_back_to_frame() -> None:
    letterbox = Letterbox.fit((720, 1280), (384, 640))
    np.testing.assert_allclose(letterbox.to_frame(boxes((0, 12, 640, 372))), [[0, 0, 1280, 720]])
    assert letterbox.to_frame(NOBODY).shape == (0, 4)


@pytest.mark.parametrize(
    ("box", "size"),
    [
        ((0, 0, 30, 80), (75, 100)),  # higher than 3:4: 80 high, 60 wide, then a quarter more
        ((0, 0, 60, 20), (75, 100)),  # wider than 3:4: 60 wide, 80 high
    ],
)
def test_crop_frame_is_box_at_input_aspect_ratio_plus_a_quarter(box, size) -> None:
    centres, sizes = boxes_to_centre_size(boxes(box), (256, 192))
    np.testing.assert_allclose(centres, [[(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]])
    np.testing.assert_allclose(sizes, [size])


def test_crop_map_puts_box_centre_at_input_centre() -> None:
    centres, sizes = np.array([[50, 40]], np.float32), np.array([[75, 100]], np.float32)
    (matrix,) = crop_affines(centres, sizes, (256, 192))
    np.testing.assert_allclose(matrix @ [50, 40, 1], [96, 128], atol=1e-4)
    np.testing.assert_allclose(matrix @ [50 - 37.5, 40 - 50, 1], [0, 0], atol=1e-4)


def test_crop_map_and_heatmap_to_frame_are_inverse() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 500, (7, 2))
    people = np.hstack([corners, corners + rng.uniform(10, 300, (7, 2))]).astype(np.float32)
    centres, sizes = boxes_to_centre_size(people, (256, 192))
    points = rng.uniform(0, 600, (7, 5, 2)).astype(np.float32)
    maps = crop_affines(centres, sizes, (256, 192))
    on_input = np.einsum("nij,nkj->nki", maps[:, :, :2], points) + maps[:, None, :, 2]
    back = heatmap_to_frame(on_input / 4, centres, sizes, (64, 48))
    np.testing.assert_allclose(back, points, atol=1e-2)


def test_udp_crop_map_and_heatmap_align_first_and_last_pixels() -> None:
    centres, sizes = np.array([[50, 40]], np.float32), np.array([[30, 40]], np.float32)
    matrix = crop_affines(centres, sizes, (256, 192), udp=True)[0]
    corners = np.array([[35, 20, 1], [65, 60, 1]], np.float32)
    np.testing.assert_allclose(corners @ matrix.T, [[0, 0], [191, 255]], atol=1e-4)
    ends = np.array([[[0, 0], [47, 63]]], np.float32)
    np.testing.assert_allclose(
        heatmap_to_frame(ends, centres, sizes, (64, 48), udp=True), [[[35, 20], [65, 60]]], atol=1e-4
    )
    np.testing.assert_allclose(
        input_to_heatmap(np.array([191, 255], np.float32), (256, 192), (64, 48), udp=True), [47, 63]
    )


def test_oks_of_one_joint_at_two_sigma_distance() -> None:
    sigmas = np.array([0.05], np.float32)
    area = np.array([10000], np.float32)
    # e^-1/2 at a distance of 2 sigma times the square root of the area: 10 pixels.
    truth, found = np.zeros((1, 1, 2), np.float32), np.array([[[10, 0]]], np.float32)
    seen = np.ones((1, 1), np.bool_)
    assert oks(found, truth, seen, area, sigmas)[0] == pytest.approx(np.exp(-0.5), rel=1e-5)


def test_oks_counts_only_labelled_joints() -> None:
    sigmas = np.full(2, 0.05, np.float32)
    found = np.array([[[0, 0], [1000, 0]]] * 2, np.float32)
    seen = np.array([[True, False], [False, False]])
    area = np.full(2, 10000, np.float32)
    assert oks(found, np.zeros_like(found), seen, area, sigmas).tolist() == [1, 0]


def test_oks_nms_keeps_better_of_two_similar_poses() -> None:
    sigmas = np.full(3, 0.05, np.float32)
    pose = np.array([[0, 0], [50, 0], [0, 80]], np.float32)
    poses = np.stack([pose, pose + 1, pose + 40, pose])
    scores = np.array([0.5, 0.9, 0.1, 0.4], np.float32)
    areas = np.full(4, 10000, np.float32)
    assert oks_nms(poses, scores, areas, sigmas, 0.9).tolist() == [1, 2]
    assert oks_nms(poses, scores, areas, sigmas, 1.0).tolist() == [1, 0, 3, 2]
    assert oks_nms(poses[:0], scores[:0], areas[:0], sigmas, 0.9).tolist() == []


def test_xywh_and_xyxy_convert_by_hand() -> None:
    xywh = np.array([[10, 20, 30, 40], [0, 0, 1, 2]], np.float32)
    xyxy = np.array([[10, 20, 40, 60], [0, 0, 1, 2]], np.float32)
    assert np.array_equal(xywh_to_xyxy(xywh), xyxy)
    assert np.array_equal(xyxy_to_xywh(xyxy), xywh)
