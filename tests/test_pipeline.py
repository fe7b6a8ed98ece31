"""The loop, around networks that are fakes."""

import numpy as np
import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.pipeline import PosePipeline, check_boxes
from hrpose_rt.types import STAGES, Frame, StageTimes
from tests.fakes import FakeSource, fake_networks

IMAGE = np.zeros((48, 64, 3), np.uint8)


def test_nobody_in_view_is_an_ordinary_case() -> None:
    with PosePipeline(networks=fake_networks([0])) as pipeline:
        result = pipeline.process(IMAGE)
    assert len(result) == 0
    assert result.poses.keypoints.shape == (0, 17, 2)
    assert result.track_ids.shape == (0,)


def test_row_i_is_the_same_person_throughout() -> None:
    with PosePipeline(networks=fake_networks([5])) as pipeline:
        for _ in range(3):
            result = pipeline.process(IMAGE)
    middles = (result.detections.boxes[:, :2] + result.detections.boxes[:, 2:]) / 2
    np.testing.assert_allclose(result.poses.keypoints[:, 0], middles)
    assert sorted(result.track_ids.tolist()) == [0, 1, 2, 3, 4]


def test_stages_add_up_to_the_total() -> None:
    with PosePipeline(networks=fake_networks([3])) as pipeline:
        times = pipeline.process(IMAGE).times
    assert sum(getattr(times, name) for name in STAGES) == pytest.approx(times.total)
    assert times.detect > 0
    assert times.pose > 0


def test_images_are_numbered_and_frames_keep_their_numbers() -> None:
    with PosePipeline(networks=fake_networks()) as pipeline:
        assert [pipeline.process(IMAGE).frame.index for _ in range(3)] == [0, 1, 2]
        assert pipeline.process(Frame(40, IMAGE, 1.6, 0.0)).frame.index == 40


def test_every_source_gets_ids_of_its_own() -> None:
    with PosePipeline(networks=fake_networks([2])) as pipeline:
        for _ in range(2):
            *_, last = pipeline.stream(FakeSource(frames=4))
            assert sorted(last.track_ids.tolist()) == [0, 1]


def test_several_sources_at_once_are_each_what_they_are_alone() -> None:
    sources = [FakeSource(frames=4), FakeSource(frames=2, hw=(96, 64))]
    ends = []
    with PosePipeline(networks=fake_networks([3])) as pipeline:
        found = list(pipeline.stream_all(sources, lambda i, broken: ends.append((i, broken))))
        alone = [list(pipeline.stream(source)) for source in sources]
    for i, results in enumerate(alone):
        mine = [result for j, result in found if j == i]
        assert [r.frame.index for r in mine] == [r.frame.index for r in results]
        for one, other in zip(mine, results, strict=True):
            np.testing.assert_array_equal(one.poses.keypoints, other.poses.keypoints)
            np.testing.assert_array_equal(one.track_ids, other.track_ids)
            assert sum(getattr(one.times, name) for name in STAGES) == pytest.approx(one.times.total)
        assert {r.shared for r in mine} == {True} and {r.shared for r in results} == {False}
    assert sorted(ends) == [(0, None), (1, None)]


def test_what_frames_cost_together_is_shared_out_by_their_people() -> None:
    alone, together = StageTimes(detect=4, total=4), StageTimes(pose=6, crop=2, total=8)
    times = alone.plus(together, 0.25)
    assert (times.detect, times.pose, times.crop, times.total) == (4, 1.5, 0.5, 6)


def test_a_network_that_does_not_close_leaves_the_other_closed() -> None:
    networks = fake_networks([1])
    networks.detector.close = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        networks.close()
    assert networks.estimator.closed


def test_closing_closes_both_networks() -> None:
    networks = fake_networks()
    with PosePipeline(networks=networks):
        pass
    assert networks.detector.closed
    assert networks.estimator.closed


def test_own_boxes_may_reach_over_the_edge() -> None:
    with PosePipeline(networks=fake_networks()) as pipeline:
        poses = pipeline.estimate(IMAGE, [[-10, -10, 20, 20], [30, 10, 90, 60]])
        assert poses.keypoints[:, 0].tolist() == [[5, 5], [60, 35]]
        assert len(pipeline.estimate(IMAGE, [])) == 0


@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        (
            [[0, 0, 5, 5], [0, np.nan, 5, 5]],
            r"box 1, \[0.0, nan, 5.0, 5.0\], has numbers that are not finite",
        ),
        ([[5, 0, 5, 5]], "box 0.* has no area"),
        ([[0, 5, 5, 0]], "box 0.* has no area"),
        ([[64, 0, 70, 5]], "lies outside the picture of 64x48"),
        ([[-9, -9, 0, 5]], "lies outside the picture"),
        ([[1, 2, 3]], r"boxes are \(N, 4\) numbers"),
        ("nonsense", r"boxes are \(N, 4\) numbers"),
    ],
)
def test_a_box_that_is_none_is_named(boxes, words) -> None:
    with pytest.raises(BadInput, match=words):
        check_boxes(boxes, IMAGE)


def test_a_picture_that_is_none_is_refused() -> None:
    with PosePipeline(networks=fake_networks()) as pipeline:
        with pytest.raises(BadInput, match=r"an image is \(H, W, 3\)"):
            pipeline.process(IMAGE.astype(np.float32))
        with pytest.raises(BadInput, match=r"an image is \(H, W, 3\)"):
            pipeline.estimate(IMAGE[..., 0], [[0, 0, 5, 5]])
