"""A budget on a clock that only moves when somebody works."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from hrpose_rt.budget import LatencyModel, measure_pose_latency
from hrpose_rt.config import Settings
from hrpose_rt.pipeline import PosePipeline
from hrpose_rt.skeleton import COCO17
from hrpose_rt.stream_state import StreamState, open_stream_state
from hrpose_rt.timing import StageClock
from hrpose_rt.types import Detections, Frame, Poses, SourceInfo
from tests.fakes import FakeDetector, FakeEstimator, fake_networks

INFO = SourceInfo("fake", "fake", 1280, 720, 25.0, None, is_video=True, is_live=False)
IMAGE = np.zeros((720, 1280, 3), np.uint8)


class Time:
    """A clock that work turns."""

    def __init__(self) -> None:
        self.ms = 0.0

    def __call__(self) -> float:
        return self.ms / 1e3


class SlowDetector(FakeDetector):
    def __init__(self, time: Time, people: int) -> None:
        super().__init__([people])
        self._time = time

    def detect(self, image, clock, tiles=()) -> Detections:
        self._time.ms += 9.0
        row, column = np.divmod(np.arange(self._crowds[0]), 20)
        x, y = 60.0 * column, 70.0 * row
        boxes = np.stack([x, y, x + 30, y + 60], axis=1).astype(np.float32)
        return Detections.found(boxes, np.full(len(boxes), 0.9, np.float32))


class SlowEstimator(FakeEstimator):
    def __init__(self, time: Time) -> None:
        super().__init__()
        self._time = time

    def estimate(self, image, boxes, clock) -> Poses:
        self._time.ms += 2.0 * len(boxes)
        return super().estimate(image, boxes, clock)


def run(
    people: int, budget_ms: float, frames: int = 60
) -> tuple[list[float], list[np.ndarray], StreamState]:
    """What each frame took, and how old each pose was."""
    clock = Time()
    detector, estimator = SlowDetector(clock, people), SlowEstimator(clock)
    latency = measure_pose_latency(estimator, clock)
    state = open_stream_state(Settings(budget_ms=budget_ms), INFO, detector, COCO17, latency, clock)
    spent, ages = [], []
    for i in range(frames):
        begin = clock.ms
        frame = Frame(i, IMAGE, i / 25, 0.0)
        rows = state.begin_frame(frame, detector, StageClock())
        poses = estimator.estimate(IMAGE, state.boxes[rows], StageClock())
        tracked = state.finish_frame(rows, poses, StageClock())
        assert len(tracked.detections) == len(tracked) == len(tracked.poses) == people  # nobody is dropped
        spent.append(clock.ms - begin)
        ages.append(tracked.poses.age)
    return spent, ages, state


@pytest.mark.parametrize("people", [3, 20, 60, 200])
def test_session_frame_never_exceeds_budget(people: int) -> None:
    spent, _, _ = run(people, 33.0)
    assert max(spent) <= 33.0


def test_session_with_enough_budget_limits_pose_age() -> None:
    _, ages, state = run(20, 33.0)
    assert all(age.max() <= 10 for age in ages[12:])
    assert not state.over_budget
    counts = state.stats()
    assert counts["frames"] == counts["frames_with_detection"] == 60  # 9 ms are less than .3 of 33


def test_session_reports_too_small_budget() -> None:
    _, ages, state = run(200, 12.0)
    assert state.over_budget
    assert (ages[0] == -1).sum() > 100  # never posed: a box and no keypoints


def test_session_tiles_ms_is_share_of_detector_batch() -> None:
    clock = Time()
    detector = SlowDetector(clock, 3)
    state = open_stream_state(Settings(tiles="1x2"), INFO, detector, COCO17, LatencyModel(), clock)
    for i in range(4):  # 9 ms for three pictures, two of which are tiles
        rows = state.begin_frame(Frame(i, IMAGE, i / 25, 0.0), detector, StageClock())
        poses = FakeEstimator().estimate(IMAGE, state.boxes[rows], StageClock())
        state.finish_frame(rows, poses, StageClock())
    assert (state.stats()["tiles"], state.stats()["tiles_ms"]) == (8, 24.0)


def test_session_warns_once_about_too_small_budget(capsys) -> None:
    networks = fake_networks([30])
    clock_free = PosePipeline(Settings(budget_ms=1e-3, max_pose_age=1), networks)
    session = clock_free.begin(INFO)
    for i in range(20):
        result = session.process(Frame(i, IMAGE, i / 25, 0.0))
        assert len(result) == 30
    assert capsys.readouterr().err.count("a budget of 0.001 ms is too small to refresh every pose") == 1


def test_session_of_single_images_gives_no_track_ids() -> None:
    pictures = replace(INFO, is_video=False)
    state = open_stream_state(Settings(), pictures, FakeDetector([2]), COCO17, LatencyModel())
    frame = Frame(0, IMAGE, 0.0, 0.0)
    rows = state.begin_frame(frame, FakeDetector([2]), StageClock())
    poses = FakeEstimator().estimate(IMAGE, state.boxes, StageClock())
    tracked = state.finish_frame(rows, poses, StageClock())
    assert tracked.track_ids.tolist() == [-1, -1] and tracked.poses is poses
    assert state.stats() == {}


def test_first_frame_does_not_wait_for_opencv_to_build_colour_tables() -> None:
    """In a process of its own, because the tables are built once in each."""
    code = (
        "import numpy as np\n"
        "from hrpose_rt.pipeline import PosePipeline\n"
        "from tests.fakes import fake_networks\n"
        "from tests.test_stream_state import IMAGE, INFO, Frame\n"
        "with PosePipeline(networks=fake_networks([3])) as pipeline, pipeline.begin(INFO) as session:\n"
        "    session._state._helper.submit(int).result()  # the detector's warm-up takes longer\n"
        "    print(session.process(Frame(0, IMAGE, 0.0, 0.0)).times.track)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 60  # milliseconds: 1 to 5 with tables, 120 to 250 without
