"""What the tests and the examples in docstrings share: a home, and files that the examples name."""

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory) -> Iterator[None]:
    """Nothing is fetched or built into the user's own folders."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HRPOSE_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="session")
def example_files(tmp_path_factory) -> Path:
    """A folder with `video.mp4`, half a second long, and `photos`, of which the second is damaged."""
    import cv2
    import numpy as np

    from tests.conftest import write_video

    folder = tmp_path_factory.mktemp("examples")
    write_video(folder / "video.mp4", frames=5)
    (folder / "photos").mkdir()
    cv2.imwrite(str(folder / "photos" / "1.jpg"), np.zeros((48, 64, 3), np.uint8))
    (folder / "photos" / "2.jpg").write_bytes(b"damaged")
    return folder


@pytest.fixture(autouse=True)
def _examples_run_beside_their_files(request, monkeypatch) -> None:
    if isinstance(request.node, pytest.DoctestItem):
        monkeypatch.chdir(request.getfixturevalue("example_files"))
