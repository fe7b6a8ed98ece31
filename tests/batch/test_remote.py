"""Files at URLs: a bucket and a web server of the test's own."""

import os
from pathlib import Path

import pytest

from hrpose_rt.batch import remote
from hrpose_rt.batch.manifest import read_manifest
from hrpose_rt.batch.options import Options
from hrpose_rt.batch.scratch import Scratch, remove_left
from hrpose_rt.batch.videos import Video, find_videos
from hrpose_rt.errors import BadInput, RunBroken, RuntimeMissing
from tests.batch import fakes, storage
from tests.batch.test_schedule import lines, run
from tests.conftest import write_video


@pytest.fixture
def bucket(tmp_path, monkeypatch) -> Path:
    """The folder that stands for the storage `bucket://`."""
    monkeypatch.setenv("TEST_BUCKET", str(tmp_path / "storage"))
    storage.Bucket.clear_instance_cache()
    (tmp_path / "storage").mkdir()
    return tmp_path / "storage"


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode() * 1000)


def short(videos: list[Video]) -> list[tuple[str, str]]:
    return [(video.path, video.label) for video in videos]


def test_folders_and_patterns_of_a_storage_are_searched(bucket) -> None:
    touch(bucket, "films/week1/cam2.mp4", "films/week1/cam10.mp4", "films/notes.txt", "films/.x/a.mp4")
    everything = short(find_videos(["bucket://films"]))
    assert everything == [
        ("bucket://films/week1/cam2.mp4", "week1_cam2"),
        ("bucket://films/week1/cam10.mp4", "week1_cam10"),
    ]
    assert short(find_videos(["bucket://films/week1/*2.mp4"])) == [
        ("bucket://films/week1/cam2.mp4", "cam2")
    ]
    assert short(find_videos(["bucket://films/week1/cam2.mp4"])) == [
        ("bucket://films/week1/cam2.mp4", "cam2")
    ]


def test_tables_and_lists_have_urls_beside_paths(bucket, tmp_path) -> None:
    touch(bucket, "films/a.mp4")
    touch(tmp_path, "b.mp4")
    (tmp_path / "clips.csv").write_text("source,start\nbucket://films/a.mp4,5\nb.mp4,\n")
    (tmp_path / "list.txt").write_text("bucket://films/a.mp4\nb.mp4\n")
    paths = ["bucket://films/a.mp4", str(tmp_path / "b.mp4")]
    videos = find_videos([str(tmp_path / "clips.csv")])
    assert [video.path for video in videos] == paths and videos[0].start == 5
    assert [video.path for video in find_videos([str(tmp_path / "list.txt")])] == paths


@pytest.mark.parametrize(
    ("url", "error", "words"),
    [
        ("rtsp://camera/1", BadInput, "is no file: batch takes videos that have an end"),
        ("s3://films/a.mp4", RuntimeMissing, "s3://films/a.mp4 needs another library .*s3fs"),
        ("bucket://nothing/*.mp4", BadInput, "nothing matches bucket://nothing/"),
        ("https://me:secret@example.org/a.mp4", BadInput, r"https://example.org/a.mp4 has a password"),
    ],
)
def test_urls_that_cannot_be_used_are_named_without_their_secrets(url, error, words, bucket) -> None:
    with pytest.raises(error, match=words) as raised:
        find_videos([url])
        remote.filesystem(url)
    assert "secret" not in str(raised.value)


def test_fingerprint_at_a_url_is_that_of_the_file(bucket, tmp_path) -> None:
    touch(bucket, "films/a.mp4")
    (bucket / "films" / "long.mp4").write_bytes(os.urandom(3_000_000))
    for name in ("a.mp4", "long.mp4"):
        here = Video(str(bucket / "films" / name)).fingerprint()
        assert Video(f"bucket://films/{name}").fingerprint() == here
        with storage.served(bucket / "films") as address:
            assert Video(f"{address}/{name}").fingerprint() == here
    with pytest.raises(OSError):
        Video("bucket://films/gone.mp4").fingerprint()


def test_one_copy_is_kept_and_ends_with_the_worker(bucket, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    touch(bucket, "films/a b.mp4", "films/c.mp4")
    scratch = Scratch()
    first = Path(scratch.fetched("bucket://films/a b.mp4"))
    assert first.name == "a b.mp4" and first.read_bytes() == (bucket / "films" / "a b.mp4").read_bytes()
    (bucket / "films" / "a b.mp4").unlink()
    assert Path(scratch.fetched("bucket://films/a b.mp4")) == first
    second = Path(scratch.fetched("bucket://films/c.mp4"))
    assert second.exists() and not first.exists()
    with pytest.raises(RunBroken, match=r"bucket://films/gone.mp4 cannot be fetched \(FileNotFoundError"):
        scratch.fetched("bucket://films/gone.mp4")
    scratch.close()
    assert not list(tmp_path.glob("hrpose-batch-*"))


def test_folders_of_dead_workers_are_removed_and_others_stay(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    most = int(Path("/proc/sys/kernel/pid_max").read_text())
    for name in (most + 1, os.getpid(), "notes"):
        (tmp_path / f"hrpose-batch-{name}").mkdir()
    remove_left()
    left = {path.name for path in tmp_path.glob("hrpose-batch-*")}
    assert left == {f"hrpose-batch-{os.getpid()}", "hrpose-batch-notes"}


@pytest.mark.slow
def test_videos_of_a_web_server_are_run_whole_and_in_parts(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)  # it is read again
    (tmp_path / "in").mkdir()
    write_video(tmp_path / "in" / "a.mp4")
    write_video(tmp_path / "in" / "film.mp4", frames=250)
    options = Options(outputs=("json", "video"), split_s=10, open_pipeline=fakes.steady_pipeline)
    with storage.served(tmp_path / "in") as address:
        (tmp_path / "list.txt").write_text(f"{address}/a.mp4\n{address}/film.mp4\n{address}/gone.mp4\n")
        run(tmp_path / "list.txt", tmp_path / "out", options, workers=2)
    entries = {entry.name: entry for entry in read_manifest(tmp_path / "out")}
    assert [entries[name].state for name in ("a", "film", "gone")] == ["done", "done", "failed"]
    assert "/gone.mp4 cannot be fetched (FileNotFoundError" in entries["gone"].reason
    for name, frames in (("a", 10), ("film", 250)):
        written = lines(tmp_path / "out" / name / f"{name}.jsonl")
        assert len(written) == frames + 1 and written[0]["source"] == f"{address}/{name}.mp4"
        assert (tmp_path / "out" / name / f"{name}.mp4").exists()
    assert not list(tmp_path.glob("hrpose-batch-*"))
