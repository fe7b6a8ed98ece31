"""The loop, around networks that are fakes."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import hrpose_rt
from hrpose_rt.config import Settings
from hrpose_rt.errors import BadInput
from hrpose_rt.networks import Networks
from hrpose_rt.pipeline import PosePipeline
from hrpose_rt.skeleton import COCO17, SKELETONS, Skeleton, find_skeleton
from hrpose_rt.types import STAGES, Detections, Frame, StageTimes, check_boxes
from tests.fakes import FakeDetector, FakeEstimator, FakeSource, fake_networks

IMAGE = np.zeros((48, 64, 3), np.uint8)


def test_pipeline_with_zero_people_gives_empty_arrays() -> None:
    with PosePipeline(networks=fake_networks([0])) as pipeline:
        result = pipeline.process(IMAGE)
    assert len(result) == 0
    assert result.poses.keypoints.shape == (0, 17, 2)
    assert result.track_ids.shape == (0,)


def test_session_rows_of_boxes_and_poses_are_the_same_person() -> None:
    with PosePipeline(networks=fake_networks([5])) as pipeline, pipeline.session() as session:
        for _ in range(3):
            result = session.process(IMAGE)
    centres = (result.detections.boxes[:, :2] + result.detections.boxes[:, 2:]) / 2
    np.testing.assert_allclose(result.poses.keypoints[:, 0], centres)
    assert sorted(result.track_ids.tolist()) == [0, 1, 2, 3, 4]


def test_pipeline_stage_times_add_up_to_total() -> None:
    with PosePipeline(networks=fake_networks([3])) as pipeline:
        times = pipeline.process(IMAGE).times
    assert sum(getattr(times, name) for name in STAGES) == pytest.approx(times.total)
    assert times.detect > 0
    assert times.pose > 0


def test_session_numbers_images_and_keeps_frame_numbers() -> None:
    with PosePipeline(networks=fake_networks()) as pipeline, pipeline.session(fps=25) as session:
        frames = [session.process(IMAGE).frame for _ in range(3)]
        assert [(frame.index, frame.time_s) for frame in frames] == [(0, 0.0), (1, 0.04), (2, 0.08)]
        assert session.process(Frame(40, IMAGE, 1.6, 0.0)).frame.index == 40


def test_pipeline_single_images_get_no_track_ids_and_no_smoothing() -> None:
    detector = MarkedDetector()
    with PosePipeline(networks=marked_networks(detector)) as pipeline:
        with pipeline.session() as video:
            ids = [video.process(np.full_like(IMAGE, 21)).track_ids.tolist() for _ in range(3)]
        assert ids == [[-1], [0], [0]]
        for level in (2, 3, 2):
            result = pipeline.process(np.full_like(IMAGE, level))
            assert (result.frame.index, result.track_ids.tolist()) == (0, [-1] * level)
            np.testing.assert_array_equal(result.poses.keypoints[:, 0], level)  # nothing holds them back


def test_pipeline_interleaved_streams_equal_separate_runs() -> None:
    def said(result) -> tuple[int, list[int], list[float]]:
        return result.frame.index, result.track_ids.tolist(), result.poses.keypoints.ravel().tolist()

    with PosePipeline(networks=fake_networks([3])) as pipeline:
        videos = FakeSource(frames=5), FakeSource(frames=5, hw=(96, 64))
        alone = [[said(result) for result in pipeline.stream(video)] for video in videos]
        both = list(zip(*(pipeline.stream(video) for video in videos), strict=True))
    assert [[said(pair[i]) for pair in both] for i in (0, 1)] == alone
    assert alone[0][-1][1] == [0, 1, 2]


class MarkedDetector(FakeDetector):
    """As many people as the picture's level says, each with boxes that say the level, too; in no hurry."""

    def __init__(self) -> None:
        super().__init__()
        self.at_work, self.most_at_work = 0, 0

    def detect(self, image, clock, tiles=()) -> Detections:
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        time.sleep(0.001)
        n, level = int(image[0, 0, 0]) % 5, float(image[0, 0, 0])
        boxes = np.tile(np.array([level - 5, level - 5, level + 5, level + 5], np.float32), (n, 1))
        self.at_work -= 1
        return Detections.found(boxes, np.full(n, 0.9, np.float32))


def marked_networks(detector: MarkedDetector) -> Networks:
    return Networks(detector, FakeEstimator(), COCO17, {})


def test_pipeline_shared_by_threads_gives_each_its_own_people() -> None:
    detector = MarkedDetector()

    def people(level: int) -> list[float]:
        result = pipeline.process(np.full((48, 64, 3), level, np.uint8))
        return result.poses.keypoints[:, 0, 0].tolist()

    with PosePipeline(networks=marked_networks(detector)) as pipeline, ThreadPoolExecutor(8) as pool:
        levels = [i % 40 for i in range(80)]
        assert list(pool.map(people, levels)) == [[float(level)] * (level % 5) for level in levels]
    assert detector.most_at_work == 1


def test_session_shared_by_threads_numbers_frames_once() -> None:
    with (
        PosePipeline(networks=fake_networks([2])) as pipeline,
        pipeline.session() as session,
        ThreadPoolExecutor(4) as pool,
    ):
        results = list(pool.map(lambda _: session.process(IMAGE), range(20)))
    assert sorted(result.frame.index for result in results) == list(range(20))


def test_pipeline_unfinished_stream_does_not_block_other_threads() -> None:
    with PosePipeline(networks=fake_networks([2])) as pipeline:
        video = pipeline.stream(FakeSource(frames=9))
        next(video)  # waits at its yield
        with ThreadPoolExecutor(1) as pool:
            assert len(pool.submit(pipeline.process, IMAGE).result(timeout=10)) == 2


def test_pipeline_and_session_reject_use_after_close() -> None:
    pipeline = PosePipeline(networks=fake_networks())
    session, video = pipeline.session(), pipeline.stream(FakeSource())
    session.process(IMAGE), next(video)
    session.close(), session.close()
    assert pipeline.tracking_stats()["frames"] == 1
    with pytest.raises(BadInput, match="the session is closed: begin another"):
        session.process(IMAGE)
    pipeline.close(), pipeline.close()
    for use in (
        lambda: pipeline.process(IMAGE),
        lambda: pipeline.estimate(IMAGE, [[0, 0, 9, 9]]),
        lambda: pipeline.session().process(IMAGE),
        lambda: next(video),
    ):
        with pytest.raises(BadInput, match="the pipeline is closed"):
            use()


def test_session_rejects_invalid_fps() -> None:
    with PosePipeline(networks=fake_networks()) as pipeline:
        for fps in (0, -1, float("nan"), float("inf"), "25", None, [25]):
            with pytest.raises(BadInput, match="fps is how many pictures there are a second"):
                pipeline.session(fps)
            with pytest.raises(BadInput, match="fps is how many pictures there are a second"):
                pipeline.begin(replace(FakeSource().info, fps=fps))


def test_stream_waits_for_source_that_answers_late() -> None:
    class Late(FakeSource):
        def __iter__(self) -> Iterator[Frame]:
            self.info = replace(self.info, width=64, height=48)
            yield from super().__iter__()

    source = Late()
    source.info = replace(source.info, width=0, height=0)
    with PosePipeline(Settings(tiles="2x2"), networks=fake_networks()) as pipeline:
        assert [len(result) for result in pipeline.stream(source)] == [2, 2, 2]


def test_pipeline_closes_networks_when_budget_probe_fails(monkeypatch) -> None:
    networks = fake_networks()
    networks.estimator.estimate = lambda *_: 1 / 0
    monkeypatch.setattr("hrpose_rt.pipeline.open_networks", lambda _: networks)
    with pytest.raises(ZeroDivisionError):
        PosePipeline(Settings(budget_ms=30))
    assert networks.detector.closed and networks.estimator.closed


def test_pipeline_tiles_fit_size_of_each_image() -> None:
    asked = []

    class Asked(FakeDetector):
        def detect(self, image, clock, tiles=()):
            asked.append((image.shape[1], max(tile[2] for tile in tiles)))
            return super().detect(image, clock, tiles)

    networks = Networks(Asked(), FakeEstimator(), COCO17, {})
    with PosePipeline(Settings(tiles="2x2"), networks) as pipeline, pipeline.session() as session:
        for video in (session, pipeline):
            video.process(np.zeros((240, 320, 3), np.uint8))
            video.process(np.zeros((200, 300, 3), np.uint8))
    assert asked == [(320, 320), (300, 300)] * 2


def test_session_is_not_affected_by_changes_to_its_results() -> None:
    with PosePipeline(Settings(detect_every=3), fake_networks([2])) as pipeline:
        with pipeline.session() as session:
            first = session.process(IMAGE)
            for array in (first.detections.boxes, first.detections.scores, first.detections.origin):
                array[:] = 0
            first.poses.keypoints[:], first.poses.scores[:], first.track_ids[:] = 0, 0, 7
            second = session.process(IMAGE)
    np.testing.assert_allclose(second.detections.scores, 0.9)
    assert second.track_ids.tolist() == [-1, -1] and second.poses.scores.min() > 0.7


def test_pipeline_restarts_track_ids_for_each_source() -> None:
    with PosePipeline(networks=fake_networks([2])) as pipeline:
        for _ in range(2):
            *_, last = pipeline.stream(FakeSource(frames=4))
            assert sorted(last.track_ids.tolist()) == [0, 1]


def test_pipeline_stream_all_equals_separate_streams() -> None:
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


def test_stage_times_plus_adds_share_of_batch() -> None:
    alone, together = StageTimes(detect=4, total=4), StageTimes(pose=6, crop=2, total=8)
    times = alone.plus(together, 0.25)
    assert (times.detect, times.pose, times.crop, times.total) == (4, 1.5, 0.5, 6)


def test_networks_close_estimator_when_detector_close_fails() -> None:
    networks = fake_networks([1])
    networks.detector.close = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        networks.close()
    assert networks.estimator.closed


def test_pipeline_close_closes_both_networks() -> None:
    networks = fake_networks()
    with PosePipeline(networks=networks):
        pass
    assert networks.detector.closed
    assert networks.estimator.closed


def test_pipeline_estimate_accepts_boxes_beyond_image_edge() -> None:
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
        ([[0, 0, 5, 5, 0.9]] * 4, r"boxes are \(N, 4\) numbers.* these are \(4, 5\)"),
        ([[0, 0, 1e300, 1e300]], "has numbers that are not finite"),
        ([[-3e38, -3e38, 3e38, 3e38]], r"reaches farther than 1e\+06 pixels"),
        ([[1, 2, 3]], r"boxes are \(N, 4\) numbers"),
        ("nonsense", r"boxes are \(N, 4\) numbers"),
    ],
)
def test_check_boxes_rejects_invalid_boxes(boxes, words) -> None:
    with pytest.raises(BadInput, match=words):
        check_boxes(boxes, IMAGE)


def test_pipeline_rejects_image_of_wrong_dtype_or_shape() -> None:
    with PosePipeline(networks=fake_networks()) as pipeline:
        with pytest.raises(BadInput, match=r"an image is \(H, W, 3\)"):
            pipeline.process(IMAGE.astype(np.float32))
        with pytest.raises(BadInput, match=r"an image is \(H, W, 3\)"):
            pipeline.estimate(IMAGE[..., 0], [[0, 0, 5, 5]])


def test_pipeline_rejects_estimator_with_too_few_poses() -> None:
    networks = fake_networks([2])
    networks.estimator.estimate_all = lambda images, boxes, clock: [
        FakeEstimator().estimate(image, of[:1], clock) for image, of in zip(images, boxes, strict=True)
    ]
    with PosePipeline(networks=networks) as pipeline:
        with pytest.raises(BadInput, match="the estimator gave 1 poses for 2 boxes"):
            pipeline.process(IMAGE)


def test_pipeline_rejects_detector_with_wrong_result_type() -> None:
    networks = fake_networks([2])
    for answer, words in (
        (lambda: [[0, 0, 9, 9]], "the detector gave list, Detections are needed"),
        (lambda: Detections.found([[0, 0, 9, 9]], [0.9]), "boxes is a NumPy array, not list"),
    ):
        networks.detector.detect = lambda *_, answer=answer: answer()
        with pytest.raises(BadInput, match=words):
            PosePipeline(networks=networks).process(IMAGE)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pose": None}, "`pose` is None: expected str, got None"),
        ({"device": 0}, "`device` is 0: expected str, got int"),
        ({"flip_test": "no"}, "`flip_test` is 'no': expected bool, got str"),
        ({"smooth": 1}, "`smooth` is 1: expected bool, got int"),
        ({"max_people": True}, "`max_people` is True: expected int, got bool"),
        ({"detect_every": 2.5}, r"`detect_every` is 2\.5: expected int | None, got float"),
        ({"detect_every": float("nan")}, "`detect_every` is nan"),
        ({"det_score": "0.3"}, r"`det_score` is '0\.3': expected float, got str"),
        ({"input_hw": (256, 192, 3)}, "`input_hw` is"),
    ],
)
def test_settings_reject_wrong_types(changes, words) -> None:
    with pytest.raises(BadInput, match=words):
        Settings(**changes)


def test_settings_accept_paths_skeletons_and_numpy_numbers(monkeypatch) -> None:
    monkeypatch.setattr("hrpose_rt.skeleton.SKELETONS", dict(SKELETONS))  # where it becomes known
    mine = Skeleton("mine", ("a", "b"), ((0, 1),), ())
    settings = Settings(
        pose=Path("net.pth"),
        skeleton=mine,
        max_people=np.int64(3),
        det_score=np.float32(0.5),
        input_hw=[256, 192],
        budget_ms=40,
    )
    assert settings.pose == "net.pth" and find_skeleton(settings.skeleton) is mine
    assert (settings.max_people, settings.det_score, settings.input_hw) == (3, 0.5, (256, 192))
    assert type(settings.max_people) is int and type(settings.budget_ms) is float
    with pytest.raises(BadInput, match="another skeleton is called mine"):
        Settings(skeleton=Skeleton("mine", ("a", "c"), (), ()))


@pytest.mark.parametrize("settings", ["hrnet-w16-lite", None, {"pose": "hrnet-w16-lite"}])
def test_pipeline_rejects_settings_of_other_type(settings) -> None:
    with pytest.raises(BadInput, match="`settings` are a Settings, not"):
        PosePipeline(settings)


def test_pipeline_stream_accepts_path_or_str_and_rejects_others(video: Path) -> None:
    with PosePipeline(networks=fake_networks()) as pipeline:
        assert [len(list(pipeline.stream(given))) for given in (video, str(video))] == [10, 10]
        for given in (None, True, 2.5, IMAGE, [IMAGE], iter([IMAGE]), b"video.mp4"):
            with pytest.raises(BadInput, match=r"not \w+: give images to `process`, frames of"):
                next(pipeline.stream(given))
        with pytest.raises(BadInput, match="the source has no name"):
            next(pipeline.stream(""))
        with pytest.raises(BadInput, match="there is no camera 77"):
            next(pipeline.stream(77))


def test_frame_rejects_nan_time_and_converts_numpy_numbers() -> None:
    with pytest.raises(BadInput, match="time_s is a finite number of seconds, not nan"):
        Frame(0, IMAGE, float("nan"), 0.0)
    with PosePipeline(networks=fake_networks()) as pipeline:
        line = pipeline.process(Frame(np.int64(3), IMAGE, np.float32(0.5), 0.0)).to_dict()
    assert json.loads(json.dumps(line))["frame"] == 3 and line["time_s"] == 0.5


def test_results_are_compared_by_identity() -> None:
    with PosePipeline(networks=fake_networks()) as pipeline:
        one, other = pipeline.process(IMAGE), pipeline.process(IMAGE)
    assert one == one and one != other and one in [other, one] and len({one, other}) == 2


def test_public_names_are_listed_by_dir() -> None:
    assert set(dir(hrpose_rt)) == set(hrpose_rt.__all__)


@pytest.mark.slow
def test_type_checkers_accept_lists_of_paths_arrays_and_both(tmp_path: Path) -> None:
    from mypy import api

    (tmp_path / "user.py").write_text(
        """from pathlib import Path
import numpy as np
from numpy.typing import NDArray
from hrpose_rt import FrameResult, PosePipeline

def use(pipeline: PosePipeline, names: list[str], files: list[Path], images: list[NDArray[np.uint8]]
) -> None:
    several: list[FrameResult] = pipeline.process(names) + pipeline.process(files)
    several = pipeline.process(images)
    several = pipeline.process(["a.jpg", Path("b.jpg"), images[0]])
    one: FrameResult = pipeline.process("a.jpg")
"""
    )
    out, error, status = api.run(
        ["--strict", "--cache-dir", str(tmp_path / "cache"), str(tmp_path / "user.py")]
    )
    assert status == 0, out + error
