"""Files at URLs: a bucket and a web server of the test's own."""

import os
from functools import partial
from pathlib import Path

import pytest

from hrpose_rt.batch import remote
from hrpose_rt.batch.delivery import Delivery
from hrpose_rt.batch.manifest import read_manifest
from hrpose_rt.batch.options import Options
from hrpose_rt.batch.schedule import Redo
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


@pytest.fixture
def own_temporary(tmp_path, monkeypatch) -> Path:
    """The folder for temporary files of this test and its workers."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)  # it is read again
    return tmp_path / "tmp"


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


def test_file_whose_name_looks_like_a_pattern_is_found(bucket) -> None:
    touch(bucket, "films/a[1].mp4", "films/a1.mp4")
    assert short(find_videos(["bucket://films/a[1].mp4"])) == [("bucket://films/a[1].mp4", "a[1]")]


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
        ("https://secret@example.org/a.mp4", BadInput, r"https://example.org/a.mp4 has a user name"),
        ("http://[x/a.mp4", BadInput, r"http://\[x/a.mp4 is no address"),
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
    with pytest.raises(OSError):
        Video("bucket://films/gone.mp4").fingerprint()


def test_files_of_a_web_server_are_told_apart_by_size_and_last_change(tmp_path) -> None:
    film = tmp_path / "a.mp4"
    seen = []
    with storage.served(tmp_path) as address:
        for content, changed in ((b"ab", 1e9), (b"ab", 1e9), (b"abc", 1e9), (b"abc", 1.1e9)):
            film.write_bytes(content)
            os.utime(film, (changed, changed))
            seen.append(Video(f"{address}/a.mp4").fingerprint())
        assert seen[0] == seen[1] and len(set(seen)) == 3


def test_keys_in_urls_are_in_no_message(tmp_path) -> None:
    with storage.served(tmp_path) as address:
        url = f"{address}/gone.mp4?signature=secret"
        for error, ask in (
            (RunBroken, partial(remote.fetch, url, tmp_path / "gone.mp4")),
            (RunBroken, partial(remote.Shelf(url).get, "gone.mp4", tmp_path / "gone.mp4")),
            (OSError, Video(url).fingerprint),
        ):
            with pytest.raises(error, match=r"/gone.mp4") as raised:
                ask()
            assert "secret" not in str(raised.value)
    assert Video(url).shown == f"{address}/gone.mp4"


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
    for name in (f"{most + 1}-a", f"{os.getpid()}-a", "notes"):
        (tmp_path / f"hrpose-batch-{name}").mkdir()
    remove_left()
    left = {path.name for path in tmp_path.glob("hrpose-batch-*")}
    assert left == {f"hrpose-batch-{os.getpid()}-a", "hrpose-batch-notes"}


@pytest.mark.slow
def test_videos_of_a_web_server_are_run_whole_and_in_parts(tmp_path, own_temporary) -> None:
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
    assert list(own_temporary.glob("hrpose-batch-*")) == []


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_batch_in_a_bucket_is_whole_there_and_goes_on_from_another_machine(
    bucket, own_temporary, tmp_path, monkeypatch
) -> None:
    (bucket / "films").mkdir()
    write_video(bucket / "films" / "a.mp4")
    write_video(bucket / "films" / "film.mp4", frames=250)
    (bucket / "films" / "bad.mp4").write_text("no video")
    outputs = ("json", "parquet")
    options = Options(outputs=outputs, split_s=10, open_pipeline=fakes.steady_pipeline)
    monkeypatch.setenv("HRPOSE_HOME", str(tmp_path / "one"))
    assert run("bucket://films", "bucket://poses", options, workers=2) == ["a", "bad", "film"]
    assert files(bucket / "poses") == {
        *("manifest.jsonl", "summary.json", "summary.html"),
        *(f"{name}/{file}" for name in ("a", "film") for file in (f"{name}.jsonl", "report.json")),
        *(f"people.parquet/video={name}/people.parquet" for name in ("a", "film")),
    }
    assert len(lines(bucket / "poses" / "film" / "film.jsonl")) == 251
    assert {entry.name: entry.state for entry in read_manifest(bucket / "poses")} == {
        "a": "done",
        "film": "done",
        "bad": "failed",
    }
    assert list(own_temporary.glob("hrpose-batch-*")) == []

    monkeypatch.setenv("HRPOSE_HOME", str(tmp_path / "two"))
    write_video(bucket / "films" / "a.mp4", frames=7)
    with pytest.raises(
        BadInput, match=r"bucket://poses has videos of an earlier call \(1\), and since then"
    ):
        run("bucket://films", "bucket://poses", options)
    assert run("bucket://films", "bucket://poses", options, Redo(changed=True)) == ["a"]
    assert len(lines(bucket / "poses" / "a" / "a.jsonl")) == 8
    without = Options(outputs=("csv",), split_s=10, open_pipeline=fakes.steady_pipeline)
    run("bucket://films/a.mp4", "bucket://poses", without, Redo(changed=True))
    assert {name for name in files(bucket / "poses") if "a/" in name or "=a" in name} == {
        *("a/a.csv", "a/report.json")
    }


def test_output_that_cannot_be_written_ends_the_batch_at_once(bucket, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HRPOSE_HOME", str(tmp_path))
    touch(bucket, "films/a.mp4")
    with storage.served(bucket) as address, pytest.raises(RunBroken, match="poses cannot be written"):
        run("bucket://films", f"{address}/poses", Options(open_pipeline=fakes.fake_pipeline))


def test_report_is_sent_last_and_an_older_one_goes_first(bucket, tmp_path, monkeypatch) -> None:
    touch(bucket, "poses/a/report.json", "poses/a/a.csv", "poses/people.parquet/video=a/people.parquet")
    touch(tmp_path / "work", "report.json", "a.jsonl", "z.txt")
    sent = []
    monkeypatch.setattr(remote.Shelf, "put", lambda shelf, path, name: sent.append(name))
    with Delivery("bucket://poses", tmp_path / "here") as delivery:
        delivery.send_video(tmp_path / "work", "a")
    assert sent == ["a/a.jsonl", "a/z.txt", "a/report.json"]
    assert files(bucket / "poses") == set()
    assert not (tmp_path / "here").exists()


def test_names_below_a_file_are_missing(bucket) -> None:
    touch(bucket, "poses/a")
    assert set(remote.Shelf("bucket://poses").read_all(["a", "a/report.json", "gone"])) == {"a"}
