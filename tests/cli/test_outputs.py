"""Which files are written."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from hrpose_rt.cli.outputs import (
    TEXTS,
    check_distinct,
    check_free,
    check_writable,
    distinct_stems,
    picture_target,
    read_image_ids,
    text_target,
)
from hrpose_rt.errors import BadInput
from hrpose_rt.sources.open import open_source
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
def test_a_film_is_a_file_or_lies_in_a_folder(save, several, file) -> None:
    assert picture_target(save, FakeSource(), "fake", several).files == (Path(file),)


@pytest.mark.parametrize("name", ["v1.0", "out.2026-11-25"])
@pytest.mark.parametrize("several", [False, True])
def test_a_folder_may_have_a_dot(name: str, several: bool) -> None:
    assert picture_target(name, FakeSource(), "fake", several).files == (Path(name) / "fake.mp4",)
    lines = text_target("--json", name, FakeSource().info, {}, "fake", several)
    assert lines.files == (Path(name) / "fake.jsonl",)


def test_images_go_into_a_folder_under_their_names(images) -> None:
    source = open_source(str(images))
    assert picture_target("out", source, "photos", False).files == (Path("out/a.jpg"), Path("out/b.png"))
    several = picture_target("out", source, "photos", True).files
    assert several == (Path("out/photos/a.jpg"), Path("out/photos/b.png"))


def test_one_image_may_be_named(images) -> None:
    source = open_source(str(images / "a.jpg"))
    assert picture_target("out/mine.png", source, "a", False).files == (Path("out/mine.png"),)


def test_lines_are_a_file_lie_in_a_folder_or_go_to_standard_output() -> None:
    info = FakeSource().info
    assert text_target("--json", "out.jsonl", info, {}, "fake", False).files == (Path("out.jsonl"),)
    assert text_target("--json", "out", info, {}, "fake", True).files == (Path("out/fake.jsonl"),)
    assert text_target("--json", "-", info, {}, "fake", True).files == ()


def test_every_form_of_text_has_a_name_of_its_own_in_a_folder() -> None:
    info = FakeSource().info
    files = [text_target(option, "out", info, {}, "fake", False).files[0] for option in TEXTS]
    names = ["fake.jsonl", "fake.csv", "fake.long.csv", "fake.coco.json", "fake.mot.txt"]
    assert [file.name for file in files] == names
    with pytest.raises(BadInput, match="--csv -: only --json writes to standard output, name a file"):
        text_target("--csv", "-", info, {}, "fake", False)


@pytest.mark.parametrize(
    ("save", "several", "words"),
    [
        ("out.mp4", True, r"out\.mp4 is one file for several sources: name a folder"),
        ("out.avi", False, r"--save out\.avi: a film is saved as \.mp4, or name a folder"),
    ],
)
def test_a_film_that_has_no_place_is_said(save, several, words) -> None:
    with pytest.raises(BadInput, match=words):
        picture_target(save, FakeSource(), "fake", several)


@pytest.mark.parametrize("save", ["out.mp4", "out.jpg"])
def test_images_do_not_become_one_file(save, images) -> None:
    with pytest.raises(BadInput, match="these images are saved as images, name a folder"):
        picture_target(save, open_source(str(images)), "photos", False)


def test_what_is_there_is_kept_unless_told_otherwise(tmp_path) -> None:
    file = tmp_path / "out.mp4"
    check_free(file, overwrite=False)
    file.touch()
    check_free(file, overwrite=True)
    with pytest.raises(BadInput, match=r"out\.mp4 exists: choose another name, or add --overwrite"):
        check_free(file, overwrite=False)
    with pytest.raises(BadInput, match="is a folder: name a file"):
        check_free(tmp_path, overwrite=True)


def test_what_is_read_is_never_written(images) -> None:
    for source in (images / "a.jpg", images):
        with pytest.raises(BadInput, match=r"a\.jpg is what is read: write to another place"):
            check_free(images / "a.jpg", overwrite=True, sources=["gone.mp4", str(source)])


def test_two_outputs_are_not_one_file(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_distinct([Path("a.mp4"), Path("a.jsonl"), Path("o/a.mp4")])
    with pytest.raises(
        BadInput, match=r"a\.mp4 would be written twice: give each output a name of its own"
    ):
        check_distinct([Path("a.mp4"), tmp_path / "a.mp4"])
    (tmp_path / "d").mkdir()
    (tmp_path / "link").symlink_to("d")
    for other in ("d/../d/a", "link/a", "link/../d/a"):
        with pytest.raises(BadInput, match=r"d/a would be written twice"):
            check_distinct([Path("d/a"), Path(other)])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_where_a_report_cannot_go_is_known_before_the_run(tmp_path) -> None:
    (tmp_path / "old.json").write_text("old")
    (tmp_path / "file").touch()
    for file in (tmp_path / "old.json", tmp_path / "new.json", tmp_path / "folder" / "new.json"):
        check_writable(file)
    assert (tmp_path / "old.json").read_text() == "old"
    assert not (tmp_path / "new.json").exists()
    with pytest.raises(BadInput, match=r"/dev/full cannot be written \(No space left on device\): choose"):
        check_writable(Path("/dev/full"))
    with pytest.raises(BadInput, match=r"file/r\.json cannot be made|file cannot be made"):
        check_writable(tmp_path / "file" / "r.json")


def test_sources_of_one_name_get_files_of_their_own() -> None:
    assert distinct_stems([FakeSource(), FakeSource(), FakeSource()]) == ["fake", "fake-2", "fake-3"]


@pytest.mark.parametrize(
    ("hw", "words"),
    [
        ((64, 16_386), r"fake is 16386x64, \.mp4 holds 16384 pixels a side: cut or shrink it"),
        ((20_000, 64), r"fake is 64x20000, \.mp4 holds 16384"),
    ],
)
def test_a_film_too_large_to_save_is_said_before_the_run(hw, words) -> None:
    with pytest.raises(BadInput, match=words):
        picture_target("out", FakeSource(hw=hw), "fake", False)


def test_an_image_too_large_for_its_form_is_said_before_the_run(tmp_path) -> None:
    cv2.imwrite(str(tmp_path / "wide.png"), np.zeros((4, 17_000, 3), np.uint8))
    source = open_source(str(tmp_path / "wide.png"))
    assert picture_target("out", source, "wide", False).files == (Path("out/wide.png"),)
    with pytest.raises(BadInput, match=r"is 17000x4, \.webp holds 16383 pixels a side: save it as a \."):
        picture_target("out.webp", source, "wide", False)


def annotations(folder: Path, *images: dict) -> Path:
    path = folder / "annotations.json"
    path.write_text(json.dumps({"images": images, "annotations": [], "categories": []}))
    return path


def test_images_have_the_ids_of_their_annotations(images, tmp_path) -> None:
    file = annotations(tmp_path, {"id": 7, "file_name": "val\\a.jpg"}, {"id": 9, "file_name": "b.png"})
    source = open_source(str(images))
    assert read_image_ids(file, [source, FakeSource()]) == {"a.jpg": 7, "b.png": 9}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"id": 7, "file_name": "a.jpg"}], r"annotations\.json has no image b\.png: give those of these"),
        (
            [{"file_name": "a.jpg"}],
            r"images no ids \(images\[0\]: object missing required field id\)",
        ),
        ([{"id": 1, "file_name": "x/a.jpg"}, {"id": 2, "file_name": "y/a.jpg"}], "two images called a"),
    ],
)
def test_annotations_of_other_images_are_refused(rows, words, images, tmp_path) -> None:
    with pytest.raises(BadInput, match=words):
        read_image_ids(annotations(tmp_path, *rows), [open_source(str(images))])
