"""The manifest survives kills, and names stay with their videos."""

import resource
import signal

import pytest

from hrpose_rt.batch.manifest import open_manifest, read_manifest
from hrpose_rt.batch.videos import Video
from hrpose_rt.errors import BadInput, RunBroken


def test_last_line_counts_and_half_a_line_is_dropped(tmp_path) -> None:
    with open_manifest(tmp_path) as manifest:
        manifest.add([Video("/a.mp4", label="a"), Video("/b.mp4", label="b")])
        manifest.rewrite()
        manifest.update("a", state="running")
        manifest.update("a", state="done", frames=3)
    with (tmp_path / "manifest.jsonl").open("a") as file:
        file.write('{"name": "b", "sou')
    assert [(entry.name, entry.state) for entry in read_manifest(tmp_path)] == [
        *(("a", "done"), ("b", "waiting"))
    ]


def test_videos_of_one_name_keep_their_folders_from_call_to_call(tmp_path) -> None:
    first, second = Video("/x/cam.mp4", label="cam"), Video("/y/cam.mp4", label="Cam")
    with open_manifest(tmp_path) as manifest:
        assert [entry.name for entry in manifest.add([first, second])] == ["cam", "Cam-2"]
        manifest.rewrite()
    with open_manifest(tmp_path) as manifest:
        assert [entry.name for entry in manifest.add([second, first])] == ["Cam-2", "cam"]


def test_two_batches_in_one_folder_are_refused(tmp_path) -> None:
    with open_manifest(tmp_path), pytest.raises(BadInput, match="another batch is at work in"):
        open_manifest(tmp_path).__enter__()


def test_other_file_of_that_name_is_refused(tmp_path) -> None:
    (tmp_path / "manifest.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(BadInput, match=r"line 1 of .* is no entry of a batch"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("label", [".", "..", ".work", "Summary.json", "match"])
def test_what_is_in_the_folder_already_keeps_its_name(label, tmp_path) -> None:
    (tmp_path / "match").mkdir()
    (tmp_path / "match" / "report.json").write_text('{"by": "another program"}')
    with open_manifest(tmp_path) as manifest:
        assert [entry.name for entry in manifest.add([Video("/x", label=label)])] == [f"{label}-2"]


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("a" * 251, "a" * 194),
        ("日" * 80, "日" * 64),
        ("[" * 80, "[" * 64),
        ("caf\udce9", "caf_"),
    ],
)
def test_any_name_of_a_file_gives_a_name_of_a_folder(label, name, tmp_path) -> None:
    with open_manifest(tmp_path) as manifest:
        assert [entry.name for entry in manifest.add([Video("/x", label=label)])] == [name]


def test_full_disk_leaves_no_half_of_a_line(tmp_path, monkeypatch) -> None:
    with open_manifest(tmp_path) as manifest:
        manifest.add([Video("/a.mp4", label="a")])
        manifest.rewrite()
        size = (tmp_path / "manifest.jsonl").stat().st_size
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 9, limits[1]))
        try:
            with pytest.raises(RunBroken, match=r"manifest.jsonl cannot be written .*make room"):
                manifest.update("a", state="running")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, ignored)
        manifest.update("a", state="done")
    assert [entry.state for entry in read_manifest(tmp_path)] == ["done"]
