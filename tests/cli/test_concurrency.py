"""Reading and writing beside the networks: what it gains, and that it changes no result."""

import json
import time
from contextlib import nullcontext

import av
import cv2
import numpy as np
import pytest
from rich.console import Console

from hrpose_rt.cli import job as job_module
from hrpose_rt.cli.display import LiveView
from hrpose_rt.cli.job import RunJob
from hrpose_rt.networks import Networks
from hrpose_rt.pipeline import PosePipeline
from hrpose_rt.skeleton import COCO17
from hrpose_rt.sources.open import open_source
from hrpose_rt.timing import LatencyTable
from tests.fakes import RUN, FakeDetector, FakeEstimator

NETWORK_S = 0.005  # a fast GPU


class SleepingDetector(FakeDetector):
    def detect(self, *args, **kwargs):
        time.sleep(NETWORK_S)
        return super().detect(*args, **kwargs)


class SleepingEstimator(FakeEstimator):
    def estimate(self, *args, **kwargs):
        time.sleep(NETWORK_S)
        return super().estimate(*args, **kwargs)


def frames_per_second(video, folder, serial: bool, monkeypatch) -> float:
    texts = dict.fromkeys(("csv", "csv_long", "coco", "mot"), None) | {"json": str(folder / "out.jsonl")}
    table, view = LatencyTable(), LiveView(Console(quiet=True, stderr=True))
    networks = Networks(SleepingDetector([3]), SleepingEstimator(), COCO17, RUN)
    with monkeypatch.context() as patch, PosePipeline(networks=networks) as pipeline:
        if serial:
            patch.setattr(job_module, "read_ahead", lambda source, times: nullcontext(source))
        with open_source(video) as source:
            job = RunJob([source], str(folder / "out.mp4"), texts, overwrite=True, audio=False)
            begin = time.perf_counter()
            job.run(pipeline, table, view, [], in_caller=serial)
            return table.frames / (time.perf_counter() - begin)


@pytest.mark.slow
def test_reading_and_writing_beside_fast_networks_raises_the_frame_rate(tmp_path, monkeypatch) -> None:
    video = write_noise(tmp_path / "video.mp4")
    lines, ratios = [], []
    for _ in range(3):
        serial = frames_per_second(video, tmp_path, True, monkeypatch)
        lines.append(people_of(tmp_path / "out.jsonl"))
        beside = frames_per_second(video, tmp_path, False, monkeypatch)
        lines.append(people_of(tmp_path / "out.jsonl"))
        ratios.append(beside / serial)
    assert all(people == lines[0] for people in lines)
    assert max(ratios) > 1.3, ratios  # on two cores that do nothing else


def people_of(path) -> list:
    return [json.loads(line)["people"] for line in path.read_text().splitlines()[1:]]


def write_noise(path):
    """720p of moving, blurred noise, which takes about as long to decode and encode as a scene."""
    rng = np.random.default_rng(0)
    big = cv2.GaussianBlur(rng.integers(0, 256, (800, 1400, 3), np.uint8), (0, 0), 6)
    big = cv2.normalize(big, None, 0, 255, cv2.NORM_MINMAX)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        for i in range(60):
            picture = np.ascontiguousarray(big[i : i + 720, i : i + 1280])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode(None))
    return path
