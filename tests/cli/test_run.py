"""`hrpose-rt run` from the outside: what it writes, what it says, how it ends."""

import inspect
import json
import os
import shutil
import subprocess
import sys
import textwrap
import urllib.error
import urllib.request
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from hrpose_rt.cli.report import used_options
from hrpose_rt.cli.run import run as run_command
from hrpose_rt.errors import RunBroken
from hrpose_rt.run_info import Outages
from hrpose_rt.sinks.web import WebView
from hrpose_rt.sources.open import open_source
from tests.cli.conftest import COMMAND, frames_of, lines_of
from tests.conftest import write_video
from tests.fakes import RUN, fake_networks
from tests.sources.live import HW, live_server


@pytest.fixture
def run(monkeypatch, in_process):
    """Call `hrpose-rt run` in this process with networks that are fakes: status, stdout, stderr."""
    monkeypatch.setattr("hrpose_rt.pipeline.open_networks", lambda _: fake_networks([2, 0, 7]))
    return partial(in_process, "run")


def real(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    """The same with the embedded networks, in a process of its own."""
    command = [*COMMAND, "run", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_run_writes_video_jsonl_and_report_and_prints_table(run, video, tmp_path) -> None:
    status, out, err = run(video, "--save", "o/a.mp4", "--json", "o/a.jsonl", "--report", "o/r.json")
    assert (status, err) == (0, "")
    assert "pose fake-pose 256x192" in out
    assert "10 frames in" in out
    assert "6-10" in out
    assert frames_of(tmp_path / "o/a.mp4") == 10
    header, *lines = lines_of(tmp_path / "o/a.jsonl")
    assert (header["schema"], header["source"], header["fps"]) == (1, str(video), 10)
    assert [len(line["people"]) for line in lines] == [2, 0, 7, 2, 0, 7, 2, 0, 7, 2]
    report = json.loads((tmp_path / "o/r.json").read_text())
    assert (report["schema"], report["frames"], report["sources"]) == (1, 10, [str(video)])
    assert [report["latency_ms"][b]["frames"] for b in ("0", "1-5", "6-10")] == [3, 4, 3]
    assert report["queues"].keys() == {"read", "write"}
    assert all(times["full_s"] >= 0 <= times["empty_s"] for times in report["queues"].values())


def test_jsonl_on_stdout_sends_table_to_stderr(run, video) -> None:
    status, out, err = run(video, "--json", "-")
    assert status == 0
    assert len([json.loads(line) for line in out.splitlines()]) == 11
    assert "10 frames in" in err


def test_quiet_option_prints_nothing(run, video) -> None:
    assert run(video, "--quiet") == (0, "", "")


def test_start_end_stride_and_max_frames_select_frames(run, video, tmp_path) -> None:
    run(video, "--start", 0.2, "--end", 0.9, "--stride", 2, "--max-frames", 3, "--json", "a.jsonl")
    assert [line["frame"] for line in lines_of(tmp_path / "a.jsonl")[1:]] == [2, 4, 6]


def test_clip_without_a_frame_exits_1_and_the_next_source_runs(run, video, tmp_path) -> None:
    slow = write_video(tmp_path / "slow.mp4", frames=2, fps=1)
    status, _, err = run(slow, video, "--start", 0.2, "--end", 0.5, "--json", "out")
    words = "has no frame in this clip: change --start, --end or --stride"
    assert (status, err) == (1, f"hrpose-rt: {slow} {words}\n")
    assert len(lines_of(tmp_path / "out" / "video.jsonl")) == 4
    status, _, err = run(video, "--start", 0.1, "--stride", 99)
    assert (status, err) == (1, f"hrpose-rt: {video} {words}\n")


def test_unknown_encoder_exits_2_without_a_saved_video_too(run, video) -> None:
    status, _, err = run(video, "--encoder", "h265")
    assert (status, err) == (2, "hrpose-rt: there is no --encoder h265: choose x264, nvenc, auto\n")


def test_multiple_sources_write_separate_files(run, video, tmp_path) -> None:
    other = write_video(tmp_path / "other.mp4", frames=4)
    (tmp_path / "photos").mkdir()
    cv2.imwrite(str(tmp_path / "photos" / "a.png"), np.zeros((40, 40, 3), np.uint8))
    status, out, _ = run(video, other, "photos", "--save", "out", "--json", "out")
    assert status == 0
    assert "15 frames in" in out
    written = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*"))
    assert written == [
        *("other.jsonl", "other.mp4", "photos.jsonl", "photos/a.png", "video.jsonl", "video.mp4"),
    ]
    assert len(lines_of(tmp_path / "out" / "other.jsonl")) == 5


def test_unreadable_image_exits_1_after_all_others_are_processed(run, video, tmp_path) -> None:
    (tmp_path / "photos").mkdir()
    for name in ("a.png", "c.png"):
        cv2.imwrite(str(tmp_path / "photos" / name), np.zeros((40, 40, 3), np.uint8))
    (tmp_path / "photos" / "b.png").write_bytes(b"damaged")
    status, out, err = run("photos", video, "--json", "out")
    assert status == 1
    assert err.startswith("hrpose-rt: b.png cannot be read as images and were left out")
    assert err.count("\n") == 1
    assert "12 frames in" in out
    assert len(lines_of(tmp_path / "out" / "photos.jsonl")) == 3
    assert len(lines_of(tmp_path / "out" / "video.jsonl")) == 11


def text_file(folder: Path) -> str:
    (folder / "text.mp4").write_text("no video " * 100)
    return "text.mp4"


def empty_folder(folder: Path) -> str:
    (folder / "empty").mkdir()
    return "empty"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (lambda _: "gone.mp4", "gone.mp4 does not exist: check the path"),
        (text_file, "text.mp4 is not a video"),
        (empty_folder, "empty holds no images"),
        (lambda _: "97", "camera 97"),
        (lambda _: "ftp://nowhere/1", "ftp://nowhere/1 is no address that can be played"),
    ],
)
def test_invalid_source_exits_2_with_one_line_error(source, words, run, tmp_path) -> None:
    status, out, err = run(source(tmp_path), "--save", "out.mp4")
    assert (status, out) == (2, "")
    assert err.startswith("hrpose-rt: ")
    assert words in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out.mp4").exists()


def test_change_of_picture_size_is_said_once(run, tmp_path) -> None:
    pictures = [
        cv2.imencode(".jpg", np.zeros((h, 64, 3), np.uint8))[1].tobytes() for h in (48, 48, 64, 48, 64)
    ]
    (tmp_path / "a.mjpeg").write_bytes(b"".join(pictures))
    status, _, err = run(tmp_path / "a.mjpeg", "--quiet")
    assert (status, err.count("from frame")) == (0, 1)
    assert "a: from frame 2 on pictures are 64x64, before they were 64x48; a saved video keeps" in err


def test_one_invalid_source_stops_run_before_any_output(run, video, tmp_path) -> None:
    status, _, err = run(video, "gone.mp4", "--save", "out")
    assert status == 2
    assert "gone.mp4 does not exist" in err
    assert not (tmp_path / "out").exists()


def test_existing_outputs_are_kept_without_overwrite_option(run, video, tmp_path) -> None:
    for name, option in (("a.mp4", "--save"), ("a.jsonl", "--json"), ("r.json", "--report")):
        (tmp_path / name).write_text("precious")
        status, _, err = run(video, option, name)
        assert (status, err) == (2, f"hrpose-rt: {name} exists: choose another name, or add --overwrite\n")
        assert (tmp_path / name).read_text() == "precious"
        assert run(video, option, name, "--overwrite")[0] == 0
        assert (tmp_path / name).read_bytes() != b"precious"


@pytest.mark.parametrize(
    ("name", "text", "arguments"),
    [
        ("boxes.txt", "1,1,10,10,20,40,1,-1,-1,-1\n", ["--boxes", "boxes.txt", "--mot", "boxes.txt"]),
        ("area.json", "[[0, 0], [64, 0], [64, 48]]", ["--region", "area.json", "--coco", "area.json"]),
        ("run.toml", "[run]\nsmooth = false\n", ["--config", "run.toml", "--json", "run.toml"]),
        ("list.txt", "video.mp4\n", ["list.txt", "--report", "list.txt"]),
    ],
)
def test_other_files_that_are_read_are_never_overwritten(
    name, text, arguments, run, video, tmp_path
) -> None:
    (tmp_path / name).write_text(text)
    sources = [] if "list.txt" in arguments else ["video.mp4"]
    status, _, err = run(*sources, *arguments, "--overwrite")
    assert (status, err) == (2, f"hrpose-rt: {name} is what is read: write to another place\n")
    assert (tmp_path / name).read_text() == text


@pytest.mark.parametrize(
    "arguments",
    [
        ["video.mp4", "--save", "video.mp4"],
        ["video.mp4", "--report", "video.mp4"],
        ["other/video.mp4", "video.mp4", "--save", "."],
    ],
)
def test_source_is_never_overwritten(arguments, run, video, tmp_path) -> None:
    (tmp_path / "other").mkdir()
    shutil.copy(video, tmp_path / "other")
    before = video.read_bytes()
    status, _, err = run(*arguments, "--overwrite")
    assert (status, err) == (2, "hrpose-rt: video.mp4 is what is read: write to another place\n")
    assert video.read_bytes() == before


def test_report_to_standard_output_exits_2(run, video, tmp_path) -> None:
    status, _, err = run(video, "--report", "-")
    assert (status, err) == (
        2,
        "hrpose-rt: --report -: only --json writes to standard output, name a file\n",
    )
    assert not (tmp_path / "-").exists()


def test_saving_to_standard_output_exits_2(run, video, tmp_path) -> None:
    status, _, err = run(video, "--save", "-")
    words = "only --json writes to standard output, name a file or a folder"
    assert (status, err) == (2, f"hrpose-rt: --save -: {words}\n")
    assert not (tmp_path / "-").exists()


def test_two_outputs_to_same_file_exit_2(run, video) -> None:
    status, _, err = run(video, "--json", "out.json", "--report", "out.json")
    assert status == 2
    assert "out.json would be written twice: give each output a name of its own" in err


@pytest.mark.parametrize(
    "options", [("{}.mp4",), ("video.mp4", "--json", "{}.jsonl"), ("video.mp4", "--save", "{}/a")]
)
def test_too_long_file_name_exits_2_with_one_line_error(options, run, video) -> None:
    status, _, err = run(*(option.format(300 * "x") for option in options))
    assert status == 2
    assert "xxx" in err and "File name too long" in err
    assert err.count("\n") == 1


def test_report_and_end_say_how_long_the_server_was_away(run, video, monkeypatch, tmp_path) -> None:
    networks = fake_networks([2])
    networks.info = replace(RUN, pose=replace(RUN.pose, device="server"), outages=Outages(2, 4.25))
    monkeypatch.setattr("hrpose_rt.pipeline.open_networks", lambda _: networks)
    status, out, _ = run(video, "--report", "r.json")
    report = json.loads((tmp_path / "r.json").read_text())
    assert status == 0 and report["server"] == {"outages": 2, "away_s": 4.25} and report["dropped"] == 0
    assert "server was away 2 times, 4.2 s in all; live sources dropped 0 frames" in " ".join(out.split())


def test_report_and_latency_table_fail_independently(run, video, monkeypatch, tmp_path) -> None:
    def full(path: Path, *_: object) -> None:
        raise RunBroken(f"writing {path} failed")

    with monkeypatch.context() as patch:
        patch.setattr("hrpose_rt.cli.run_steps.write_report", full)
        status, out, err = run(video, "--report", "r.json")
    assert (status, err) == (1, "hrpose-rt: writing r.json failed\n")
    assert "milliseconds a frame" in out

    def nobody_reads(table: object) -> None:
        raise RunBroken("nobody reads")

    monkeypatch.setattr("hrpose_rt.cli.run_steps.latency_table", nobody_reads)
    assert run(video, "--report", "r.json")[0] == 1
    assert json.loads((tmp_path / "r.json").read_text())["frames"] == 10


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_full_disk_exits_1_with_one_line_error(run, video) -> None:
    status, _, err = run(video, "--json", "/dev/full", "--overwrite")
    assert status == 1
    assert err.startswith("hrpose-rt: writing /dev/full failed (No space left on device): make room")
    assert err.count("\n") == 1


FULL = """
    import resource, signal, sys
    from hrpose_rt import pipeline
    from hrpose_rt.cli.main import main
    from tests.fakes import RUN, fake_networks
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (15_000, 15_000))
    pipeline.open_networks = lambda _: fake_networks([2])
    main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
def test_full_disk_on_one_video_still_processes_next_source(tmp_path) -> None:
    write_video(tmp_path / "large.mp4", frames=40, size_wh=(640, 480))
    write_video(tmp_path / "small.mp4", frames=4)
    command = [
        sys.executable,
        "-c",
        textwrap.dedent(FULL),
        "run",
        "large.mp4",
        "small.mp4",
        "--save",
        "out",
    ]
    path = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, cwd=tmp_path, env=path, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("hrpose-rt: writing out/large.mp4 failed (File too large): make room")
    assert done.stderr.count("\n") == 1
    assert frames_of(tmp_path / "out" / "small.mp4") == 4


def another_architecture(folder: Path) -> str:
    torch.save(torch.nn.Linear(3, 3).state_dict(), folder / "other.pth")
    return "other.pth"


def hostile(folder: Path) -> str:
    class Bomb:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(folder / "exploded"),)

    torch.save(Bomb(), folder / "hostile.pth")
    return "hostile.pth"


@pytest.mark.parametrize(
    ("pose", "words"),
    [
        (
            lambda _: "hrnet-w99",
            "there is no pose model 'hrnet-w99': choose hrnet-w16-lite or hrnet-w32",
        ),
        (another_architecture, "other.pth holds another architecture than HRNet"),
        (hostile, "hostile.pth was refused because it holds more than tensors"),
    ],
)
def test_invalid_pose_checkpoint_exits_2_with_one_line_error(pose, words, video, tmp_path) -> None:
    done = real(video, "--pose", pose(tmp_path), folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("hrpose-rt: ")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "exploded").exists()


def test_debug_option_prints_traceback(tmp_path) -> None:
    done = real("gone.mp4", "--debug", folder=tmp_path)
    assert done.returncode != 0
    assert "Traceback" in done.stderr
    assert "BadInput: gone.mp4 does not exist" in done.stderr


def test_embedded_networks_find_person_and_keypoints_in_photo(photos, tmp_path) -> None:
    done = real(photos / "bus.jpg", "--json", "-", "--save", "out.jpg", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "pose hrnet-w16-lite 256x192 on openvino" in done.stderr
    header, frame = map(json.loads, done.stdout.splitlines())
    assert (header["width"], header["height"], header["skeleton"]) == (810, 1080, "coco17")
    # The man in the light coat, boxed by hand.
    x1, y1, x2, y2 = 50, 400, 245, 905
    man = min(frame["people"], key=lambda p: abs(p["box"][0] - x1) + abs(p["box"][2] - x2))
    assert np.abs(np.subtract(man["box"], (x1, y1, x2, y2))).max() < 40
    shoulders, hips = (
        np.array(man["keypoints"])[[5, 6], 1].mean(),
        np.array(man["keypoints"])[[11, 12], 1].mean(),
    )
    assert y1 < shoulders < hips < y2
    assert cv2.imread(str(tmp_path / "out.jpg")).shape == (1080, 810, 3)


def test_one_pixel_image_is_processed(tmp_path) -> None:
    cv2.imwrite(str(tmp_path / "dot.png"), np.zeros((1, 1, 3), np.uint8))
    done = real("dot.png", "--json", "-", "--save", "out.png", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[1])["frame"] == 0


@pytest.mark.slow
def test_16k_image_is_processed(tmp_path) -> None:
    cv2.imwrite(str(tmp_path / "large.png"), np.zeros((8640, 15360, 3), np.uint8))
    done = real("large.png", "--json", "-", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[0])["width"] == 15360


def test_flip_test_and_dark_and_quarter_decode_differ_slightly(photos, tmp_path) -> None:
    shutil.copy(photos / "bus.jpg", tmp_path)
    joints = {}
    for options in (("--decode", "quarter"), ("--decode", "dark"), ("--flip-test",)):
        done = real("bus.jpg", "--json", "-", "--precision", "fp32", *options, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        joints[options] = np.array(json.loads(done.stdout.splitlines()[1])["people"][0]["keypoints"])
    quarter, dark, flipped = joints.values()
    sure = (quarter[:, 2] > 0.5) & (flipped[:, 2] > 0.5)
    assert sure.sum() >= 8
    assert 0 < np.abs(quarter - dark)[sure, :2].max() < 15
    assert 0 < np.median(np.abs(flipped - dark)[sure, :2]) < 15


def test_live_streams_and_file_write_own_jsonl_and_video(run, video, tmp_path) -> None:
    with live_server() as one, live_server() as two:
        status, out, err = run(one.url, two.url, video, "--json", "o", "--save", "o", "--max-frames", 8)
    assert (status, err) == (0, "")
    names = sorted(path.name for path in (tmp_path / "o").iterdir())
    assert names == [
        *("127-0-0-1-2.jsonl", "127-0-0-1-2.mp4", "127-0-0-1.jsonl", "127-0-0-1.mp4"),
        *("video.jsonl", "video.mp4"),
    ]
    for name in names[::2]:
        lines = lines_of(tmp_path / "o" / name)
        assert len(lines) == 9
        assert all("latency_share_ms" in line and "latency_ms" not in line for line in lines[1:])
        assert frames_of(tmp_path / "o" / name.replace("jsonl", "mp4")) == 8
    assert "24 frames in" in out


def test_camera_credentials_never_appear_in_outputs(run, tmp_path) -> None:
    with live_server() as server:
        url = server.url.replace("http://", "http://admin:secret@") + "?user=admin&pwd=secret"
        options = ("--save", "o", "--json", "o", "--report", "o/r.json", "--max-frames", 3)
        status, out, err = run(url, *options)
        with WebView() as view, open_source(url) as source:
            view.panel("", source.info.stem)
            told = json.dumps(view.state())
    assert status == 0
    files = list((tmp_path / "o").iterdir())
    texts = [path.read_bytes().decode(errors="replace") for path in files]
    names = [path.name for path in files]
    assert sorted(names) == ["127-0-0-1.jsonl", "127-0-0-1.mp4", "r.json"]
    everything = "\n".join([out, err, told, *names, *texts])
    assert "127.0.0.1" in everything
    assert "secret" not in everything and "admin" not in everything


def test_reconnect_timeout_of_one_stream_keeps_others_running(run, video, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("hrpose_rt.backoff.FIRST_BACKOFF_S", 0.05)
    with live_server() as steady, live_server() as gone:
        gone.break_after = 12
        gone.gives_up = True
        status, _, err = run(gone.url, steady.url, "--csv", "o", "--max-frames", 60, "--reconnect", 0.3)
    assert status == 1
    assert err.startswith(f"hrpose-rt: {gone.url} broke off and did not come back within 0.3 s: is it")
    assert {path.name for path in (tmp_path / "o").iterdir()} == {"127-0-0-1.csv", "127-0-0-1-2.csv"}


def test_mot_output_of_image_folder_needs_fps(run, photos, tmp_path) -> None:
    (tmp_path / "still").mkdir()
    for i in range(4):
        shutil.copy(photos / "bus.jpg", tmp_path / "still" / f"{i}.jpg")
    status, _, err = run("still", "--mot", "t.txt")
    assert status == 2
    assert "--mot holds tracks, and" in err and "is no video: a folder of images is with --fps" in err
    status, _, err = run("still", "--mot", "t.txt", "--fps", 2)
    assert status == 0
    assert (tmp_path / "t.txt").read_text().startswith("4,")


def test_reconnect_to_offline_camera_does_not_block_other_stream(run, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("hrpose_rt.backoff.FIRST_BACKOFF_S", 0.05)
    off = "http://127.0.0.1:9/off.ts"
    with live_server() as steady:
        status, _, err = run(off, steady.url, "--csv", "o", "--max-frames", 30, "--reconnect", 0.3)
    assert status == 1
    assert f"{off} gives no picture yet: it is tried for 0.3 s, the others run" in err
    assert f"{off} gave no picture within 0.3 s: check the address" in err
    assert [path.name for path in (tmp_path / "o").iterdir()] == ["127-0-0-1-2.csv"]


def test_reconnect_to_late_camera_writes_its_frames(run, video, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("hrpose_rt.backoff.FIRST_BACKOFF_S", 0.05)
    with live_server() as server:
        server.off = 3  # connections
        status, _, err = run(server.url, video, "--json", "o", "--max-frames", 8)
    assert status == 0
    assert "gives no picture yet" in err and "pictures are" not in err
    header, *lines = lines_of(tmp_path / "o" / "127-0-0-1.jsonl")
    assert (header["width"], header["height"], len(lines)) == (*HW[::-1], 8)


def test_serve_option_answers_state_over_http_until_run_ends(video, tmp_path) -> None:
    command = [*COMMAND, "run", str(video), "--serve", "0"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        address = process.stdout.readline().removeprefix("watch at ").strip()
        with urllib.request.urlopen(f"{address}state", timeout=5) as answer:
            assert "panels" in json.load(answer)
        assert process.wait(60) == 0
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(address, timeout=2)


def test_report_holds_all_options_that_decide_the_result(run, video, tmp_path) -> None:
    run(video, "--det-score", 0.4, "--end", "0:1", "--token", "secret", "--report", "r.json")
    text = (tmp_path / "r.json").read_text()
    options = json.loads(text)["options"]
    assert options["source"] == [str(video)]
    assert (options["det_score"], options["end"], options["detector"]) == (0.4, 1.0, "yolo26n-person")
    assert (options["input_hw"], options["panel"], options["tiles"]) == (None, True, "off")
    assert {"save", "report", "token", "overwrite", "config"}.isdisjoint(options)
    assert "secret" not in text


def test_from_report_does_the_same_run_again_but_writes_nothing_by_itself(run, video, tmp_path) -> None:
    run(video, "--stride", 3, "--det-score", 0.4, "--json", "a.jsonl", "--report", "r.json")
    status, _, err = run("--from-report", "r.json", "--json", "b.jsonl", "--report", "s.json")
    assert (status, err) == (0, "")
    assert len(lines_of(tmp_path / "b.jsonl")) == len(lines_of(tmp_path / "a.jsonl")) == 5
    first, second = (json.loads((tmp_path / name).read_text()) for name in ("r.json", "s.json"))
    assert first["options"] == second["options"]
    run("--from-report", "r.json", "--stride", 5, "--report", "t.json")
    third = json.loads((tmp_path / "t.json").read_text())
    assert (third["frames"], third["options"]["det_score"]) == (2, 0.4)


def test_report_that_is_read_is_replaced_by_the_new_report_only(run, video, tmp_path) -> None:
    run(video, "--stride", 3, "--report", "r.json")
    before = (tmp_path / "r.json").read_text()
    status, _, err = run("--from-report", "r.json", "--json", "r.json", "--overwrite")
    assert (status, err) == (2, "hrpose-rt: r.json is what is read: write to another place\n")
    assert (tmp_path / "r.json").read_text() == before
    assert run("--from-report", "r.json", "--report", "r.json", "--overwrite")[0] == 0
    assert json.loads((tmp_path / "r.json").read_text())["options"] == json.loads(before)["options"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{}", "r.json is no report with options: give what run --report wrote"),
        ("no json", "r.json is no report with options"),
        ("[" * 9999, "r.json is no report with options"),
        ('{"options": {"det_scor": 1}}', "r.json: run has no det_scor: use det_score"),
        ('{"options": {"det_score": "x"}}', "r.json: det_score is a number, not 'x'"),
        (
            '{"options": {}}',
            "r.json has no sources, because an address had a password or a query: name",
        ),
    ],
)
def test_from_report_names_what_is_wrong(content, words, run, tmp_path) -> None:
    (tmp_path / "r.json").write_text(content)
    status, _, err = run("--from-report", "r.json")
    assert status == 2 and err.startswith(f"hrpose-rt: {words}")


def test_report_holds_no_address_with_a_password() -> None:
    parameters = inspect.signature(run_command).parameters
    open_ = {"source": ["http://host/a.mp4"], "det_score": 0.5}
    assert used_options(open_, parameters)["source"] == ["http://host/a.mp4"]
    for secret in ("rtsp://me:pass@host/1", "http://host/a?key=1"):
        assert "source" not in used_options({"source": ["a.mp4", secret]}, parameters)
