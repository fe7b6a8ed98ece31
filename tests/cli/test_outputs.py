"""Which files are written."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from hrpose_rt.cli.outputs import check_distinct, check_free, check_writable, distinct_stems
from hrpose_rt.errors import BadInput
from tests.fakes import FakeSource


@pytest.fixture
def images(tmp_path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.jpg", "b.png"):
        cv2.imwrite(str(folder / name), np.zeros((8, 8, 3), np.uint8))
    return folder


def test_check_free_raises_on_existing_file_or_folder(tmp_path) -> None:
    file = tmp_path / "out.mp4"
    check_free(file, overwrite=False)
    file.touch()
    check_free(file, overwrite=True)
    with pytest.raises(BadInput, match=r"out\.mp4 exists: choose another name, or add --overwrite"):
        check_free(file, overwrite=False)
    with pytest.raises(BadInput, match="is a folder: name a file"):
        check_free(tmp_path, overwrite=True)


def test_check_free_raises_when_output_is_a_source(images) -> None:
    for source in (images / "a.jpg", images):
        with pytest.raises(BadInput, match=r"a\.jpg is what is read: write to another place"):
            check_free(images / "a.jpg", overwrite=True, sources=["gone.mp4", str(source)])


def test_check_distinct_raises_on_same_output_path(tmp_path, monkeypatch) -> None:
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
def test_check_writable_raises_on_unwritable_report_path(tmp_path) -> None:
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


def test_distinct_stems_number_equal_source_names() -> None:
    assert distinct_stems([FakeSource(), FakeSource(), FakeSource()]) == ["fake", "fake-2", "fake-3"]
