"""One image, however it is given."""

from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from hrpose_rt.errors import BadInput
from hrpose_rt.pipeline import PosePipeline
from hrpose_rt.sources.single_image import to_frame
from hrpose_rt.types import Frame
from tests.conftest import write_video
from tests.fakes import fake_networks


@pytest.fixture
def array() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)


@pytest.fixture
def file(array, tmp_path) -> Path:
    cv2.imwrite(str(tmp_path / "one.png"), array)
    return tmp_path / "one.png"


def test_array_path_and_pillow_image_are_the_same_frame(array, file) -> None:
    for image in (array, file, str(file), Image.open(file), Image.fromarray(array[..., ::-1])):
        np.testing.assert_array_equal(to_frame(image).image, array)
    frame = Frame(3, array, 0.1, 0.0)
    assert to_frame(frame) is frame


def test_pillow_images_of_other_modes_become_bgr(array) -> None:
    grey = Image.fromarray(array[..., 0])
    np.testing.assert_array_equal(to_frame(grey).image, np.repeat(array[..., :1], 3, axis=2))
    clear = Image.fromarray(np.dstack([array[..., ::-1], np.full((24, 32), 255, np.uint8)]))
    np.testing.assert_array_equal(to_frame(clear).image, array)


def test_pillow_images_of_16_bits_are_read_as_their_files(array, tmp_path) -> None:
    deep = array[..., 0].astype(np.uint16) * 256 + 7
    cv2.imwrite(str(tmp_path / "deep.png"), deep)
    image = Image.fromarray(deep)
    assert image.mode == "I;16"
    np.testing.assert_array_equal(to_frame(image).image, to_frame(tmp_path / "deep.png").image)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pillow_images_of_any_levels_are_refused(mode) -> None:
    with pytest.raises(BadInput, match=f"a Pillow image of mode {mode} may have any levels: scale them"):
        to_frame(Image.new(mode, (32, 24)))


def test_pillow_images_that_cannot_be_read_are_refused(file) -> None:
    cut = Image.open(BytesIO(file.read_bytes()[:-900]))
    closed = Image.open(file)
    closed.close()
    for image in (cut, closed, Image.new("La", (32, 24))):
        with pytest.raises(BadInput, match="the Pillow image cannot be read"):
            to_frame(image)


def test_pillow_image_is_turned_as_its_exif_data_says(array, tmp_path) -> None:
    image = Image.fromarray(array[..., ::-1])
    exif = image.getexif()
    exif[0x0112] = 6  # turned by 90 degrees clockwise to be upright
    image.save(tmp_path / "turned.png", exif=exif)
    upright = to_frame(Image.open(tmp_path / "turned.png")).image
    np.testing.assert_array_equal(upright, np.rot90(array, -1))
    np.testing.assert_array_equal(to_frame(tmp_path / "turned.png").image, upright)


def test_a_list_gives_a_list(array, file) -> None:
    with PosePipeline(networks=fake_networks([1, 2, 3])) as pipeline:
        results = pipeline.process([array, file, Image.open(file)])
        assert [len(result) for result in results] == [1, 2, 3]
        assert pipeline.process([]) == []
        assert len(pipeline.process((file,))) == 1


@pytest.mark.parametrize("what", ["video", "folder", "nothing", "text"])
def test_what_is_no_single_image_is_refused(what: str, file) -> None:
    words = "is not one image: give videos, folders and cameras to `stream`"
    if what == "video":
        path = write_video(file.with_name("video.mp4"))
    elif what == "folder":
        cv2.imwrite(str(file.with_name("two.png")), np.zeros((4, 4, 3), np.uint8))
        path = file.parent
    elif what == "nothing":
        path, words = file.with_name("none.png"), "does not exist: check the path"
    else:
        path, words = file.with_name("text.png"), "text.png"
        path.write_text("no picture")
    with pytest.raises(BadInput, match=words):
        to_frame(path)


def test_other_things_are_refused() -> None:
    with pytest.raises(BadInput, match=r"an image is a NumPy array, this one is NoneType: was it read\?"):
        to_frame(None)
