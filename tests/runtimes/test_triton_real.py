"""Runs on a Triton server of NVIDIA's: the poses of a local run, with the server killed in between."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from hrpose_rt.cli.main import build_app
from hrpose_rt.config import Settings
from hrpose_rt.errors import BadInput
from hrpose_rt.export.engines import export
from hrpose_rt.export.request import ExportRequest
from hrpose_rt.export.triton import add_to_repository
from hrpose_rt.nets.zoo import find_model
from hrpose_rt.pipeline import PosePipeline
from hrpose_rt.result import FrameResult
from hrpose_rt.runtimes import triton_server
from tests.runtimes.triton_real import TritonProcess, find_server

pytestmark = pytest.mark.slow
NETWORKS = {"hrnet-w16-lite": "pose", "yolo26n-person": "detection"}
FRAMES = 12
TOKEN = "a-secret"
LOCKED = "--grpc-restricted-protocol=inference,model-config,model-repository,shared-memory:authorization="


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    """The embedded networks for the Python backend."""
    folder = tmp_path_factory.mktemp("triton")
    find_server(folder)  # before it takes time
    for name, task in NETWORKS.items():
        request = ExportRequest("openvino", folder=folder / "engines", verify=False, free_hw=True)
        engine = export(find_model(name, task), task, request)
        add_to_repository(engine, folder / "repository", "python", max_batch=16)
    return folder / "repository"


@pytest.fixture(scope="module")
def server(repository, tmp_path_factory) -> Iterator[TritonProcess]:
    with TritonProcess(repository, tmp_path_factory.mktemp("server")) as process:
        yield process


@pytest.fixture(scope="module")
def frames(photos) -> list[np.ndarray]:
    """Four people who move to the left."""
    image = cv2.resize(cv2.imread(str(photos / "bus.jpg")), (405, 540))
    return [np.ascontiguousarray(np.roll(image, -3 * i, axis=1)) for i in range(FRAMES)]


@pytest.fixture(scope="module")
def local(frames) -> list[FrameResult]:
    """What the same networks find in this process."""
    with PosePipeline(Settings(runtime="openvino", precision="fp32")) as pipeline:
        return run(pipeline, frames)


def run(pipeline: PosePipeline, frames: list[np.ndarray], events=None) -> list[FrameResult]:
    """The results; before a frame with an event, that is called."""
    results = []
    with pipeline.session(fps=10) as session:
        for i, frame in enumerate(frames):
            if events and i in events:
                events[i]()
            results.append(session.process(frame))
    return results


def assert_same_people(results: list[FrameResult], expected: list[FrameResult]) -> None:
    assert len(results) == len(expected)
    for result, other in zip(results, expected, strict=True):
        assert len(result) == len(other) >= 2
        np.testing.assert_array_equal(result.track_ids, other.track_ids)
        np.testing.assert_allclose(result.detections.boxes, other.detections.boxes, atol=0.05)
        np.testing.assert_allclose(result.poses.keypoints, other.poses.keypoints, atol=0.05)
        np.testing.assert_allclose(result.poses.scores, other.poses.scores, atol=1e-3)


def on(server: TritonProcess) -> Settings:
    return Settings(runtime="triton", url=server.url)


def test_poses_are_those_of_a_local_run(server, frames, local) -> None:
    with PosePipeline(on(server)) as pipeline:
        assert pipeline.info.pose.precision == "fp32" and pipeline.info.pose.device == "server"
        assert_same_people(run(pipeline, frames), local)
        runtime = pipeline._networks.estimator._runtime
        assert runtime._images and runtime._results  # both passed through shared memory


def test_poses_are_the_same_without_shared_memory(server, frames, local, monkeypatch) -> None:
    monkeypatch.setattr(triton_server, "_is_loopback", lambda target: False)
    with PosePipeline(on(server)) as pipeline:
        assert_same_people(run(pipeline, frames), local)
        assert pipeline._networks.estimator._runtime._images is None


@pytest.mark.parametrize("end", [TritonProcess.kill, TritonProcess.terminate])
def test_server_that_ends_and_starts_is_waited_for_and_no_frame_is_lost(
    end, server, frames, local, capsys
) -> None:
    def restart() -> None:
        end(server)
        time.sleep(1)
        server.start()

    thread = threading.Thread(target=restart)
    with PosePipeline(on(server)) as pipeline:
        results = run(pipeline, frames, {5: thread.start})
        thread.join()
        assert_same_people(results, local)
        outages = pipeline.info.outages
        assert outages.count == 1 and outages.away_s > 1
        assert pipeline._networks.estimator._runtime._results  # memory is shared again
    away, back = capsys.readouterr().err.strip().splitlines()
    assert away.startswith(server.url) and away.endswith("it is tried for 60 s")
    assert "answers after" in back


def test_server_that_hangs_is_waited_for(server, frames, local, monkeypatch) -> None:
    monkeypatch.setattr(triton_server, "CALL_S", 1.0)

    def hang() -> None:
        server.send(signal.SIGSTOP)
        threading.Timer(2.5, server.send, [signal.SIGCONT]).start()

    with PosePipeline(on(server)) as pipeline:
        for network in (pipeline._networks.detector, pipeline._networks.estimator):
            network._runtime._server._call_s = 1.0
        assert_same_people(run(pipeline, frames, {5: hang}), local)
        assert pipeline.info.outages.count == 1 and pipeline.info.outages.away_s > 1


def test_crops_of_two_runs_share_batches(server, frames, local) -> None:
    def counts() -> np.ndarray:
        names = ("nv_inference_request_success", "nv_inference_exec_count")
        return np.array([server.metric(name, "hrnet-w16-lite") for name in names])

    before, results = counts(), {}

    def one(i: int) -> None:
        with PosePipeline(on(server)) as pipeline:
            for _ in range(3):
                results[i] = run(pipeline, frames)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for found in results.values():
        assert_same_people(found, local)
    requests, batches = counts() - before
    assert requests >= 4 * 3 * FRAMES and batches < requests


def test_token_that_triton_checks_itself(repository, tmp_path, monkeypatch, frames, local) -> None:
    monkeypatch.delenv(triton_server.TOKEN_VARIABLE, raising=False)
    with TritonProcess(repository, tmp_path, LOCKED + TOKEN) as server:
        for token in ("", "another"):
            monkeypatch.setenv(triton_server.TOKEN_VARIABLE, token)
            with pytest.raises(BadInput, match="refuses the token: set HRPOSE_TRITON_TOKEN to its own"):
                PosePipeline(on(server))
        monkeypatch.setenv(triton_server.TOKEN_VARIABLE, TOKEN)
        with PosePipeline(on(server)) as pipeline:
            assert_same_people(run(pipeline, frames[:2]), local[:2])
            assert pipeline._networks.estimator._runtime._images


def test_unknown_network_names_those_that_are_served(server) -> None:
    with pytest.raises(
        BadInput, match="serves no hrnet-w48: choose hrnet-w16-lite, yolo26n-person, or add"
    ):
        PosePipeline(Settings(runtime="triton", url=server.url, pose="hrnet-w48"))


def test_bench_engine_times_a_served_network(server, tmp_path) -> None:
    command = [
        "bench",
        "engine",
        "hrnet-w16-lite",
        "--runtime",
        "onnxruntime,triton",
        "--precision",
        "fp32",
    ]
    command += [
        "--url",
        server.url,
        "--batch",
        "1",
        "--seconds",
        "0.1",
        "--output",
        str(tmp_path / "r.json"),
    ]
    done = CliRunner().invoke(build_app(), command, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "r.json").read_text())
    assert [cell["runtime"] for cell in report["cells"]] == ["onnxruntime", "triton"]


def test_command_line_writes_every_frame_and_reports_the_outage(server, frames, tmp_path) -> None:
    video = tmp_path / "clip"
    video.mkdir()
    for i, frame in enumerate([*frames] * 4):
        cv2.imwrite(str(video / f"{i:03}.png"), frame)
    command = [sys.executable, "-m", "hrpose_rt", "run", str(video), "--fps", "10", "--quiet"]
    command += ["--runtime", "triton", "--url", server.url, "--json", "poses.jsonl", "--report", "r.json"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        lines = tmp_path / "poses.jsonl"
        while not lines.exists() or lines.read_text().count("\n") < 5:
            assert process.poll() is None
            time.sleep(0.05)
        server.kill()
        time.sleep(1)
        server.start()
        err = process.communicate(timeout=120)[1]
    assert process.returncode == 0, err
    written = [json.loads(line)["frame"] for line in lines.read_text().splitlines()[1:]]
    assert written == list(range(4 * FRAMES))
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["server"]["outages"] == 1 and report["server"]["away_s"] > 1
    assert (report["frames"], report["dropped"]) == (4 * FRAMES, 0)
    assert " does not answer (" in err and " answers after " in err


def test_ctrl_c_ends_the_wait(tmp_path, photos) -> None:
    command = [sys.executable, "-m", "hrpose_rt", "run", str(photos / "bus.jpg")]
    command += ["--runtime", "triton", "--url", "grpc://127.0.0.1:1"]

    def default_sigint() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)

    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ}, preexec_fn=default_sigint
    ) as process:
        assert process.stderr.readline().endswith("it is tried for 60 s\n")
        begin = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 130 and time.monotonic() - begin < 10
