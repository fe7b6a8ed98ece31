"""`hrpose-rt batch` from the outside: what it says and how it ends."""

import io
import json
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from hrpose_rt.batch.manifest import Entry
from hrpose_rt.batch.task import Task
from hrpose_rt.batch.videos import Video
from hrpose_rt.cli.batch_view import BatchView
from tests.conftest import write_video


@pytest.fixture
def batch(in_process):
    """Call `hrpose-rt batch` in this process: status, stdout, stderr."""
    return partial(in_process, "batch")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("gone.mp4",), "gone.mp4 does not exist: check the path"),
        (("--outputs", "csv-long,xml"), "--outputs has no xml: choose json, csv,"),
        (("--split", "3"), "--split is 3 s: parts are at least 10 s long"),
        (("--workers", "1000"), "--workers is 0 to"),
        (("--hwaccel", "gpu"), "there is no --hwaccel gpu: choose none, auto, cuda"),
        (("--encoder", "h265"), "there is no --encoder h265: choose x264, nvenc, auto"),
        (("--output", "video.mp4"), "video.mp4/.work cannot be written"),
        (("--gpus-per-worker", ".5"), "--gpus-per-worker divides the GPUs of Ray: add --ray"),
        (("--ray", "local", "--gpus-per-worker", "1.5"), "--gpus-per-worker is 0 to 1, or a whole number"),
    ],
)
def test_wrong_arguments_exit_2_with_one_line(options, words, batch, video, tmp_path) -> None:
    status, out, err = batch(video, "-o", "out", *options)
    assert (status, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("sources", "words"),
    [(("a.mp4", "b.mp4"), "about 5 min left"), (("https://x/a", "https://x/b"), "about 2 min left")],
)
def test_time_left_follows_bytes_or_the_number_of_urls(sources, words, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.mp4").write_bytes(b"a" * 100)
    Path("b.mp4").write_bytes(b"b" * 300)
    console = Console(file=io.StringIO(), force_terminal=True, color_system=None)
    entries = [Entry(name, source) for name, source in zip("ab", sources, strict=True)]
    with BatchView(console, entries, _begin=time.perf_counter() - 100) as view:
        view.finished(replace(entries[0], state="done"))
        view.tick()
        assert words in " ".join(console.file.getvalue().split())


def test_brackets_in_the_name_of_a_video_are_shown() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, color_system=None)
    with BatchView(console, []) as view:
        view.began(0, Task("film [x264]", Video("/a.mp4"), Path("/out")))
        view.tick()
        assert "film [x264]" in console.file.getvalue()


@pytest.mark.slow
def test_batch_with_embedded_networks_names_broken_video_and_skips_the_rest(tmp_path: Path) -> None:
    write_video(tmp_path / "in.mp4")
    (tmp_path / "bad.mp4").write_text("no video")
    command = [sys.executable, "-m", "hrpose_rt", "batch", "in.mp4", "bad.mp4", "-o", "out"]
    for waiting in (2, 0):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 1
        assert f"2 videos, {waiting} to run" in done.stdout
        assert "1 done, 1 failed; 10 frames" in done.stdout
        assert "bad failed: " in done.stderr and "is not a video" in done.stderr
    assert len((tmp_path / "out" / "in" / "in.jsonl").read_text().splitlines()) == 11
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["states"] == {"done": 1, "failed": 1}
    done = subprocess.run([*command, "--det-score", "0.5"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert "det_score was 0.25 and is 0.5: add --overwrite to run them again" in done.stderr
