"""Images and folders of them."""

import os
import shutil

import cv2
import numpy as np
import pytest

from hrpose_rt.config import Clip
from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.sources.open import open_source


@pytest.fixture
def folder(tmp_path):
    """Four images of growing brightness and a file that is none."""
    for i, name in enumerate(("a.png", "b.JPG", "c.bmp", "d.webp")):
        cv2.imwrite(str(tmp_path / name), np.full((20 + i, 30, 3), 50 * i, np.uint8))
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


def test_image_folder_gives_images_in_name_order(folder) -> None:
    with open_source(str(folder)) as source:
        frames = list(source)
    assert [frame.image.shape[0] for frame in frames] == [20, 21, 22, 23]
    assert [round(frame.image.mean() / 50) for frame in frames] == [0, 1, 2, 3]
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    assert source.info.frames == 4
    assert not source.info.is_video


def test_image_folder_sorts_numbers_naturally_and_skips_hidden_files(tmp_path) -> None:
    for name in ("img10.png", "img2.png", "img1.png", "a.png", "._img1.png", ".hidden.png"):
        cv2.imwrite(str(tmp_path / "x.png"), np.zeros((4, 4, 3), np.uint8))
        (tmp_path / "x.png").rename(tmp_path / name)
    with open_source(str(tmp_path)) as source:
        assert [f.file_name for f in source] == ["a.png", "img1.png", "img2.png", "img10.png"]


def test_image_format_is_detected_by_content(tmp_path) -> None:
    """Under suffixes that browsers give, none at all, or a video's; annotated, it has one that fits."""
    ok, jpeg = cv2.imencode(".jpg", np.full((6, 8, 3), 90, np.uint8))
    assert ok
    for name in ("a.jfif", "b", "c.mp4", "d.jpe"):
        (tmp_path / name).write_bytes(jpeg.tobytes())
        with open_source(str(tmp_path / name)) as source:
            assert [frame.image.shape for frame in source] == [(6, 8, 3)]
    (tmp_path / "e.txt").write_text("no image")
    source = open_source(str(tmp_path))
    assert list(source.names.values()) == ["a.jfif.jpg", "b.jpg", "c.mp4.jpg", "d.jpe"]


@pytest.mark.parametrize("brands", [b"heic\0\0\0\0mif1heic", b"mif1\0\0\0\0mif1heic"])
def test_image_heic_error_suggests_jpeg(brands: bytes, tmp_path) -> None:
    (tmp_path / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftyp" + brands + b"\0" * 99)
    for name in (tmp_path, tmp_path / "IMG_1.HEIC"):
        with pytest.raises(BadInput, match="cannot be read as an image: HEIC is not read, save it as JPEG"):
            open_source(str(name))
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((4, 4, 3), np.uint8))
    with (
        open_source(str(tmp_path)) as source,
        pytest.raises(RunBroken, match=r"^IMG_1\.HEIC cannot be read"),
    ):
        list(source)


def test_image_folder_with_numeric_name_is_not_camera(folder, monkeypatch) -> None:
    monkeypatch.chdir(folder.parent)
    folder.rename(folder.parent / "2024")
    assert not open_source("2024").info.is_live


def test_image_folder_clip_start_end_stride_and_max_frames(folder) -> None:
    with open_source(str(folder), Clip(start=1, stride=2)) as source:
        assert [frame.index for frame in source] == [1, 3]
    with open_source(str(folder), Clip(end=3, max_frames=2)) as source:
        assert [frame.index for frame in source] == [0, 1]
    with pytest.raises(BadInput, match="has 4 images, none of them from `start` on"):
        open_source(str(folder), Clip(start=9))


def test_image_of_one_pixel_is_read(tmp_path) -> None:
    cv2.imwrite(str(tmp_path / "dot.png"), np.full((1, 1, 3), 9, np.uint8))
    with open_source(str(tmp_path / "dot.png")) as source:
        (frame,) = source
    assert frame.image.tolist() == [[[9, 9, 9]]]
    assert (source.info.stem, source.info.width, source.info.height) == ("dot", 1, 1)


def test_image_grey_alpha_and_16_bit_become_bgr(tmp_path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((4, 5), 90, np.uint8))
    cv2.imwrite(str(tmp_path / "b.png"), np.full((4, 5, 4), 90, np.uint8))
    cv2.imwrite(str(tmp_path / "c.png"), np.full((4, 5), 90 * 257, np.uint16))
    with open_source(str(tmp_path)) as source:
        for frame in source:
            assert (frame.image.shape, frame.image.dtype, frame.image.max()) == ((4, 5, 3), np.uint8, 90)


def test_image_folder_skips_damaged_images_and_names_them_at_end(folder) -> None:
    (folder / "b.JPG").write_bytes((folder / "b.JPG").read_bytes()[:100])
    (folder / "c.bmp").write_bytes(b"")
    came = []
    with open_source(str(folder)) as source, pytest.raises(RunBroken) as error:
        for frame in source:
            came.append(frame.index)
    assert came == [0, 3]
    assert str(error.value).startswith("b.JPG, c.bmp cannot be read as images and were left out")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".webp"])
def test_image_truncated_raises_bad_input_and_prints_nothing(suffix, tmp_path, capfd, monkeypatch) -> None:
    monkeypatch.setattr("hrpose_rt.console.own_process", True)
    path = tmp_path / f"half{suffix}"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (90, 90, 3), np.uint8))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadInput, match="cannot be read as an image: it is empty, damaged or none"):
        open_source(str(path))
    os.write(2, b"heard")  # stderr is as it was
    assert capfd.readouterr().err == "heard"


def test_image_folder_ignores_subfolder_and_reports_broken_link(folder) -> None:
    (folder / "folder.jpg").mkdir()
    (folder / "link.jpg").symlink_to("nowhere")
    came = []
    with open_source(str(folder)) as source, pytest.raises(RunBroken, match=r"^link\.jpg cannot be read"):
        for frame in source:
            came.append(frame.index)
    assert came == [0, 1, 2, 3]


def test_image_folder_stem_is_resolved_from_dot_paths(folder, monkeypatch) -> None:
    (folder / "v1.2").mkdir()
    shutil.copy(folder / "a.png", folder / "v1.2")
    monkeypatch.chdir(folder / "v1.2")
    assert open_source(".").info.stem == "v1.2"
    assert open_source("..").info.stem == folder.name


def test_image_folder_empty_or_bad_jpeg_raises_bad_input(tmp_path) -> None:
    with pytest.raises(BadInput, match=r"holds no images: \.bmp, .* are read"):
        open_source(str(tmp_path))
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    with pytest.raises(
        BadInput, match=r"bad\.jpg cannot be read as an image: it is empty, damaged or none"
    ):
        open_source(str(tmp_path / "bad.jpg"))


@pytest.mark.slow
def test_image_of_16k_resolution_is_read(tmp_path) -> None:
    cv2.imwrite(str(tmp_path / "large.png"), np.zeros((8640, 15360, 3), np.uint8))
    with open_source(str(tmp_path / "large.png")) as source:
        (frame,) = source
    assert frame.image.shape == (8640, 15360, 3)


def test_image_multi_page_or_animated_uses_first_with_warning(tmp_path, capsys) -> None:
    pictures = [np.full((20, 30, 3), level, np.uint8) for level in (50, 100, 150)]
    cv2.imwritemulti(str(tmp_path / "pages.tiff"), pictures)
    animation = cv2.Animation()
    animation.frames, animation.durations = pictures, np.array([100] * 3)
    for name in ("moves.webp", "moves.png", "moves.avif", "moves.gif"):
        cv2.imwriteanimation(str(tmp_path / name), animation)
    cv2.imwrite(str(tmp_path / "one.tiff"), pictures[0])
    with open_source(str(tmp_path)) as source:
        assert [round(frame.image.mean() / 50) for frame in source] == [1] * 6
    words = "of 3 pictures only the first is used; save each as a file"
    assert capsys.readouterr().err == f"moves.avif, moves.gif, moves.png and 2 more: {words}\n"


def test_image_file_whose_name_is_no_utf8_is_read(tmp_path) -> None:
    pictures = [np.full((20, 30, 3), level, np.uint8) for level in (50, 100)]
    cv2.imwritemulti(str(tmp_path / "pages.tiff"), pictures)
    name = (tmp_path / "pages.tiff").rename(tmp_path / "caf\udce9.tiff")
    with open_source(str(name)) as source:  # OpenCV would crash when it counts the pictures
        assert [frame.image.mean() for frame in source] == [50]


def test_image_12_bit_in_16_bit_warns_nearly_black(tmp_path, capsys) -> None:
    deep = np.random.default_rng(0).integers(0, 4096, (20, 30, 3)).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "deep.png"), deep)
    cv2.imwrite(str(tmp_path / "full.png"), deep * 16)
    cv2.imwrite(str(tmp_path / "night.png"), np.full((20, 30, 3), 9, np.uint8))
    with open_source(str(tmp_path)) as source:
        assert len(list(source)) == 3
    words = "nearly black, as it has 12 bits where there is room for 16; multiply its values"
    assert capsys.readouterr().err == f"deep.png: {words}\n"


def test_image_float_tiff_raises_bad_input(tmp_path) -> None:
    cv2.imwrite(str(tmp_path / "float.tif"), np.ones((20, 30, 3), np.float32))
    with pytest.raises(BadInput, match="its numbers have a floating point, save it with 8 or 16 bits"):
        open_source(str(tmp_path / "float.tif"))


def test_image_folder_with_fps_is_video(folder) -> None:
    with open_source(str(folder), Clip(fps=4)) as source:
        assert (source.info.is_video, source.info.fps) == (True, 4)
        frames = list(source)
        assert [frame.time_s for frame in frames] == [i / 4 for i in range(len(frames))]
    with open_source(str(folder), Clip(fps=4, start=0.25, stride=2)) as source:
        assert (source.info.fps, next(frame.index for frame in source)) == (2, 1)


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_clip_fps_must_be_positive_and_finite(fps) -> None:
    with pytest.raises(BadInput, match="`fps` is"):
        Clip(fps=fps)


def test_video_rejects_fps_option(video) -> None:
    with pytest.raises(BadInput, match=r"`fps` is for folders of images, and .*video.mp4 knows its own"):
        open_source(str(video), Clip(fps=7))
