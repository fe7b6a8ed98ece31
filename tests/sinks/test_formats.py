"""Which file and which sink an output becomes."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from hrpose_rt.config import Clip
from hrpose_rt.errors import BadInput
from hrpose_rt.sinks.formats import RESULT_FORMATS, image_output, result_output, video_output
from hrpose_rt.sources.images import Images
from tests.fakes import FakeSource


@pytest.fixture
def images(tmp_path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.jpg", "b.png"):
        cv2.imwrite(str(folder / name), np.zeros((8, 8, 3), np.uint8))
    return folder


@pytest.mark.parametrize(
    ("save", "several", "file"),
    [("out.mp4", False, "out.mp4"), ("out", False, "out/fake.mp4"), ("out", True, "out/fake.mp4")],
)
def test_video_target_is_mp4_file_or_folder(save, several, file) -> None:
    assert video_output(save, FakeSource().info, "fake", several).files == (Path(file),)


@pytest.mark.parametrize("name", ["v1.0", "out.2026-11-25"])
@pytest.mark.parametrize("several", [False, True])
def test_output_folder_name_may_contain_dot(name: str, several: bool) -> None:
    assert video_output(name, FakeSource().info, "fake", several).files == (Path(name) / "fake.mp4",)
    lines = result_output("json", name, FakeSource().info, "fake", several)
    assert lines.files == (Path(name) / "fake.jsonl",)


def test_image_target_keeps_file_names_in_folder(images) -> None:
    source = Images(images, Clip())
    assert image_output("out", source.info, "photos", False, source.names).files == (
        Path("out/a.jpg"),
        Path("out/b.png"),
    )
    several = image_output("out", source.info, "photos", True, source.names).files
    assert several == (Path("out/photos/a.jpg"), Path("out/photos/b.png"))


def test_image_target_accepts_file_name_for_single_image(images) -> None:
    source = Images(images / "a.jpg", Clip())
    assert image_output("out/mine.png", source.info, "a", False, source.names).files == (
        Path("out/mine.png"),
    )


def test_jsonl_target_is_file_folder_or_stdout() -> None:
    info = FakeSource().info
    assert result_output("json", "out.jsonl", info, "fake", False).files == (Path("out.jsonl"),)
    assert result_output("json", "out", info, "fake", True).files == (Path("out/fake.jsonl"),)
    assert result_output("json", "-", info, "fake", True).files == ()


def test_jsonl_csv_coco_mot_targets_have_distinct_names_in_folder() -> None:
    info = FakeSource().info
    files = [result_output(option, "out", info, "fake", False).files[0] for option in RESULT_FORMATS]
    names = ["fake.jsonl", "fake.csv", "fake.long.csv", "fake.coco.json", "fake.mot.txt", "fake.angles.csv"]
    assert [file.name for file in files] == names
    with pytest.raises(BadInput, match="`csv` -: only `json` writes to standard output, name a file"):
        result_output("csv", "-", info, "fake", False)


@pytest.mark.parametrize(
    ("save", "several", "words"),
    [
        ("out.mp4", True, r"out\.mp4 is one file for several sources: name a folder"),
        ("out.avi", False, r"`save` out\.avi: a video is saved as \.mp4, or name a folder"),
    ],
)
def test_video_target_rejects_one_file_for_many_sources_and_avi(save, several, words) -> None:
    with pytest.raises(BadInput, match=words):
        video_output(save, FakeSource().info, "fake", several)


@pytest.mark.parametrize("save", ["out.mp4", "out.jpg"])
def test_image_target_rejects_single_file_for_image_folder(save, images) -> None:
    source = Images(images, Clip())
    with pytest.raises(BadInput, match="these images are saved as images, name a folder"):
        image_output(save, source.info, "photos", False, source.names)


@pytest.mark.parametrize(
    ("hw", "words"),
    [
        ((64, 16_386), r"fake is 16386x64, \.mp4 holds 16384 pixels a side: cut or shrink it"),
        ((20_000, 64), r"fake is 64x20000, \.mp4 holds 16384"),
    ],
)
def test_video_target_rejects_frame_too_large_for_mp4(hw, words) -> None:
    with pytest.raises(BadInput, match=words):
        video_output("out", FakeSource(hw=hw).info, "fake", False)


def test_image_target_rejects_image_too_large_for_webp(tmp_path) -> None:
    cv2.imwrite(str(tmp_path / "wide.png"), np.zeros((4, 17_000, 3), np.uint8))
    source = Images(tmp_path / "wide.png", Clip())
    assert image_output("out", source.info, "wide", False, source.names).files == (Path("out/wide.png"),)
    with pytest.raises(BadInput, match=r"is 17000x4, \.webp holds 16383 pixels a side: save it as a \."):
        image_output("out.webp", source.info, "wide", False, source.names)


@pytest.mark.parametrize("name", ["poses.xlsx", "poses.mov", "poses.png"])
def test_text_is_not_written_under_another_suffix(name, tmp_path) -> None:
    with pytest.raises(BadInput, match=r"`csv` .*: this writes text and no \.\w+, name a \.csv file"):
        result_output("csv", str(tmp_path / name), FakeSource().info, "clip", several=False)
