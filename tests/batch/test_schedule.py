"""A batch from the outside of its package: what is there at the end, whatever happened on the way."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hrpose_rt.batch.manifest import open_manifest, read_manifest
from hrpose_rt.batch.options import Options
from hrpose_rt.batch.schedule import Redo, Schedule, waiting_of
from hrpose_rt.batch.summary import summary_of
from hrpose_rt.batch.task import Outcome, Task
from hrpose_rt.batch.videos import find_videos
from hrpose_rt.batch.work import Worker
from hrpose_rt.batch.workers import LocalPool
from hrpose_rt.config import Settings
from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.sources import hwaccel
from tests.batch import fakes
from tests.conftest import no_gpu, write_video

ROOT = Path(__file__).parents[2]


class Quiet:
    """A view that only remembers which videos were finished."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def finished(self, entry) -> None:
        self.names.append(entry.name)

    def began(self, worker, task) -> None:
        pass

    progress = ended = lambda self, what: None

    def tick(self) -> None:
        pass


NONE = Redo()


def run(
    source: str | Path, output: str | Path, options: Options, redo: Redo = NONE, workers: int = 1
) -> list[str]:
    """The names of the videos that this call has finished."""
    view = Quiet()
    with open_manifest(output) as manifest:
        waiting = waiting_of(manifest, find_videos([str(source)]), options, redo)
        if waiting:
            Schedule(manifest, options, view).run(LocalPool(workers, options), waiting)
        summary_of(manifest).write(manifest.store)
    return sorted(view.names)


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


FAKE = Options(outputs=("json",), open_pipeline=fakes.fake_pipeline)


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a", "b"):
        write_video(folder / f"{name}.mp4")
    return folder


@pytest.mark.slow
def test_batch_writes_a_folder_per_video_and_second_call_skips_them(videos, tmp_path) -> None:
    options = Options(outputs=("json", "mot", "video"), open_pipeline=fakes.fake_pipeline)
    assert run(videos, tmp_path / "out", options) == ["a", "b"]
    assert sorted(path.name for path in (tmp_path / "out" / "a").iterdir()) == [
        *("a.jsonl", "a.mot.txt", "a.mp4", "report.json")
    ]
    assert len(lines(tmp_path / "out" / "a" / "a.jsonl")) == 11
    assert run(videos, tmp_path / "out", options) == []
    write_video(videos / "c.mp4")
    assert run(videos, tmp_path / "out", options) == ["c"]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["states"], summary["frames"]) == ({"done": 3}, 30)
    # Two, no and seven people in turn, on 20 frames of the first call and on 10 of the second.
    assert [summary["latency_ms"][label]["frames"] for label in ("0", "1-5", "6-10")] == [10, 11, 9]


@pytest.mark.slow
def test_video_without_a_frame_in_its_clip_has_failed(tmp_path) -> None:
    write_video(tmp_path / "slow.mp4", frames=2, fps=1)
    (tmp_path / "clips.csv").write_text("source,start,end\nslow.mp4,.2,.5\n")
    run(tmp_path / "clips.csv", tmp_path / "out", FAKE)
    report = json.loads((tmp_path / "out" / "slow" / "report.json").read_text())
    assert report["state"] == "failed"
    assert "has no frame in this clip" in report["reason"]


@pytest.mark.slow
def test_changed_settings_are_named_and_run_again_with_redo(videos, tmp_path) -> None:
    run(videos, tmp_path / "out", FAKE)
    changed = Options(Settings(det_score=0.5), outputs=("json",), open_pipeline=fakes.fake_pipeline)
    with pytest.raises(
        BadInput,
        match=r"call \(2\), and since then det_score was 0.25 and is 0.5: add",
    ):
        run(videos, tmp_path / "out", changed)
    assert run(videos, tmp_path / "out", FAKE) == []
    assert run(videos, tmp_path / "out", changed, Redo(changed=True)) == ["a", "b"]
    write_video(videos / "a.mp4", frames=7)
    with pytest.raises(BadInput, match=r"earlier call \(1\), and since then the files have changed"):
        run(videos, tmp_path / "out", changed)
    assert run(videos, tmp_path / "out", changed, Redo(changed=True)) == ["a"]
    assert len(lines(tmp_path / "out" / "a" / "a.jsonl")) == 8


@pytest.mark.slow
def test_changed_content_of_a_file_of_the_settings_is_named(videos, tmp_path) -> None:
    zone = tmp_path / "zone.json"
    zone.write_text("[[0, 0], [64, 0], [64, 48]]")
    settings = Settings(region=str(zone))
    before = Options(settings, open_pipeline=fakes.fake_pipeline)
    run(videos, tmp_path / "out", before)
    zone.write_text("[[0, 0], [9, 0], [9, 9]]")
    assert run(videos, tmp_path / "out", before) == []
    with pytest.raises(BadInput, match=r"since then region_content was \w+ and is \w+: add"):
        run(videos, tmp_path / "out", Options(settings, open_pipeline=fakes.fake_pipeline))


@pytest.mark.slow
def test_failed_videos_are_named_and_tried_again_on_request(videos, tmp_path) -> None:
    (videos / "c.mp4").write_text("no video")
    assert run(videos, tmp_path / "out", FAKE) == ["a", "b", "c"]
    entries = {entry.name: entry for entry in read_manifest(tmp_path / "out")}
    assert [entries[name].state for name in "abc"] == ["done", "done", "failed"]
    assert "c.mp4 is not a video" in entries["c"].reason
    assert not (tmp_path / "out" / "c").exists()
    write_video(videos / "c.mp4")
    assert run(videos, tmp_path / "out", FAKE) == []
    assert run(videos, tmp_path / "out", FAKE, Redo(failed=True)) == ["c"]
    assert read_manifest(tmp_path / "out")[2].state == "done"


@pytest.mark.slow
@pytest.mark.parametrize(("stays", "state"), [(False, "done"), (True, "failed")])
def test_video_whose_worker_dies_is_done_once_more(stays, state, videos, tmp_path, monkeypatch) -> None:
    write_video(videos / "c.mp4", frames=14)  # its last frame is white
    trap = tmp_path / "trap"
    trap.touch()
    monkeypatch.setenv("TEST_TRAP", str(trap))
    monkeypatch.setenv("TEST_TRAP_STAYS", "1" if stays else "")
    options = Options(outputs=("json",), open_pipeline=fakes.deadly_pipeline)
    assert run(videos, tmp_path / "out", options) == ["a", "b", "c"]
    entries = {entry.name: entry for entry in read_manifest(tmp_path / "out")}
    assert [entries[name].state for name in "abc"] == ["done", "done", state]
    assert ("its worker died 2 times" in entries["c"].reason) == stays
    assert trap.exists() == stays


@pytest.mark.slow
def test_pipeline_that_cannot_be_opened_ends_batch_with_its_reason(videos, tmp_path) -> None:
    with pytest.raises(BadInput, match="there is no network: fetch one"):
        run(videos, tmp_path / "out", Options(open_pipeline=fakes.no_pipeline))
    with pytest.raises(RunBroken, match=r"ended before it was ready \(exit code -9\)"):
        run(videos, tmp_path / "out", Options(open_pipeline=fakes.killed_at_start))
    assert {entry.state for entry in read_manifest(tmp_path / "out")} == {"waiting"}


@pytest.mark.slow
def test_split_video_has_the_frames_and_boxes_of_the_whole_one(tmp_path) -> None:
    film = write_video(tmp_path / "film.mp4", frames=300)
    options = {"outputs": ("json", "video"), "open_pipeline": fakes.steady_pipeline}
    run(film, tmp_path / "whole", Options(**options))
    run(film, tmp_path / "parts", Options(split_s=10, **options), workers=2)
    whole, parts = (lines(tmp_path / name / "film" / "film.jsonl") for name in ("whole", "parts"))
    assert len(parts) == 301
    assert [line["frame"] for line in parts[1:]] == list(range(300))
    for one, other in zip(whole[1:], parts[1:], strict=True):
        assert [p["id"] for p in one["people"]] == [p["id"] for p in other["people"]]
        boxes = [np.array([p["box"] for p in line["people"]]) for line in (one, other)]
        assert np.abs(boxes[0] - boxes[1]).max() <= 0.01
    report = json.loads((tmp_path / "parts" / "film" / "report.json").read_text())
    assert (report["frames"], report["people"], report["latency_ms"]["1-5"]["frames"]) == (300, 3, 300)
    assert (tmp_path / "parts" / "film" / "film.mp4").stat().st_size > 1000


class LatePool:
    """One worker in this process. The first task seems to die; it ends, and is written, after its redo."""

    count = 1

    def __init__(self, options: Options) -> None:
        self._worker = Worker(options)
        self._task: Task | None = None
        self.tasks: list[Task] = []

    def free(self) -> list[int]:
        return [] if self._task else [0]

    def start(self, worker: int, task: Task) -> None:
        self._task = task
        self.tasks.append(task)

    def events(self):
        while True:
            task, self._task = self._task, None
            if len(self.tasks) == 1:
                yield Outcome(task, died=True)
                continue
            outcome = self._worker.do(task, lambda frames, of: None)
            self._worker.do(self.tasks[0], lambda frames, of: None)  # the first one still runs, elsewhere
            yield outcome

    def close(self) -> None:
        self._worker.close()


def test_worker_that_only_seemed_dead_changes_nothing(tmp_path) -> None:
    film = write_video(tmp_path / "a.mp4")
    with open_manifest(tmp_path / "out") as manifest:
        waiting = waiting_of(manifest, find_videos([str(film)]), FAKE, NONE)
        pool = LatePool(FAKE)
        Schedule(manifest, FAKE, Quiet()).run(pool, waiting)
    first, second = pool.tasks
    assert first.folder != second.folder
    assert len(lines(tmp_path / "out" / "a" / "a.jsonl")) == 11
    assert [entry.state for entry in read_manifest(tmp_path / "out")] == ["done"]
    assert not [path for path in (tmp_path / "out" / ".work").iterdir() if path.is_dir()]


def broken(path: Path, kind: int) -> None:
    """A file that is broken in one of five ways."""
    whole = write_video(path, frames=20).read_bytes()
    path.write_bytes((b"", b"text", whole[: len(whole) // 3], b"\0" * len(whole), whole[64:])[kind])


KILLED = """
import sys
from pathlib import Path
from tests.batch.test_schedule import Options, fakes, run

if __name__ == "__main__":
    options = Options(outputs=("json", "csv"), open_pipeline=fakes.slow_pipeline)
    run(Path(sys.argv[1]), Path(sys.argv[2]), options, workers=2)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kills with SIGKILL")
def test_200_videos_are_whole_and_once_after_three_kills(tmp_path) -> None:
    (tmp_path / "in").mkdir()
    for i in range(200):
        path = tmp_path / "in" / f"{i:03d}.mp4"
        broken(path, i // 20 % 5) if i % 20 == 7 else write_video(path, frames=20)
    (tmp_path / "call.py").write_text(KILLED)
    command = [sys.executable, str(tmp_path / "call.py"), str(tmp_path / "in"), str(tmp_path / "out")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    finished = []
    for enough in (20, 60, 120):
        call = subprocess.Popen(command, env=environment)
        while call.poll() is None and _ended(tmp_path / "out") < enough:
            time.sleep(0.02)
        assert call.poll() is None, "it ended before it was killed"
        call.send_signal(signal.SIGKILL)
        call.wait()
        finished.append(_ended(tmp_path / "out"))
    subprocess.run(command, env=environment, check=True)
    assert finished == sorted(finished) and finished[-1] < 200
    entries = {entry.name: entry for entry in read_manifest(tmp_path / "out")}
    bad = {f"{i:03d}" for i in range(7, 200, 20)}
    assert {name for name, entry in entries.items() if entry.state == "failed"} == bad
    assert {name for name, entry in entries.items() if entry.state == "done"} == set(entries) - bad
    for name in set(entries) - bad:
        assert len(lines(tmp_path / "out" / name / f"{name}.jsonl")) == 21, name
    assert not [path for path in (tmp_path / "out" / ".work").iterdir() if path.is_dir()]
    assert set(json.loads((tmp_path / "out" / "summary.json").read_text())["failed"]) == bad
    written = lines(tmp_path / "out" / "manifest.jsonl")
    assert len([line for line in written if line["state"] == "done"]) == len(entries) - len(bad)


def _ended(output: Path) -> int:
    try:
        return sum(entry.state in ("done", "failed") for entry in read_manifest(output))
    except BadInput:
        return 0


@no_gpu
def test_report_of_video_says_that_the_cpu_decoded_and_encoded(tmp_path: Path) -> None:
    hwaccel._found.cache_clear()
    options = replace(FAKE, outputs=("video",), hwaccel="cuda", encoder="nvenc")
    (video,) = find_videos([str(write_video(tmp_path / "a.mp4"))])
    with Worker(options) as worker:
        outcome = worker.do(Task("a", video, tmp_path / "out"), lambda frames, of: None)
    why = "no NVIDIA driver sees a GPU here"
    assert outcome.report["messages"] == [
        f"videos are decoded on the CPU: {why}",
        f"the video is encoded on the CPU: {why}",
    ]


def test_files_of_others_in_the_output_stay(videos, tmp_path) -> None:
    for name in ("a/notes.txt", "b/report.json"):
        (tmp_path / "out" / name).parent.mkdir(parents=True)
        (tmp_path / "out" / name).write_text("{}")
    assert run(videos, tmp_path / "out", FAKE) == ["a-2", "b-2"]
    assert run(videos, tmp_path / "out", FAKE) == []
    assert (tmp_path / "out" / "a" / "notes.txt").exists()
    assert (tmp_path / "out" / "b" / "report.json").read_text() == "{}"
