"""Names that stand for several sources."""

import errno
import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.sources.open import expand, open_source
from tests.conftest import write_video


def test_glob_pattern_expands_to_sorted_files(tmp_path: Path) -> None:
    for name in ("b.mp4", "a.mp4", "c.txt"):
        (tmp_path / name).touch()
    assert expand([f"{tmp_path}/*.mp4", "0"]) == [f"{tmp_path}/a.mp4", f"{tmp_path}/b.mp4", "0"]
    with pytest.raises(BadInput, match=r"nothing matches .*\*\.avi: check the pattern"):
        expand([f"{tmp_path}/*.avi"])


def test_glob_existing_file_with_brackets_is_taken_literally(tmp_path: Path) -> None:
    (tmp_path / "take[1].mp4").touch()
    assert expand([f"{tmp_path}/take[1].mp4"]) == [f"{tmp_path}/take[1].mp4"]


def test_folder_expands_to_its_videos_and_one_image_folder(tmp_path: Path) -> None:
    for name in ("b10.mp4", "b2.mkv", ".hidden.mp4", "notes.bak"):
        (tmp_path / name).write_bytes(b"video")
    videos = [f"{tmp_path}/b2.mkv", f"{tmp_path}/b10.mp4"]
    assert expand([str(tmp_path)]) == videos
    (tmp_path / "a.png").touch()
    assert expand([str(tmp_path)]) == [str(tmp_path), *videos]
    (tmp_path / "empty").mkdir()
    assert expand([f"{tmp_path}/empty"]) == [f"{tmp_path}/empty"]


def test_motion_jpeg_is_a_video_although_it_begins_as_an_image(tmp_path: Path) -> None:
    _, jpeg = cv2.imencode(".jpg", np.zeros((20, 30, 3), np.uint8))
    (tmp_path / "camera.mjpeg").write_bytes(3 * jpeg.tobytes())
    assert expand([str(tmp_path)]) == [f"{tmp_path}/camera.mjpeg"]
    with open_source(f"{tmp_path}/camera.mjpeg") as source:
        assert len(list(source)) == 3


def test_url_is_not_expanded_as_glob() -> None:
    assert expand(["http://a/b?c=d"]) == ["http://a/b?c=d"]


def test_source_list_file_has_one_source_per_line(tmp_path: Path) -> None:
    lines = tmp_path / "all.txt"
    lines.write_text("# mine\nvideo.mp4\n\nrtsp://camera/1\n2\n")
    assert expand([str(lines)]) == [f"{tmp_path}/video.mp4", "rtsp://camera/1", "2"]
    lines.write_text("# nothing\n")
    with pytest.raises(BadInput, match=r"all\.txt lists no sources: give one a line"):
        expand([str(lines)])
    lines.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match=r"all\.txt is no list of sources"):
        expand([str(lines)])


@pytest.mark.skipif(sys.platform == "win32", reason="names and pipes are POSIX's")
def test_open_source_rejects_pipe_device_stdin_and_unreadable_file(tmp_path: Path, monkeypatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in (f"{tmp_path}/pipe", "/dev/zero"):
        with pytest.raises(BadInput, match="is a pipe or a device, which cannot be read twice: save it"):
            open_source(name)
    with pytest.raises(
        BadInput, match="standard input is not read: save the video as a file and name that"
    ):
        open_source("-")

    def refused(path: Path, mode: str = "r") -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    (tmp_path / "secret.mp4").write_bytes(b"video")
    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(BadInput, match=r"secret\.mp4 cannot be read \(Permission denied\): check its"):
        open_source(f"{tmp_path}/secret.mp4")


@pytest.mark.skipif(sys.platform == "win32", reason="no colons in names there")
@pytest.mark.parametrize("name", ["2024-11-02T10:20:30.mp4", "a:b.mp4", "http:clip.mp4", "-clip.mp4"])
def test_video_name_with_colon_or_dash_is_file_not_url(name: str, tmp_path: Path, monkeypatch) -> None:
    write_video(tmp_path / "video.mp4", frames=3).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    with open_source(name) as source:
        assert len(list(source)) == 3


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files as Linux lists them")
def test_video_file_is_open_only_while_read(tmp_path: Path) -> None:
    video = str(write_video(tmp_path / "video.mp4", frames=3))
    before = len(os.listdir("/proc/self/fd"))
    sources = [open_source(video) for _ in range(20)]
    assert len(os.listdir("/proc/self/fd")) == before
    for source in sources:
        assert len(list(source)) == 3
        assert len(os.listdir("/proc/self/fd")) == before


def test_video_emptied_before_reading_raises_run_broken(tmp_path: Path) -> None:
    video = write_video(tmp_path / "video.mp4", frames=3)
    source = open_source(str(video))
    video.write_bytes(b"")
    with pytest.raises(RunBroken, match=r"video\.mp4 is empty: choose another file"):
        list(source)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"clip": {"start": 1}}, "`clip` is a Clip, not dict: Clip"),
        ({"clip": None}, "`clip` is a Clip, not NoneType: Clip"),
        ({"reconnect_s": "5"}, "`reconnect_s` is a number of seconds, or 0 for none, not 5"),
    ],
)
def test_open_source_rejects_arguments_of_other_types(how, words) -> None:
    with pytest.raises(BadInput, match=words):
        open_source("video.mp4", **how)
