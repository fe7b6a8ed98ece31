"""Many threads of somebody's program, for a while: nobody gets another's people, and nothing piles up.

HRPOSE_SOAK_S says for how many seconds; five minutes are a soak.
"""

import contextlib
import ctypes
import gc
import os
import random
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import av
import numpy as np
import pytest

from hrpose_rt.config import Settings
from hrpose_rt.errors import BadInput
from hrpose_rt.networks import Networks
from hrpose_rt.pipeline import PosePipeline
from hrpose_rt.pose.estimator import HostPoseEstimator
from hrpose_rt.result import FrameResult
from hrpose_rt.sinks.recorder import Recorder
from hrpose_rt.skeleton import COCO17
from hrpose_rt.sources.open import open_source
from hrpose_rt.timing import LatencyTable
from hrpose_rt.types import Detections
from tests.fakes import FakeDetector, FakeRuntime
from tests.pose.test_estimator import SPEC, brightest_pixel

SECONDS = float(os.environ.get("HRPOSE_SOAK_S", "12"))
THREADS = 16
H, W = 120, 160


def marked(rng: random.Random) -> np.ndarray:
    """A dark picture with one person in it: a bright spot at a place of its own."""
    image = np.zeros((H, W, 3), np.uint8)
    y, x = rng.randrange(30, H - 30), rng.randrange(30, W - 30)
    image[y - 1 : y + 2, x - 1 : x + 2] = 255
    return image


def spot(image: np.ndarray) -> tuple[int, int]:
    y, x = np.unravel_index(image[..., 0].argmax(), (H, W))
    return int(x), int(y)


class SpotDetector(FakeDetector):
    """Finds the person around the spot; the box is somewhere about it."""

    def detect(self, image, clock, tiles=()) -> Detections:
        x, y = spot(image)
        time.sleep(0.0005)  # others get their turn here
        box = np.array([[x - 30, y - 40, x + 30, y + 40]], np.float32)
        return Detections.found(box, np.full(1, 0.9, np.float32))


def right(result: FrameResult) -> None:
    """The joints are where the picture's own spot is; a cell of the heatmap is two pixels."""
    points = result.poses.keypoints[result.poses.fresh]
    assert np.abs(points - np.array(spot(result.frame.image))).max(initial=0) < 8


def write_marked(path: Path, seed: int) -> Path:
    rng = random.Random(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "10", "g": "5"})
        stream.width, stream.height, stream.pix_fmt = W, H, "yuv420p"
        for _ in range(30):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(marked(rng), format="bgr24")))
        container.mux(stream.encode(None))
    return path


class Full:
    """A sink whose disk is full after some frames."""

    wants_picture = True

    def __init__(self, room: int) -> None:
        self._room = room

    def write(self, result, picture) -> None:
        self._room -= 1
        if self._room < 0:
            raise OSError(28, "No space left on device")

    def close(self) -> None: ...


def pictures(pipeline: PosePipeline, rng: random.Random, videos: list[Path]) -> None:
    for _ in range(5):
        right(pipeline.process(marked(rng)))


def session_left(pipeline: PosePipeline, rng: random.Random, videos: list[Path]) -> None:
    session = pipeline.session(fps=25)
    for _ in range(rng.randrange(8)):
        right(session.process(marked(rng)))
    if rng.random() < 0.5:
        session.close()


def video_left(pipeline: PosePipeline, rng: random.Random, videos: list[Path]) -> None:
    with open_source(str(rng.choice(videos))) as source, closing(pipeline.stream(source)) as results:
        for _, result in zip(range(rng.randrange(30)), results, strict=False):
            right(result)


def video_closed_by_another(pipeline: PosePipeline, rng: random.Random, videos: list[Path]) -> None:
    source = open_source(str(rng.choice(videos)))
    timer = threading.Timer(rng.random() * 0.05, source.close)
    timer.start()
    try:
        for result in pipeline.stream(source):
            right(result)
    except BadInput as error:
        assert "is closed" in str(error)
    finally:
        timer.join()
        source.close()


def several_left(pipeline: PosePipeline, rng: random.Random, videos: list[Path]) -> None:
    with open_source(str(videos[0])) as a, open_source(str(videos[1])) as b:
        with closing(pipeline.stream_all([a, b])) as results:
            for _, (_, result) in zip(range(rng.randrange(20)), results, strict=False):
                right(result)


def sink_that_raises(pipeline: PosePipeline, rng: random.Random, videos: list[Path]) -> None:
    with open_source(str(rng.choice(videos))) as source:
        with pytest.raises(OSError, match="No space"), Recorder([Full(3)], LatencyTable()) as recorder:
            for result in recorder.record(pipeline.stream(source)):
                right(result)


WORK: list[Callable[[PosePipeline, random.Random, list[Path]], None]] = [
    *(pictures, session_left, video_left),
    *(video_closed_by_another, several_left, sink_that_raises),
]


def soak(pipeline: PosePipeline, videos: list[Path], seconds: float) -> None:
    """All threads at work, for so long; the first of their errors is ours."""
    until, errors = time.monotonic() + seconds, list[BaseException]()

    def work(seed: int) -> None:
        rng = random.Random(seed)
        try:
            while time.monotonic() < until and not errors:
                rng.choice(WORK)(pipeline, rng, videos)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def held() -> tuple[int, int, int]:
    """Threads, open files and resident pages of this process."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # what malloc keeps for the next is held by nobody
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return threading.active_count(), len(os.listdir("/proc/self/fd")), pages


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 300)
@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's /proc")
def test_soak_threads_share_pipeline_without_leaks(tmp_path: Path) -> None:
    videos = [write_marked(tmp_path / f"{seed}.mp4", seed) for seed in range(4)]
    estimator = HostPoseEstimator(FakeRuntime(brightest_pixel), SPEC)
    networks = Networks(SpotDetector(), estimator, COCO17, {})
    with PosePipeline(Settings(smooth=False), networks) as pipeline:
        soak(pipeline, videos, SECONDS / 3)
        threads, files, pages = held()
        soak(pipeline, videos, SECONDS * 2 / 3)
        assert held()[:2] == (threads, files)
        assert held()[2] <= 1.1 * pages
